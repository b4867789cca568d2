"""From decoded frames to frame numbers: SEI where there is one, the 90 kHz clock between.

RTP's video clock is 90 kHz (RFC 6184, section 8.2.1). The server stamps the frame at n / fps with
floor(90000 n / fps) ticks, so two stamps are off by less than a tick each and rounding to the
nearest frame is exact for anything below 30 000 frames a second.

Never the wrong plan: an SEI speaks only for its own segment, because the next segment starts with
an IDR that carries its own. Lost that one, its frames stay unknown and are interpolated.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from client_sdk.contract.manifest import Manifest
from client_sdk.contract.sei import FrameIdentity

CLOCK_RATE = 90_000
_KEPT = 4  # anchors


@dataclass(frozen=True, slots=True)
class Identified:
    """A frame number and the rung that it came from."""

    frame: int
    rung: int


class FrameClock:
    """Keeps the last anchors (time stamps whose frames are known) and counts from the right one.

    An anchor may come before its frame does (a control message overtakes video in the jitter
    buffer), so a frame is counted from the newest anchor that is not in its future.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._anchors: list[tuple[int, Identified]] = []  # by time stamp

    def identify(self, pts: int, identity: FrameIdentity | None) -> Identified | None:
        """The frame with time stamp `pts` (90 kHz), given its SEI if it had one; None: unknown."""
        if identity is not None:
            self.set_anchor(pts, identity)
        place = bisect_right(self._anchors, pts, key=lambda anchor: anchor[0])
        if place == 0:
            return None
        anchor_pts, anchor = self._anchors[place - 1]
        step = (pts - anchor_pts) * self._manifest.source.rate / CLOCK_RATE
        frame = anchor.frame + round(step)
        segment = self._manifest.segments[self._manifest.segment_of(anchor.frame)]
        return Identified(frame, anchor.rung) if frame < segment.end else None

    def set_anchor(self, pts: int, identity: FrameIdentity) -> None:
        """Believe that the frame at `pts` is `identity`.

        Not believed: another package's, one outside the video, one older than all that is kept.
        """
        manifest = self._manifest
        if (
            identity.package != manifest.id
            or identity.rung >= len(manifest.rungs)
            or identity.frame >= manifest.source.frames
        ):
            return
        anchor = Identified(identity.frame, identity.rung)
        kept = [entry for entry in self._anchors if entry[0] != pts]
        kept.append((pts, anchor))
        kept.sort(key=lambda entry: entry[0])
        self._anchors = kept[-_KEPT:]

    def forget(self) -> None:
        """Know nothing until the next anchor: after a seek, the old count is void."""
        self._anchors = []
