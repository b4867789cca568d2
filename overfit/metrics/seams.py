"""A seam measure: how much worse a picture is beside the borders between patches than inside them.

    gap = PSNR inside − PSNR within two samples of a border between two patches
    seam gap = gap of the picture − gap of bicubic interpolation

Content is not spread evenly, so the gap of a picture without patches is taken off: what remains is
due to patches. Positive: seams. The frame's own edges are no seams. Luma, squared errors pooled
over the video.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from overfit.metrics.protocols import Errors, Squares
from overfit.metrics.psnr import psnr_of

BORDER = 2
"""Samples on either side of a border between patches, at full size."""

Bool = npt.NDArray[np.bool_]
Rectangle = tuple[int, int, int, int]


def seam_mask(rectangles: Iterable[Rectangle], height: int, width: int) -> Bool:
    """Where `[height, width]` is beside a seam.

    `rectangles` are the patches (x, y, width, height) in HR samples, which tile the frame and may
    pass its right and lower edge.
    """
    mask = np.zeros((height, width), bool)
    for x, y, w, h in rectangles:
        bottom, right = min(y + h, height), min(x + w, width)
        if x > 0:
            mask[y:bottom, x : min(x + BORDER, right)] = True
        if y > 0:
            mask[y : min(y + BORDER, bottom), x:right] = True
        if x + w < width:
            mask[y:bottom, max(x, x + w - BORDER) : x + w] = True
        if y + h < height:
            mask[max(y, y + h - BORDER) : y + h, x:right] = True
    return mask


@dataclass(frozen=True)
class SeamErrors:
    """Squared luma errors beside seams and elsewhere, of a frame or of a video."""

    beside: Errors
    inside: Errors

    @classmethod
    def of(cls, squared: Squares, mask: Bool) -> "SeamErrors":
        """Of a frame's squared errors `[h, w]` and its `seam_mask`."""
        beside = float(squared[mask].sum(dtype=np.int64))
        count = int(mask.sum())
        rest = Errors(float(squared.sum(dtype=np.int64)) - beside, squared.size - count)
        return cls(Errors(beside, count), rest)

    @classmethod
    def total(cls, frames: Sequence["SeamErrors"]) -> "SeamErrors":
        """Of all frames together."""

        def add(parts: list[Errors]) -> Errors:
            return Errors(sum(e.squared for e in parts), sum(e.samples for e in parts))

        return cls(add([f.beside for f in frames]), add([f.inside for f in frames]))

    @property
    def gap(self) -> float | None:
        """PSNR inside less PSNR beside seams, in dB; None where all is the one or the other."""
        if not self.beside.samples or not self.inside.samples:
            return None
        inside = psnr_of(self.inside.squared, self.inside.samples)
        return inside - psnr_of(self.beside.squared, self.beside.samples)


def seam_gap(made: SeamErrors, plain: SeamErrors) -> float | None:
    """The seam gap in dB of a picture, corrected by that of plain interpolation."""
    if made.gap is None or plain.gap is None:
        return None
    return made.gap - plain.gap
