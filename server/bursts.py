"""How much one viewer may be sent faster than it plays, so that jumping about costs no more.

A jump sends what leads from an IDR to the frame that was sought, at once: up to a whole segment. A
token bucket holds frames: full, it lasts for some seconds of a slider that is dragged; then jumps
wait, and what they bring comes to no more than the play itself does.
"""

from __future__ import annotations

from collections.abc import Callable

from client_sdk.contract.manifest import Manifest
from server.rates import Bucket

AT_ONCE = 8
"""Segments, as long as the longest, that may be sent in bursts before jumps wait: four seconds of
jumps, four a second, each to the middle of a segment."""


class Bursts:
    """The frames that lead to what one viewer sought, refilled at the video's rate."""

    def __init__(self, manifest: Manifest, clock: Callable[[], float]) -> None:
        self._manifest = manifest
        longest = max(segment.end - segment.start for segment in manifest.segments)
        self._bucket = Bucket(float(60 * manifest.source.rate), clock, AT_ONCE * longest)

    def wait(self, frame_number: int) -> float:
        """Seconds until a jump to the frame may be made; 0 where now, and it is counted."""
        number = min(frame_number, self._manifest.source.frames - 1)
        segment = self._manifest.segments[self._manifest.segment_of(number)]
        return self._bucket.wait(number - segment.start + 1)
