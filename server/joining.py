"""Requests that come in storms, joined: the last one counts, and none is lost.

ask ask      ask ask ask ask          ask: at once where it was quiet, else when it is time
do           do           do (the last)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

_Wait: TypeAlias = Callable[[], float]


def _no_wait() -> float:
    return 0.0


class Joined:
    """Does what is asked, but not oftener than `every` so many seconds."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._free_at = 0.0
        self._waiting: tuple[Callable[[], None], _Wait] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def ask(self, do: Callable[[], None], wait: _Wait = _no_wait) -> None:
        """Do it now, or soon; what waits already is not done.

        `wait` is asked when it is time: seconds for which it may still not be done, or 0.
        """
        self._waiting = (do, wait)
        self._try()

    def close(self) -> None:
        """Do nothing any more."""
        self._closed = True
        self._cancel()

    def _try(self) -> None:
        self._cancel()
        if self._waiting is None or self._closed:
            return
        do, wait = self._waiting
        loop = asyncio.get_running_loop()
        now = loop.time()
        seconds = self._free_at - now
        if seconds <= 0:
            seconds = wait()
        if seconds > 0:
            self._timer = loop.call_at(now + seconds, self._try)
            return
        self._waiting = None
        self._free_at = now + self._every
        do()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
