"""Requests that come in storms, joined: the last one counts, and none is lost.

ask ask      ask ask ask ask          ask: at once where it was quiet, else when it is time
do           do           do (the last)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Joined:
    """Does what is asked, but not oftener than `every` so many seconds."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._free_at = 0.0
        self._waiting: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, do: Callable[[], None]) -> None:
        """Do it now, or soon; what waits already is not done."""
        loop = asyncio.get_running_loop()
        self._waiting = do
        if self._timer is None:
            if loop.time() >= self._free_at:
                self._do()
            else:
                self._timer = loop.call_at(self._free_at, self._do)

    def close(self) -> None:
        """Do nothing any more."""
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()

    def _do(self) -> None:
        self._timer = None
        do, self._waiting = self._waiting, None
        self._free_at = asyncio.get_running_loop().time() + self._every
        if do is not None:
            do()
