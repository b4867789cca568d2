"""Chroma plates: the colour of what stands still, where the LR's is too coarse to hold it.

Numpy code that defines every bit (`docs/chroma.md`); the runtime gives the same.

    LR chroma ──► interpolated ────────────────────────────────┐
        └── − plate brought down ──► disagreement ──► weights ─┴─► a step towards the plate
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ABSENT = 0
"""The code of U where there is no plate."""
FULL = 128
"""The weight that takes the plate as it is."""
MAX_TOLERANCE = 9 * 255
_UNITS = 64
"""Of a step between weights."""

Uint8 = npt.NDArray[np.uint8]
Int = npt.NDArray[np.int64]
Pair = tuple[Uint8, Uint8]
"""U and V, u8 of one size."""


def mend(interpolated: Pair, lr: Pair, plate: Pair, scale: int, tolerance: int) -> Pair:
    """HR chroma: `interpolated` from `lr`, and `plate` where that agrees with `lr`.

    `lr` are u8 [h, w], `plate` u8 [scale·h, scale·w], `interpolated` of that size or one less.
    """
    wide = spread(weigh(lr, plate, scale, tolerance), scale)
    height, width = interpolated[0].shape

    def step(made: Uint8, there: Uint8) -> Uint8:
        missing = there[:height, :width].astype(np.int64) - made
        moved = made + ((missing * wide[:height, :width] + FULL // 2) >> 7)
        return moved.astype(np.uint8)

    return step(interpolated[0], plate[0]), step(interpolated[1], plate[1])


def weigh(lr: Pair, plate: Pair, scale: int, tolerance: int) -> Int:
    """How much of the plate each LR sample takes: 0 to 128, [h, w]."""
    misses = [
        np.abs(_around(low.astype(np.int64) - shrink(high, scale)).sum(0))
        for low, high in zip(lr, plate, strict=True)
    ]
    left = np.clip(2 * tolerance - np.maximum(*misses), 0, tolerance)
    height, width = lr[0].shape
    cells = plate[0].reshape(height, scale, width, scale)
    known = _around((cells != ABSENT).all(axis=(1, 3))).all(0)
    return np.where(known, left * FULL // tolerance, 0)


def shrink(plane: Uint8, scale: int) -> Uint8:
    """A plane brought down by `scale` as the encoder brings down the LR: an antialiased bicubic."""
    half = _shrink_axis(_shrink_axis(plane.astype(np.int64), scale, 1), scale, 0)
    whole = (16 * scale**4) ** 2
    return np.clip((half + whole // 2) // whole, 0, 255).astype(np.uint8)


def _shrink_axis(values: Int, scale: int, axis: int) -> Int:
    """Keys' cubic (a = −½), stretched by `scale`, times 16·scale³; edges repeated."""
    length, unit = values.shape[axis], 2 * scale
    first = np.arange(0, length, scale)
    total = np.zeros((), np.int64)
    for offset in range(-2 * scale, 3 * scale):
        n = abs(2 * offset - (scale - 1))
        if n < unit:
            weight = 3 * n**3 - 5 * n**2 * unit + 2 * unit**3
        elif n < 2 * unit:
            weight = -(n**3) + 5 * n**2 * unit - 8 * n * unit**2 + 4 * unit**3
        else:
            continue
        total = total + weight * values.take(np.clip(first + offset, 0, length - 1), axis)
    return np.asarray(total)


def spread(weights: Int, scale: int) -> Int:
    """Weights [h, w] at HR samples, [scale·h, scale·w]: linear between, rounded along each axis."""
    return _spread_axis(_spread_axis(weights, scale, 0), scale, 1)


def _spread_axis(weights: Int, scale: int, axis: int) -> Int:
    length = weights.shape[axis]
    here = np.arange(length)
    phases = []
    for phase in range(scale):
        k = 2 * phase + 1 - scale
        units = _UNITS * abs(k) // (2 * scale)
        there = weights.take(np.clip(here + (1 if k > 0 else -1), 0, length - 1), axis)
        phases.append((weights * (_UNITS - units) + there * units + _UNITS // 2) // _UNITS)
    shape = list(weights.shape)
    shape[axis] *= scale
    return np.stack(phases, axis + 1).reshape(shape)


def _around(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """The nine samples around each, edges repeated: [9, h, w]."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="edge")
    return np.stack([padded[j : j + height, i : i + width] for j in range(3) for i in range(3)])
