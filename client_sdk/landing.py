"""Which frames only lead to the one that was sought, and are decoded without being shown.

    seek ─► frames from before ─► IDR ══ burst ══► the frame that was sought ─► ...
            └───────────── not shown ───────────┘  └─ from here on, by `sought`

`sought` (docs/control.md) has the RTP time of the first frame to show. It can be lost for a while
where video comes through, so a frame's own number counts too, once the numbers have jumped.
"""

from __future__ import annotations

from client_sdk.contract.manifest import Manifest
from client_sdk.frame_clock import CLOCK_RATE, Identified

_PATIENCE = 10  # seconds of frames that may be held back


class Landing:
    """Asked about every frame in order. At first, and after a landing, all are shown."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._rate = manifest.source.rate
        self._waiting = False  # for `sought`
        self._target: int | None = None
        self._from: int | None = None  # the time stamp from which on frames are shown
        self._last: tuple[int, int] | None = None
        self._jumped = False
        self._held = 0

    @property
    def active(self) -> bool:
        """Whether the frame that was sought is still to come."""
        return self._waiting or self._from is not None

    def begin(self, target: int | None) -> None:
        """A seek to `target` was asked for; None: to a place that the server chooses."""
        self._waiting, self._target, self._from = True, target, None
        self._jumped, self._held = self._last is None, 0

    def cancel(self) -> None:
        """Nothing is sought after all."""
        self._waiting, self._from = False, None

    def reconnected(self) -> None:
        """What comes from now on has nothing to do with what came before."""
        self.cancel()
        self._last = None

    def sought(self, pts: int, frame: int) -> None:
        """The server says: `frame` has that time stamp (90 kHz), and is the first to show."""
        if self._waiting and self._target is not None and frame != self._target:
            return  # of a seek before the last one
        self._waiting, self._from, self._held = False, pts, 0

    def shows(self, pts: int, identified: Identified | None) -> bool:
        """Whether the frame with that time stamp is to be shown."""
        frame = None if identified is None else identified.frame
        crosses = self._crosses(frame)
        if frame is not None:
            self._jumped = self._jumped or self._is_jump(pts, frame)
            self._last = (pts, frame)
        if not self.active:
            return True
        there = pts >= self._from if self._from is not None else self._jumped and crosses
        self._held += 1
        if there or self._held > _PATIENCE * self._rate:
            self._waiting, self._from = False, None
            return True
        return False

    def _is_jump(self, pts: int, frame: int) -> bool:
        if self._last is None:
            return False
        last_pts, last_frame = self._last
        return frame - last_frame != round((pts - last_pts) * self._rate / CLOCK_RATE)

    def _crosses(self, frame: int | None) -> bool:
        """Whether it is the frame that was sought, or the next one that came where that is lost."""
        if frame is None or self._target is None or frame < self._target:
            return False
        if frame == self._target:
            return True
        segment = self._manifest.segments[self._manifest.segment_of(self._target)]
        before = -1 if self._last is None else self._last[1]
        return segment.start <= before < self._target and frame < segment.end
