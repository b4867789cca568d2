"""Two seam measures: what borders between patches add to the error, in dB; above 0, seams.

    seam gap   the squared error within two samples of a border
    seam step  the squared jump of the error across a border, which tells experts that differ

each over the same one LR sample further away on both sides, less what that is of the same grid
moved by a macroblock either way, where no patch ends. So near,

    content          is alike, whatever the patches hold;
    sub-pixels       are the same: a network shuffles scale² of them, not all equally good;
    H.264's blocks   are in the same place: its error is larger at their borders, where patches end
                     too, and a macroblock further it is as large without any patch.

Borders are compared in short pieces, and a figure is the mean over all pieces of all frames, so
that no few hard places decide. The frame's own edges are no seams. Luma. Content leaves some noise;
what bicubic interpolation reads, which knows no patches, shows how much.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from overfit.metrics.psnr import U8

VERSION = 2
"""Rises when a seam measure changes its meaning, so that kept figures are measured again."""

BORDER = 2
"""Samples on either side of a border between patches, at full size."""
PIECE = 8
"""Luma samples of the LR along a border."""
MACROBLOCK = 16
"""Luma samples of the LR (H.264, clause 6.3)."""
ROUNDING = 1 / 12
"""Squared error that 8 bits make by themselves; without it, log(0)."""

Bool = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]
Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Pieces:
    """Pieces of borders in one direction, as flat indices into a luma plane, a row for each piece.

    `beside` and `near` are samples; `at` and `near_at` the later ones of pairs whose earlier ones
    are `back` before them.
    """

    beside: Index
    near: Index
    at: Index
    near_at: Index
    back: int

    @classmethod
    def of(cls, lines: Bool, scale: int, across: int, along: int) -> "_Pieces":
        """Of lines `[n, m]`: where a patch begins along the second axis.

        `across` and `along` are the flat distances of neighbours on the second and first axis.
        """
        length, margin = PIECE * scale, scale + BORDER
        count = lines.shape[0] // length
        whole: Bool = lines[: count * length].reshape(count, length, -1).min(axis=1)
        whole[:, :margin] = whole[:, max(0, whole.shape[1] - margin) :] = False
        row, column = np.nonzero(whole)
        first = row * length * along + column * across
        beside = np.arange(-BORDER, BORDER)
        near = np.r_[-scale - BORDER : -scale, scale : scale + BORDER]

        def places(distances: npt.NDArray[np.int_]) -> Index:
            offsets = np.add.outer(np.arange(length) * along, distances * across).ravel()
            found: Index = np.add.outer(first, offsets)
            return found

        ends = np.array([-scale, scale])
        return cls(places(beside), places(near), places(np.array([0])), places(ends), across)


@dataclass(frozen=True)
class _Excess:
    """dB of `pieces` pieces, summed."""

    decibels: float
    pieces: int

    @classmethod
    def of(cls, squared: npt.NDArray[np.float64], near: npt.NDArray[np.float64]) -> "_Excess":
        """Of the mean squares of each piece and near it."""
        ratios = (squared + ROUNDING) / (near + ROUNDING)
        return cls(float(10 * np.log10(ratios).sum()), len(ratios))

    @classmethod
    def total(cls, parts: Iterable["_Excess"]) -> "_Excess":
        """Of all together."""
        known = list(parts)
        return cls(sum(part.decibels for part in known), sum(part.pieces for part in known))


@dataclass(frozen=True)
class SeamGrid:
    """Where a frame has seams, and the same borders where no patch ends."""

    seams: tuple[_Pieces, ...]
    moved: tuple[_Pieces, ...]

    @classmethod
    def of(cls, rectangles: Iterable[Rectangle], height: int, width: int, scale: int) -> "SeamGrid":
        """Of patches (x, y, width, height) in HR samples, and the scale of their rung.

        They tile the frame and may pass its right and lower edge.
        """
        vertical, horizontal = np.zeros((height, width), bool), np.zeros((width, height), bool)
        for x, y, w, h in rectangles:
            vertical[y : y + h, x : x + 1] = True
            horizontal[x : x + w, y : y + 1] = True
        vertical[:, 0] = horizontal[:, 0] = False  # the frame's edges
        # Where two borders cross, what is near the one is beside the other.
        clear = ~_beside(horizontal).T, ~_beside(vertical).T
        directions = ((vertical, clear[0], 1, width), (horizontal, clear[1], width, 1))
        step = MACROBLOCK * scale
        return cls(
            tuple(_Pieces.of(lines & clear, scale, *steps) for lines, clear, *steps in directions),
            tuple(
                _Pieces.of(_moved(lines, by) & ~lines & clear, scale, *steps)
                for lines, clear, *steps in directions
                for by in (-step, step)
            ),
        )


@dataclass(frozen=True)
class SeamErrors:
    """What a frame's, or a video's, error and its jumps are at seams, and where no patch ends."""

    levels: tuple[_Excess, _Excess]
    jumps: tuple[_Excess, _Excess]

    @classmethod
    def of(cls, truth: U8, made: U8, grid: SeamGrid) -> "SeamErrors":
        """Of a frame's luma `[h, w]`."""
        error = (made.astype(np.int16) - truth).ravel()

        def squared(values: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
            means: npt.NDArray[np.float64] = np.square(values, dtype=np.int32).mean(axis=1)
            return means

        def level(pieces: _Pieces) -> _Excess:
            return _Excess.of(squared(error[pieces.beside]), squared(error[pieces.near]))

        def jump(pieces: _Pieces) -> _Excess:
            at, near = (
                squared(error[places] - error[places - pieces.back])
                for places in (pieces.at, pieces.near_at)
            )
            return _Excess.of(at, near)

        return cls(
            (_Excess.total(map(level, grid.seams)), _Excess.total(map(level, grid.moved))),
            (_Excess.total(map(jump, grid.seams)), _Excess.total(map(jump, grid.moved))),
        )

    @classmethod
    def total(cls, frames: Sequence["SeamErrors"]) -> "SeamErrors":
        """Of all frames together."""
        levels, jumps = (
            (_Excess.total(part[0] for part in parts), _Excess.total(part[1] for part in parts))
            for parts in ([f.levels for f in frames], [f.jumps for f in frames])
        )
        return cls(levels, jumps)

    @property
    def gap(self) -> float | None:
        """The seam gap in dB; None where there is no piece of a seam."""
        return _beyond_content(*self.levels)

    @property
    def step(self) -> float | None:
        """The seam step in dB, likewise."""
        return _beyond_content(*self.jumps)


def _moved(lines: Bool, by: int) -> Bool:
    """Along the second axis; what leaves the frame is gone."""
    moved = np.zeros_like(lines)
    if by > 0:
        moved[:, by:] = lines[:, :-by]
    else:
        moved[:, :by] = lines[:, -by:]
    return moved


def _beside(lines: Bool) -> Bool:
    """Samples within `BORDER` of a line."""
    beside = lines.copy()
    for by in range(1, BORDER + 1):
        beside |= _moved(lines, -by)
        beside[:, by:] |= lines[:, :-by] if by < BORDER else False
    return beside


def _beyond_content(seams: _Excess, moved: _Excess) -> float | None:
    """Nothing is taken off where the frame has no room for a moved grid."""
    if not seams.pieces:
        return None
    content = moved.decibels / moved.pieces if moved.pieces else 0.0
    return seams.decibels / seams.pieces - content
