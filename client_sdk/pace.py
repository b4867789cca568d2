"""Whether a machine keeps up with its networks: pure logic, without a clock.

frames too slow ─► interpolate for a while ─► try again ─► too slow again: for twice as long
"""

from __future__ import annotations

import statistics
from collections import deque

LOOKED_AT = 12  # frames with networks, of which the median counts
SLOW = 2  # times a frame lasts: every second frame with networks is better than none
REST, LONGEST = 2.0, 60.0  # seconds of interpolation
SOUND = 20.0  # seconds with networks after which the next rest is short again


class Pace:
    """Says frame by frame whether networks may run; `frame_ms` is the time between frames.

    `networks_ms`: median milliseconds of the last frames with these networks, 0 before any.
    """

    def __init__(self, frame_ms: float) -> None:
        self._frame_ms = frame_ms
        self._times: deque[float] = deque(maxlen=LOOKED_AT)
        self._rest = REST
        self._ends: float | None = None  # of the rest
        self._since: float | None = None  # networks run
        self.networks_ms = 0.0

    @property
    def resting(self) -> bool:
        """Whether networks are given up for now."""
        return self._ends is not None

    def may_run(self, now: float) -> bool:
        """Whether the frame at `now` (seconds) may run networks."""
        if self._ends is not None and now < self._ends:
            return False
        if self._ends is not None:
            self.other_plans()
        return True

    def took(self, now: float, spent_ms: float) -> None:
        """A frame with networks took so long."""
        if self._since is None:
            self._since = now
        self._times.append(spent_ms)
        self.networks_ms = statistics.median(self._times)
        if now - self._since > SOUND:
            self._rest = REST
        if len(self._times) == LOOKED_AT and self.networks_ms > SLOW * self._frame_ms:
            self._ends = now + self._rest
            self._rest = min(2 * self._rest, LONGEST)

    def other_plans(self) -> None:
        """Try anew: the rest is over, or another rung's plans came, which may be cheaper."""
        self._ends = self._since = None
        self._times.clear()
        self.networks_ms = 0.0
