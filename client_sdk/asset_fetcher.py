"""Decides which assets to ask for, and when: pure logic, without a socket.

Asks for what the segments within the horizon need and the cache lacks, by deadline, once; asks
again once for what came damaged; goes on at an offset after a new connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from client_sdk.cache import AssetCache
from client_sdk.contract.asset_frames import Assembler, AssetFrame
from client_sdk.contract.control import MAX_WANTED, Want, Wanted
from client_sdk.contract.manifest import Manifest
from kernels.errors import StreamError

HORIZON = 30.0  # seconds of video ahead
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """An asset that is whole, and whether the cache had it."""

    sha256: str
    data: bytes
    cached: bool


class AssetFetcher:
    """Fetches assets. `advance` says what to ask, `arrived` takes what comes.

    What several rungs need is asked for once. `loops`: the first segment follows the last.
    """

    def __init__(self, manifest: Manifest, cache: AssetCache, *, loops: bool = False) -> None:
        self.loops = loops
        self._manifest = manifest
        self._sizes: dict[str, int] = {}
        self._ahead: dict[int, set[str]] = {}  # by rung
        self._cache = cache
        self._assembler = Assembler()
        self._tries: dict[str, int] = {}

    def advance(self, rung_index: int, segment_index: int) -> tuple[list[Want], list[Arrival]]:
        """A rung comes to `segment_index`: what to ask for now, and what the cache had."""
        if rung_index not in self._ahead:
            self._sizes |= self._manifest.size_of(rung_index)
        ahead = list(self._horizon(rung_index, segment_index))
        # What lies behind is let go of where frames are made, and looked for anew.
        self._ahead[rung_index] = set(ahead)
        kept = set[str]().union(*self._ahead.values())
        self._tries = {
            sha256: tries
            for sha256, tries in self._tries.items()
            if sha256 in kept or self._assembler.expects(sha256)
        }
        wanted, cached = [], []
        for sha256 in ahead:
            if sha256 in self._tries:
                continue
            self._tries[sha256] = 1
            data = self._cache.get(sha256)
            if data is not None:
                cached.append(Arrival(sha256, data, True))
                continue
            self._assembler.expect(sha256, self._sizes[sha256])
            wanted.append(Wanted(sha256=sha256))
        return _messages(wanted), cached

    def resume(self) -> list[Want]:
        """What to ask for again on a new channel, each from where it stopped."""
        pending = (self.missing(sha256) for sha256 in self._tries)
        return _messages([wanted for wanted in pending if wanted is not None])

    def missing(self, sha256: str) -> Wanted | None:
        """What has not come yet of an asset that was asked for; None where nothing is missing."""
        if not self._assembler.expects(sha256):
            return None
        return Wanted(sha256=sha256, offset=self._assembler.have(sha256))

    def size(self, sha256: str) -> int:
        """How many bytes an asset has that was asked for."""
        return self._sizes[sha256]

    def arrived(self, frame: AssetFrame) -> tuple[Arrival | None, list[Want]]:
        """Take a frame: the asset if it is whole now, and what to ask for again if it was bad.

        What is whole already is passed over. Raises StreamError on a frame that was not asked for,
        or bad for the second time.
        """
        if frame.sha256 in self._tries and not self._assembler.expects(frame.sha256):
            return None, []
        try:
            data = self._assembler.add(frame)
        except StreamError:
            tries = self._tries.get(frame.sha256, _TRIES)
            if tries >= _TRIES or not self._assembler.expects(frame.sha256):
                raise
            self._tries[frame.sha256] = tries + 1
            offset = self._assembler.have(frame.sha256)
            return None, _messages([Wanted(sha256=frame.sha256, offset=offset)])
        if data is None:
            return None, []
        self._cache.put(frame.sha256, data)
        return Arrival(frame.sha256, data, False), []

    def has(self, rung_index: int, segment_index: int) -> bool:
        """Whether nothing that the segment of the rung needs is still to come."""
        assets = self._manifest.rungs[rung_index].assets_of(segment_index)
        return all(s in self._tries and not self._assembler.expects(s) for s in assets)

    def _horizon(self, rung_index: int, segment_index: int) -> Iterator[str]:
        for index in segments_ahead(self._manifest, segment_index, self.loops):
            yield from self._manifest.rungs[rung_index].assets_of(index)


def segments_ahead(manifest: Manifest, segment_index: int, loops: bool) -> Iterator[int]:
    """The segments of the next HORIZON seconds; after the last comes the first where it loops."""
    segments, count = manifest.segments, len(manifest.segments)
    last = segments[segment_index].start + HORIZON * float(manifest.source.rate)
    for index in range(segment_index, segment_index + count if loops else count):
        start = segments[index % count].start + index // count * manifest.source.frames
        # The segment at hand and the next are always in, however long they are.
        if index > segment_index + 1 and start > last:
            return
        yield index % count


def _messages(wanted: list[Wanted]) -> list[Want]:
    return [
        Want(assets=tuple(wanted[start : start + MAX_WANTED]))
        for start in range(0, len(wanted), MAX_WANTED)
    ]
