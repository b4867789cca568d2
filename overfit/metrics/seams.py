"""Two seam measures: what borders between patches add to the error, in dB; above 0, seams.

    seam gap   the squared error within two samples of a border
    seam step  the squared jump of the error across a border, which tells experts that differ

each over the same one LR sample further away on both sides, less what that is of the same grid
moved by a macroblock either way, where no patch ends. So near,

    content          is alike, whatever the patches hold;
    sub-pixels       are the same: a network shuffles scale² of them, not all equally good;
    H.264's blocks   are in the same place: its error is larger at their borders, where patches end
                     too, and a macroblock further it is as large without any patch.

The frame's own edges are no seams. Luma, pooled over the video. Content leaves some noise; what
bicubic interpolation reads, which knows no patches, shows how much.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from overfit.metrics.protocols import Errors
from overfit.metrics.psnr import U8, psnr_of

VERSION = 2
"""Rises when a seam measure changes its meaning, so that kept figures are measured again."""

BORDER = 2
"""Samples on either side of a border between patches, at full size."""
MACROBLOCK = 16
"""Luma samples of the LR (H.264, clause 6.3)."""

Bool = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]
Rectangle = tuple[int, int, int, int]
_Lines = tuple[Bool, Bool]
"""Where `[height, width]` a patch ends to the left of a sample, and where above it."""


@dataclass(frozen=True)
class _Places:
    """Flat indices into a luma plane: samples; the right one of pairs, the lower one of pairs."""

    samples: Index
    right: Index
    lower: Index

    @classmethod
    def of(cls, lines: Sequence[_Lines], samples: Sequence[int], pairs: Sequence[int]) -> "_Places":
        """All that lies at these distances from any of the lines, in samples."""
        shape = lines[0][0].shape
        at, right, lower = (np.zeros(shape, bool) for _ in range(3))
        for vertical, horizontal in lines:
            for by in samples:
                at |= _moved(vertical, 1, by) | _moved(horizontal, 0, by)
            for by in pairs:
                right |= _moved(vertical, 1, by)
                lower |= _moved(horizontal, 0, by)
        right[:, 0] = lower[0] = False
        return cls(*(np.flatnonzero(mask) for mask in (at, right, lower)))

    def without(self, other: "_Places") -> "_Places":
        """What is not also in `other`."""
        ours = (self.samples, self.right, self.lower)
        theirs = (other.samples, other.right, other.lower)
        kept = (np.setdiff1d(a, b, assume_unique=True) for a, b in zip(ours, theirs, strict=True))
        return _Places(*kept)


@dataclass(frozen=True)
class SeamGrid:
    """Where a frame has seams, what lies near them, and both where no patch ends.

    Figures of `SeamErrors` come in this order.
    """

    seams: _Places
    near: _Places
    moved: _Places
    near_moved: _Places

    @classmethod
    def of(cls, rectangles: Iterable[Rectangle], height: int, width: int, scale: int) -> "SeamGrid":
        """Of patches (x, y, width, height) in HR samples, and the scale of their rung.

        They tile the frame and may pass its right and lower edge.
        """
        lines = _borders(rectangles, height, width)
        step = MACROBLOCK * scale
        moved = [(_moved(lines[0], 1, by), _moved(lines[1], 0, by)) for by in (-step, step)]
        beside = range(-BORDER, BORDER)
        near = (*range(-scale - BORDER, -scale), *range(scale, scale + BORDER))
        seams = _Places.of([lines], beside, (0,))
        return cls(
            seams,
            _Places.of([lines], near, (-scale, scale)).without(seams),
            _Places.of(moved, beside, (0,)).without(seams),
            _Places.of(moved, near, (-scale, scale)).without(seams),
        )

    @property
    def places(self) -> tuple[_Places, ...]:
        """The four of them."""
        return self.seams, self.near, self.moved, self.near_moved


@dataclass(frozen=True)
class SeamErrors:
    """Squared luma errors of samples, and squared jumps of the error, at a `SeamGrid`'s places."""

    levels: tuple[Errors, ...]
    jumps: tuple[Errors, ...]

    @classmethod
    def of(cls, truth: U8, made: U8, grid: SeamGrid) -> "SeamErrors":
        """Of a frame's luma `[h, w]`."""
        row = truth.shape[1]
        error = (made.astype(np.int16) - truth).ravel()

        def jumps(at: _Places) -> Errors:
            right = error[at.right] - error[at.right - 1]
            lower = error[at.lower] - error[at.lower - row]
            return _total([_squared(right), _squared(lower)])

        return cls(
            tuple(_squared(error[at.samples]) for at in grid.places),
            tuple(jumps(at) for at in grid.places),
        )

    @classmethod
    def total(cls, frames: Sequence["SeamErrors"]) -> "SeamErrors":
        """Of all frames together."""
        return cls(
            tuple(_total(parts) for parts in zip(*(f.levels for f in frames), strict=True)),
            tuple(_total(parts) for parts in zip(*(f.jumps for f in frames), strict=True)),
        )

    @property
    def gap(self) -> float | None:
        """The seam gap in dB; None where there is no seam, or all is beside one."""
        return _excess(self.levels)

    @property
    def step(self) -> float | None:
        """The seam step in dB, likewise."""
        return _excess(self.jumps)


def _borders(rectangles: Iterable[Rectangle], height: int, width: int) -> _Lines:
    vertical, horizontal = (np.zeros((height, width), bool) for _ in range(2))
    for x, y, w, h in rectangles:
        if 0 < x < width:
            vertical[y : y + h, x] = True
        if 0 < y < height:
            horizontal[y, x : x + w] = True
    return vertical, horizontal


def _moved(mask: Bool, axis: int, by: int) -> Bool:
    """Along an axis; what leaves the frame is gone."""
    moved = np.zeros_like(mask)
    size = mask.shape[axis]
    if abs(by) < size:
        into = slice(max(by, 0), size + min(by, 0))
        out_of = slice(max(-by, 0), size - max(by, 0))
        index = (into, out_of) if axis == 0 else ((slice(None), into), (slice(None), out_of))
        moved[index[0]] = mask[index[1]]
    return moved


def _squared(values: npt.NDArray[np.int16]) -> Errors:
    return Errors(float(np.square(values, dtype=np.int32).sum(dtype=np.int64)), values.size)


def _total(parts: Sequence[Errors]) -> Errors:
    return Errors(sum(e.squared for e in parts), sum(e.samples for e in parts))


def _excess(errors: Sequence[Errors]) -> float | None:
    """dB of seams over near, less those of the moved grid; nothing is taken off without one."""
    seams, near, moved, near_moved = errors
    if not seams.samples or not near.samples:
        return None
    content = _decibels(moved, near_moved) if moved.samples and near_moved.samples else 0.0
    return _decibels(seams, near) - content


def _decibels(errors: Errors, near: Errors) -> float:
    return psnr_of(near.squared, near.samples) - psnr_of(errors.squared, errors.samples)
