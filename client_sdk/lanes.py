"""What waits for the thread of a play, in two lanes: what is said overtakes frames.

said:   messages, pieces of assets, wishes ──┐
                                             ├─► the thread, one at a time
queued: frames, sound, what comes after them ┘
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Bounded: `most` of either lane may wait. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: deque[T] = deque()
        self._queued: deque[T] = deque()
        self._news = threading.Condition()

    def say(self, job: T) -> bool:
        """Do it before all frames that wait; False where too much was said already."""
        return self._put(self._said, job)

    def queue(self, job: T) -> bool:
        """Do it in turn; False where too much waits already."""
        return self._put(self._queued, job)

    def must_queue(self, job: T) -> None:
        """Do it in turn, however much waits: of a caller who has few of them."""
        with self._news:
            self._queued.append(job)
            self._news.notify()

    def take(self, timeout: float) -> T | None:
        """The next; None where nothing came within `timeout` seconds."""
        with self._news:
            self._news.wait_for(lambda: self._said or self._queued, timeout)
            lane = self._said or self._queued
            return lane.popleft() if lane else None

    def _put(self, lane: deque[T], job: T) -> bool:
        with self._news:
            if len(lane) >= self._most:
                return False
            lane.append(job)
            self._news.notify()
        return True
