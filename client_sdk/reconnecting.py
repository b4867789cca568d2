"""Coming back to a server that is lost: bounded back-off, and an end to it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

from client_sdk.whep import Refusal
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")

FIRST, LONGEST = 0.25, 5.0  # seconds between tries
HOPELESS = frozenset({400, 401, 403, 404, 405, 415})
"""Statuses of an answer that another try will not change."""


class Backoff:
    """Waits that double, within `patience` seconds of the first. `clock` gives seconds.

    Each is up to a quarter longer by chance: a server that comes back is not met by all its
    viewers in the same moment.
    """

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = clock() + patience
        self._wait = FIRST

    @property
    def left(self) -> float:
        """Seconds until it gives up."""
        return max(0.0, self._until - self._clock())

    def next(self, asked: float = 0.0) -> float | None:
        """Seconds to wait now; None: give up. `asked`: what the server asks for (Retry-After)."""
        if self.left <= 0:
            return None
        wait, self._wait = max(asked, self._wait), min(2 * self._wait, LONGEST)
        return min(wait * random.uniform(1, 1.25), self.left)


async def come_back(
    patience: float,
    why: StreamError,
    attempt: Callable[[float], Awaitable[None]],
    over: asyncio.Future[Any],
) -> None:
    """Wait and try again until `attempt` succeeds or `over` is done.

    `attempt` is given the seconds that are left, and raises StreamError where it fails. Raises
    that, or `why`, once `patience` seconds are over, or at once where another try is no use.
    """
    backoff, said, asked = Backoff(patience, asyncio.get_running_loop().time), why, 0.0
    while (seconds := backoff.next(asked)) is not None:
        log.info("%s; another try in %.1f s", said, seconds)
        await asyncio.wait({over}, timeout=seconds)
        if over.done():
            return
        try:
            await attempt(backoff.left)
            return
        except Refusal as refusal:
            if refusal.status in HOPELESS:
                raise
            said, asked = refusal, refusal.wait
        except StreamError as error:
            said, asked = error, 0.0
    if not patience:
        raise why
    raise StreamError(f"{said}; it was not there again within {patience:g} s")
