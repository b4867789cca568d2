"""Where pictures stand among those that were put out."""

from __future__ import annotations

from fractions import Fraction

CLOCK_RATE = 90_000
"""Of RTP's video clock (RFC 6184, section 8.2.1)."""
LONGEST_GAP = 10  # seconds without a picture that are put out as such


class Timeline:
    """Counts in frames of time, by time stamps; `rate` is in frames a second."""

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._origin: Fraction | None = None  # time stamp of position 0
        self._position = -1  # of the last picture

    def place(self, pts: int, anew: bool) -> int:
        """The position of the picture with that time stamp (90 kHz); `anew`: it is no gap."""
        if self._origin is not None and not anew:
            position = round((pts - self._origin) * self._rate / CLOCK_RATE)
            if 0 < position - self._position <= LONGEST_GAP * self._rate:
                self._position = position
                return position
        # What was put out goes on without a gap, whatever time passed meanwhile, or was told.
        self._position += 1
        self._origin = pts - self._position * CLOCK_RATE / self._rate
        return self._position
