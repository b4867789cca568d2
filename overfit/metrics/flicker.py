"""A flicker measure: how the error changes from frame to frame where the source stands still.

    e_n = made_n − truth_n
    still: 16×16 blocks in which the truth changes by less than 2 codes a sample, on average
    flicker_n = RMS over still samples of (e_n − e_{n−1}), in codes of 8 bits

In a still region a constant error is blur, which the eye forgives; one that changes is seen as
flicker, pumping at intra pictures, or swimming texture. As the change of the truth (its noise) is
in it too, figures of one clip compare with each other, those of two clips do not. The definition
is our own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from overfit.metrics.psnr import U8

BLOCK = 16
STILL = 2.0
"""Codes of 8 bits: the mean absolute change from which a block of the truth is moving."""

I16 = npt.NDArray[np.int16]


@dataclass(frozen=True)
class FlickerReference:
    """Where the truth stands still between two frames, and how it changes there."""

    change: I16
    still: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, luma: U8, previous: U8) -> "FlickerReference":
        """Of a true luma `[h, w]` and the one before it."""
        change = luma.astype(np.int16) - previous
        rows = np.arange(0, luma.shape[0], BLOCK)
        columns = np.arange(0, luma.shape[1], BLOCK)
        size = np.abs(change)
        sums = np.add.reduceat(size, rows, axis=0, dtype=np.int64)
        sums = np.add.reduceat(sums, columns, axis=1)
        heights = np.diff([*rows, luma.shape[0]])
        widths = np.diff([*columns, luma.shape[1]])
        blocks = sums < STILL * np.outer(heights, widths)
        still = np.repeat(np.repeat(blocks, heights, axis=0), widths, axis=1)
        return cls(change, still)

    @property
    def share(self) -> float:
        """Share of the frame that stands still, 0 to 1."""
        return float(self.still.mean())

    def flicker(self, luma: U8, previous: U8) -> float | None:
        """RMS change of the error, in codes, of a made luma and the one before; None: all moves."""
        if not self.still.any():
            return None
        change = (luma.astype(np.int16) - previous - self.change)[self.still]
        return math.sqrt(float(np.mean(np.square(change, dtype=np.int32))))


def video_flicker(frames: Sequence[float | None]) -> float | None:
    """RMS over the frames that have a still region; None where none has."""
    known = [value for value in frames if value is not None]
    return math.sqrt(sum(v * v for v in known) / len(known)) if known else None
