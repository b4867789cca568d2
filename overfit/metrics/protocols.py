"""Three protocols of PSNR that papers report, by name. They are not comparable with each other.

    stdo         squared errors pooled over every patch of every frame, scale + 4 samples shaved
                 from each side of each patch: seams and borders are left out
                 (STDO, CVPR 2023; patches of its released settings)
    cafm         mean of the frames' PSNR, scale + 6 samples shaved from the frame's border
                 (CaFM, ICCV 2021)
    whole_frame  mean of the frames' PSNR, nothing shaved: ours

Each is of luma or of RGB, as the squared errors it is given are.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from overfit.metrics.psnr import U8, psnr_of

Squares = npt.NDArray[np.int32]
Name = Literal["stdo", "cafm", "whole_frame"]
PROTOCOLS: tuple[Name, ...] = ("stdo", "cafm", "whole_frame")

_STDO_PATCH = {1: (54, 48), 2: (54, 48), 3: (60, 64), 4: (54, 48)}
"""Height and width of STDO's patches in LR samples, by scale: whole grids over 1080p.

The paper has no scale 1, which takes those of scale 2.
"""


def squares(a: U8, b: U8) -> Squares:
    """Squared differences `[h, w]` or `[h, w, 3]` of two u8 pictures of one shape."""
    if a.shape != b.shape:
        raise ValueError(f"cannot compare {a.shape} with {b.shape}")
    difference = a.astype(np.int16) - b.astype(np.int16)
    return np.multiply(difference, difference, dtype=np.int32)


@dataclass(frozen=True)
class Errors:
    """Sum of squared errors over `samples` samples."""

    squared: float
    samples: int


@dataclass(frozen=True)
class Protocol:
    """One protocol at one scale (1 to 4)."""

    name: Name
    scale: int

    def frame(self, squared: Squares) -> Errors:
        """What counts of one frame's squared errors, `[h, w]` or `[h, w, 3]`.

        Raises ValueError where the frame is so small that shaving leaves nothing.
        """
        if self.name == "stdo":
            return self._patches(squared)
        shave = self.scale + 6 if self.name == "cafm" else 0
        height, width = squared.shape[:2]
        return _sum(squared[shave : height - shave, shave : width - shave])

    def _patches(self, squared: Squares) -> Errors:
        """STDO's grid: as many whole patches as fit, the last row and column absorb the rest."""
        rows, columns = (side * self.scale for side in _STDO_PATCH[self.scale])
        shave = self.scale + 4
        height, width = squared.shape[:2]
        edges_y = [*range(0, max(1, height // rows) * rows, rows), height]
        edges_x = [*range(0, max(1, width // columns) * columns, columns), width]
        keep_y, keep_x = (
            np.concatenate([np.arange(a + shave, b - shave) for a, b in itertools.pairwise(edges)])
            for edges in (edges_y, edges_x)
        )
        kept = squared[keep_y].sum(axis=0, dtype=np.int64)[keep_x]
        return _errors(float(kept.sum()), keep_y.size * kept.size)

    def psnr(self, frames: Sequence[Errors]) -> float:
        """PSNR in dB of a video from its frames' errors: pooled for STDO, else the mean."""
        if self.name == "stdo":
            samples = sum(errors.samples for errors in frames)
            return psnr_of(sum(errors.squared for errors in frames), samples)
        return float(np.mean([psnr_of(errors.squared, errors.samples) for errors in frames]))


def _sum(squared: Squares) -> Errors:
    return _errors(float(squared.sum(dtype=np.int64)), squared.size)


def _errors(squared: float, samples: int) -> Errors:
    if samples == 0:
        raise ValueError("the frame is too small for this protocol: shaving leaves nothing of it")
    return Errors(squared, samples)
