"""Canvases: plates larger than the frame, and the views that frames have of them.

Numpy code that defines every bit of the warp (`docs/canvas.md`); the runtime gives the same.

    view (four corners) ──► mesh: every 32nd sample of every 32nd row ──► positions ──► samples

The map between is the projective one of a rectangle onto a quadrilateral (P. Heckbert, Fundamentals
of Texture Mapping and Image Warping, 1989, section 2.2.3), exact at the mesh and linear between,
which is near enough: 0.02 samples in a frame 1280 wide whose view is a tenth higher on one side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.errors import PlanError

UNITS = 16
"""Of a view's numbers in a canvas sample."""
FARTHEST = 1 << 19
"""Largest magnitude of a view's numbers."""
ABSENT = 128
"""The code of a plate that is not there, and of what lies beyond the canvas."""
_CELL = 32
_POINT = 1024
"""Of a mesh point's numbers in a canvas sample."""
_LEAST_DEPTH = 0.25

Uint8 = npt.NDArray[np.uint8]
View = npt.NDArray[np.int32]
"""int32 [8]: x, y of the HR frame's corners in 1/16 canvas samples, clockwise from the top left."""


def render(canvas: Uint8, view: View, width: int, height: int) -> Uint8:
    """The plate u8 [height, width] that an HR frame of that size sees of u8 `canvas`.

    Raises PlanError where the view's corners enclose nothing, mirror the frame or lie too far away.
    """
    u, v = positions(view, width, height)
    rows, columns = canvas.shape
    x, y = u >> 5, v >> 5
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    weights = _weights()
    sums = np.zeros((height, width), np.int64)
    for i in range(4):
        row = np.clip(y - 1 + i, 0, rows - 1)
        line = np.zeros_like(sums)
        for j in range(4):
            column = np.clip(x - 1 + j, 0, columns - 1)
            line += weights[u & 31, j] * canvas[row, column].astype(np.int64)
        sums += weights[v & 31, i] * line
    codes = np.clip((sums + (1 << 13)) >> 14, 0, 255)
    return np.where(inside, codes, ABSENT).astype(np.uint8)


def check_view(view: View) -> None:
    """Raises PlanError where the corners enclose nothing, mirror the frame or lie too far away."""
    numbers = [int(number) for number in view]
    if len(numbers) != 8 or max(map(abs, numbers)) > FARTHEST:
        raise PlanError("a view is eight numbers of at most 2^19")
    x, y = numbers[0::2], numbers[1::2]
    if (x[3] - x[2]) * (y[1] - y[2]) - (x[1] - x[2]) * (y[3] - y[2]) < 1:
        raise PlanError("the corners of a view enclose nothing, or mirror the frame")


def positions(
    view: View, width: int, height: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each HR sample lies in the canvas: u and v, int64 [height, width], in 1/32 samples."""
    y, x = np.arange(height)[:, None], np.arange(width)[None]
    down, across = y % _CELL, x % _CELL
    found = []
    for points in _mesh(view, width, height):
        above, below = points[y // _CELL], points[y // _CELL + 1]  # [height, 1, columns]
        rows = ((above * (_CELL - down)[..., None] + below * down[..., None] + 16) >> 5)[:, 0]
        left, right = rows[:, x[0] // _CELL], rows[:, x[0] // _CELL + 1]
        found.append((left * (_CELL - across) + right * across + 512) >> 10)
    return found[0], found[1]


def _mesh(view: View, width: int, height: int) -> list[npt.NDArray[np.int64]]:
    """u and v of the mesh's points, each int64 [rows, columns] in 1/1024 samples."""
    check_view(view)
    x = [float(number) for number in view[0::2]]
    y = [float(number) for number in view[1::2]]
    dx1, dx2, sx = x[1] - x[2], x[3] - x[2], x[0] - x[1] + x[2] - x[3]
    dy1, dy2, sy = y[1] - y[2], y[3] - y[2], y[0] - y[1] + y[2] - y[3]
    area = dx2 * dy1 - dx1 * dy2
    g, h = (dx2 * sy - sx * dy2) / area, (sx * dy1 - dx1 * sy) / area
    a, b = x[1] - x[0] + g * x[1], x[3] - x[0] + h * x[3]
    d, e = y[1] - y[0] + g * y[1], y[3] - y[0] + h * y[3]
    s = (np.arange(-(-width // _CELL) + 1) * _CELL / width)[None]
    t = (np.arange(-(-height // _CELL) + 1) * _CELL / height)[:, None]
    depth = np.maximum(g * s + h * t + 1, _LEAST_DEPTH)
    limit = 32768 * _POINT
    return [
        np.clip(np.floor(numerator / depth * (_POINT // UNITS) + 0.5), -limit, limit).astype(
            np.int64
        )
        for numerator in (a * s + b * t + x[0], d * s + e * t + y[0])
    ]


def _weights() -> npt.NDArray[np.int64]:
    """Keys' cubic (a = -0.5) at 32 phases, int64 [32, 4], each row of sum 128."""
    p = np.arange(32, dtype=np.int64)
    first = (-(p**3) + 64 * p**2 - 1024 * p + 256) >> 9
    second = (3 * p**3 - 160 * p**2 + 65536 + 256) >> 9
    last = (p**3 - 32 * p**2 + 256) >> 9
    return np.stack([first, second, 128 - first - second - last, last], axis=1)
