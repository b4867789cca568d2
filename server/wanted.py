"""What one viewer wants, in the order in which it plays: kept in order, whatever is asked for.

    add ─► small     [last … soonest]   maps, motion, plans  ─┐
           pictures  [last … soonest]   plates, chroma       ─┴► soonest ─► take

Only a new position of the viewer sorts it anew: each segment, and after a jump.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import TypeAlias

from client_sdk.contract import Package

_PICTURES = ("plate", "chroma")
_KINDS = ("map", "motion", "plan", *_PICTURES)
_Place: TypeAlias = tuple[int, int, str]  # segment and kind, both negative, and the hash


class WantedAssets:
    """Hashes and offsets, each once. `position`: the (rung index, segment index) of the viewer."""

    def __init__(self, package: Package, position: Callable[[], tuple[int, int]]) -> None:
        self._package = package
        self._position = position
        self._offsets: dict[str, int] = {}
        self._small: list[_Place] = []
        self._pictures: list[_Place] = []
        self._sorted_for: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._offsets)

    def offset_of(self, sha256: str) -> int | None:
        """The byte from which on it is wanted; None where it is not."""
        return self._offsets.get(sha256)

    def is_picture(self, sha256: str) -> bool:
        """Whether it is one of those that can wait; nothing that the package lacks is."""
        place = self._package.places.get(sha256)  # the manifest has none
        return place is not None and place.kind in _PICTURES

    def add(self, sha256: str, offset: int) -> None:
        """It is wanted from that byte on."""
        known = sha256 in self._offsets
        self._offsets[sha256] = offset
        if not known and self._sorted_for is not None:
            insort(self._queue_of(sha256), self._place(sha256, *self._sorted_for))

    def take(self, sha256: str) -> int:
        """It waits no more: the byte from which on it was wanted. KeyError where it was not."""
        offset = self._offsets.pop(sha256)
        if self._sorted_for is not None:
            queue = self._queue_of(sha256)
            del queue[bisect_left(queue, self._place(sha256, *self._sorted_for))]
        return offset

    def clear(self) -> None:
        """Nothing is wanted."""
        self._offsets.clear()
        self._small, self._pictures, self._sorted_for = [], [], None

    def soonest(self, *, small_only: bool = False) -> str | None:
        """What plays first; pictures are passed over with `small_only`."""
        self._sort()
        queues = (self._small,) if small_only else (self._small, self._pictures)
        waiting = [queue[-1] for queue in queues if queue]
        return max(waiting)[-1] if waiting else None

    def _sort(self) -> None:
        position = self._position()
        if self._sorted_for == position:
            return
        self._sorted_for = position
        self._small, self._pictures = [], []
        for sha256 in self._offsets:
            self._queue_of(sha256).append(self._place(sha256, *position))
        self._small.sort()
        self._pictures.sort()

    def _queue_of(self, sha256: str) -> list[_Place]:
        return self._pictures if self.is_picture(sha256) else self._small

    def _place(self, sha256: str, rung: int, segment: int) -> _Place:
        """The first segment from `segment` on that needs the asset; then map, motion, plan, plate.

        What only the past or another rung needs comes last.
        """
        uses = self._package.uses[rung].get(sha256, [])
        place = bisect_left(uses, segment)
        needed = uses[place] if place < len(uses) else len(self._package.manifest.segments)
        return -needed, -_KINDS.index(self._package.places[sha256].kind), sha256
