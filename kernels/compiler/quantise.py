"""Symmetric integer weights, one scale per output channel on the plan's eighth-octave grid."""

from __future__ import annotations

import numpy as np

from kernels.errors import PlanError
from kernels.plan import Float, Half, Int8, Uint8, scale_values

# Steps on the grid that are tried around the scale at which the largest weight just fits: down two
# octaves, where clipping a few large weights may pay, and up one, where a power of two that all
# weights are multiples of is hit exactly.
_DOWN, _UP = 16, 8


def quantise_weights(weight: Float, bits: int) -> tuple[Int8, Uint8]:
    """(i8 [cout, cin, k, k], scale codes u8 [cout]) of f32 [cout, cin, k, k].

    Each channel gets the scale of the least squared error. Raises PlanError where `bits` is not
    2 … 8 or a weight is too large for any scale.
    """
    if not 2 <= bits <= 8:
        raise PlanError(f"weights of {bits} bits: choose 2 to 8")
    grid = scale_values()
    highest = 2 ** (bits - 1) - 1
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1)
    if largest.max() > float(grid[-1]) * highest:
        raise PlanError(f"a weight of {largest.max():g} is too large for a plan: train it again")
    fits = np.searchsorted(grid.astype(np.float64) * highest, largest)
    best_error = np.full(len(rows), np.inf)
    best_code = np.zeros(len(rows), np.int64)
    for step in range(_UP, -_DOWN - 1, -1):  # large scales first: equal errors take small integers
        codes = np.clip(fits + step, 0, 255)
        scales = grid[codes].astype(np.float64)[:, None]
        error = ((_integers(rows, scales, highest) * scales - rows) ** 2).sum(axis=1)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_code = np.where(better, codes, best_code)
    # A channel of zeros may have any scale; 0 is the one that says so.
    best_code[largest == 0] = 0
    integers = _integers(rows, grid[best_code].astype(np.float64)[:, None], highest)
    return integers.astype(np.int8).reshape(weight.shape), best_code.astype(np.uint8)


def to_half(numbers: Float, what: str) -> Half:
    """`numbers` in half precision; raises PlanError, naming `what`, where they do not fit."""
    if not (np.abs(numbers) <= np.finfo(np.float16).max).all():
        raise PlanError(f"a {what} beyond half precision: train the network again")
    return numbers.astype(np.float16)


def _integers(
    rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    scales: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    highest: int,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(np.clip(np.rint(rows / scales), -highest, highest))
