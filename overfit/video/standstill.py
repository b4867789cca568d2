"""Work by others' code that may stand still for ever, and is then left standing and begun anew.

SVT-AV1 4.1 has done so on a busy machine, with a small picture: all its threads waited for each
other. Nothing can end them, but they take neither time nor anything that is written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")
_P = TypeVar("_P")

_LOOK = 1.0
"""Seconds between two looks."""
STILL = 30.0
"""Seconds in which nothing goes on."""
_BUSY = 0.05
"""Share of them that the process computes where anything goes on."""


class StandstillError(Exception):
    """Nothing goes on any more."""


class Watched:
    """`run` some work that takes items from `items`; raises StandstillError where nothing goes on.

    That is where it has taken no item and does not wait for one, and the process has hardly
    computed, for `STILL` seconds. What stands still keeps its thread, so it must not share what it
    writes with who comes next.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._waits = False  # for an item
        self._since: tuple[int, float, float] | None = None  # items, seconds, computed by then

    def items(self, given: Iterable[_P]) -> Iterator[_P]:
        """The same, counted as they are taken."""
        items = iter(given)
        while True:
            self._waits = True
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waits = False
            self._taken += 1
            yield item

    def stands_still(self, now: float, computed: float) -> bool:
        """Whether nothing has gone on for `STILL` seconds, asked again and again.

        `now` in seconds of any clock; `computed`: seconds of processor time of the process.
        """
        if self._since is not None:
            taken, since, before = self._since
            idle = computed - before < _BUSY * (now - since)
            if idle and taken == self._taken and not self._waits:
                return now - since > STILL
        self._since = self._taken, now, computed
        return False

    def run(self, work: Callable[[], _T]) -> _T:
        """What `work` gives or raises."""
        made: Future[_T] = Future()

        def do() -> None:
            try:
                made.set_result(work())
            except BaseException as error:
                made.set_exception(error)

        threading.Thread(target=do, name="watched", daemon=True).start()
        while not made.done():
            try:
                made.exception(_LOOK)
            except TimeoutError:
                if self.stands_still(time.monotonic(), time.process_time()):
                    raise StandstillError from None
        return made.result()
