"""How long to wait before another try, and when to give up (bounded exponential back-off)."""

from __future__ import annotations

import random
from collections.abc import Callable

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
