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

    def run(self, work: Callable[[], _T]) -> _T:
        """What `work` gives or raises."""
        made: Future[_T] = Future()

        def do() -> None:
            try:
                made.set_result(work())
            except BaseException as error:
                made.set_exception(error)

        threading.Thread(target=do, name="watched", daemon=True).start()
        taken, since, computed = self._taken, time.monotonic(), time.process_time()
        while not made.done():
            try:
                made.exception(_LOOK)
            except TimeoutError:
                waited = time.monotonic() - since
                idle = time.process_time() - computed < _BUSY * waited
                goes_on = self._taken != taken or self._waits or not idle
                if waited > STILL and not goes_on:
                    raise StandstillError from None
                if goes_on:
                    taken, since, computed = self._taken, time.monotonic(), time.process_time()
        return made.result()
