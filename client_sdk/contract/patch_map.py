"""Patch maps: which expert upscales which patch of a segment. Format: `docs/patch-maps.md`.

PatchMap ──encode_record──► record (content-addressed) ──decode_record──► PatchMap
                                                                             │ patches()
                                                                    int32 [n, 5] for the engine
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.bounds import MAX_EXPERTS, MAX_MAP_BYTES, MAX_SIDE
from kernels.errors import PackageError, PlanError
from kernels.range_coder import Contexts, Decoder, Encoder

MAGIC = b"CCPM"
FILE_MAJOR, FILE_MINOR = 1, 0
FILE_HEADER = MAGIC + bytes([FILE_MAJOR, FILE_MINOR])
"""The first bytes of a `.maps` file; the records follow."""

RECORD_VERSION = 1
MIN_PATCH = 8  # luma samples of the LR
MAX_PATCHES = 65_536  # of the grid, before any is split
_HEADER = struct.Struct("<BHH")
_BITS = 7  # an expert index, 0 ... MAX_EXPERTS
_LEVELS = 2  # whole patches and quarters keep their own statistics

Rectangle = tuple[int, int, int, int]
"""x, y, width, height in luma samples of the LR."""
Cell = int | tuple[int, int, int, int]
"""An expert index, or four of them: top left, top right, bottom left, bottom right."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A uniform grid over a frame; the last column and row absorb the remainder.

    All four in luma samples of the LR. A patch larger than the frame is the whole frame.
    Raises PackageError where a number is out of bounds.
    """

    width: int
    height: int
    patch_width: int
    patch_height: int

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise PackageError(f"no grid over a frame of {self.width}x{self.height}")
        if not (
            MIN_PATCH <= self.patch_width <= MAX_SIDE and MIN_PATCH <= self.patch_height <= MAX_SIDE
        ):
            raise PackageError(
                f"patches of {self.patch_width}x{self.patch_height} are outside "
                f"{MIN_PATCH}...{MAX_SIDE}"
            )
        if self.columns * self.rows > MAX_PATCHES:
            raise PackageError(f"{self.columns}x{self.rows} patches pass {MAX_PATCHES}")

    @property
    def columns(self) -> int:
        return max(1, self.width // self.patch_width)

    @property
    def rows(self) -> int:
        return max(1, self.height // self.patch_height)

    def rectangles(self) -> list[Rectangle]:
        """All patches in raster order."""
        xs = _cuts(self.width, self.patch_width, self.columns)
        ys = _cuts(self.height, self.patch_height, self.rows)
        return [(x, y, w, h) for y, h in ys for x, w in xs]


def _cuts(size: int, patch: int, count: int) -> list[tuple[int, int]]:
    starts = [index * patch for index in range(count)]
    ends = [*starts[1:], size]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def quarters(rectangle: Rectangle) -> tuple[Rectangle, Rectangle, Rectangle, Rectangle]:
    """A patch split in four, in raster order; odd sizes give the right and lower ones more."""
    x, y, width, height = rectangle
    left, top = width // 2, height // 2
    right, low = width - left, height - top
    return (
        (x, y, left, top),
        (x + left, y, right, top),
        (x, y + top, left, low),
        (x + left, y + top, right, low),
    )


@dataclass(frozen=True, slots=True)
class PatchMap:
    """The expert of each patch of `grid` in raster order; a 4-tuple is a patch split in four."""

    grid: Grid
    experts: tuple[Cell, ...]

    def __post_init__(self) -> None:
        cells = self.grid.columns * self.grid.rows
        if len(self.experts) != cells:
            raise PackageError(f"{len(self.experts)} experts for a grid of {cells} patches")
        for (_, _, width, height), cell in zip(self.grid.rectangles(), self.experts, strict=True):
            if isinstance(cell, tuple):
                if len(cell) != 4:
                    raise PackageError(f"a patch is split in four, not in {len(cell)}")
                if width < 2 or height < 2:
                    raise PackageError(f"a patch of {width}x{height} cannot be split")
            for expert in cell if isinstance(cell, tuple) else (cell,):
                if not 0 <= expert <= MAX_EXPERTS:
                    raise PackageError(f"expert {expert} is outside 0...{MAX_EXPERTS}")

    @classmethod
    def uniform(cls, width: int, height: int, expert: int) -> PatchMap:
        """One patch over the whole frame: the map of a method with one expert."""
        grid = Grid(width, height, max(width, MIN_PATCH), max(height, MIN_PATCH))
        return cls(grid, (expert,))

    @property
    def highest(self) -> int:
        """The highest expert index in use."""
        return max(max(cell) if isinstance(cell, tuple) else cell for cell in self.experts)

    def patches(self) -> NDArray[np.int32]:
        """[n, 5] int32 rows of x, y, width, height, expert, in LR luma samples, tiling it."""
        rows: list[tuple[int, int, int, int, int]] = []
        for rectangle, cell in zip(self.grid.rectangles(), self.experts, strict=True):
            if isinstance(cell, tuple):
                rows += [(*part, e) for part, e in zip(quarters(rectangle), cell, strict=True)]
            else:
                rows.append((*rectangle, cell))
        return np.array(rows, dtype=np.int32)


class _Model:
    """The contexts of a record. An expert is 'as before', else 'as above', else a bit tree."""

    def __init__(self) -> None:
        self.split = Contexts(3)
        self.same = Contexts(2 * _LEVELS)
        self.above = Contexts(_LEVELS)
        self.tree = Contexts(1 << _BITS)


def encode_record(patch_map: PatchMap) -> bytes:
    """The record of a map: a 5-byte header and one range-coded stream.

    Raises PackageError where the record would pass MAX_MAP_BYTES.
    """
    grid, coder, model = patch_map.grid, Encoder(), _Model()
    before = 0
    for index, cell in enumerate(patch_map.experts):
        up, split_near = _neighbours(patch_map.experts, index, grid.columns)
        split = isinstance(cell, tuple)
        coder.encode(int(split), model.split, split_near)
        for expert in cell if isinstance(cell, tuple) else (cell,):
            level = int(split)
            same = expert == before
            coder.encode(int(same), model.same, 2 * level + (before == up))
            if not same:
                if up != before:
                    coder.encode(int(expert == up), model.above, level)
                if up == before or expert != up:
                    coder.bit_tree(expert, model.tree, _BITS)
            before = expert
    header = _HEADER.pack(RECORD_VERSION, grid.patch_width, grid.patch_height)
    record = header + coder.finish()
    if len(record) > MAX_MAP_BYTES:
        raise PackageError(f"a patch map of {len(record)} bytes passes {MAX_MAP_BYTES}")
    return record


def decode_record(data: bytes, width: int, height: int, max_expert: int) -> PatchMap:
    """The map of a record for an LR frame of width x height luma samples.

    Safe on any bytes: raises PackageError on a wrong version, size, index or length.
    """
    if not _HEADER.size < len(data) <= MAX_MAP_BYTES:
        raise PackageError(f"a patch map of {len(data)} bytes is too short or too long")
    version, patch_width, patch_height = _HEADER.unpack_from(data)
    if version != RECORD_VERSION:
        raise PackageError(
            f"the patch map has version {version}; this program reads {RECORD_VERSION}"
        )
    grid, model = Grid(width, height, patch_width, patch_height), _Model()
    cells: list[Cell] = []
    before = 0
    try:
        coder = Decoder(data[_HEADER.size :])
        for index in range(grid.columns * grid.rows):
            up, split_near = _neighbours(cells, index, grid.columns)
            split = coder.decode(model.split, split_near)
            experts: list[int] = []
            for _ in range(4 if split else 1):
                if not coder.decode(model.same, 2 * split + (before == up)):
                    if up != before and coder.decode(model.above, split):
                        before = up
                    else:
                        before = coder.bit_tree(model.tree, _BITS)
                if before > max_expert:
                    raise PackageError(
                        f"the patch map asks for expert {before} of {max_expert} at patch {index}"
                    )
                experts.append(before)
            four = (experts[0], experts[1], experts[2], experts[3]) if split else None
            cells.append(four if four is not None else experts[0])
        coder.finish()
    except PlanError as error:
        raise PackageError(f"the patch map is damaged: {error}") from None
    return PatchMap(grid, tuple(cells))


def _neighbours(cells: tuple[Cell, ...] | list[Cell], index: int, columns: int) -> tuple[int, int]:
    """Last expert of the patch above (0 at the top) and how many of left and above are split."""
    up = cells[index - columns] if index >= columns else 0
    left = cells[index - 1] if index % columns else 0
    split = int(isinstance(up, tuple)) + int(isinstance(left, tuple))
    return (up[-1] if isinstance(up, tuple) else up), split
