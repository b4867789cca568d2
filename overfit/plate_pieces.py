"""Plates in pieces: each is sent where it pays, the most useful first, and shown as it arrives.

plate --cut--> pieces --AVIF--> bytes
blocks that would take the plate --sum over a piece--> what it saves --by its bytes--> order
                                        is that worth its bytes? --no--> left out
an earlier piece of the same place --> kept where the new one saves too little beside it
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.bounds import MAX_PIECES
from client_sdk.contract.plate import Region, compose
from overfit.video.frames import U8

_SIDE = 288
"""About the side of a piece: four by three of them cost 2 % more bytes than 720p in one. It grows
where a frame would have more pieces than a plate may, as 4K would."""
_GRID = 48
"""Pieces start at multiples of this: whole blocks, and whole LR samples at every scale."""

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Piece:
    """AVIF bytes of a region of the HR frame, their SHA-256, and the luma u8 decoded from them."""

    region: Region
    data: bytes
    sha256: str
    luma: U8

    @property
    def key(self) -> tuple[Region, str]:
        """What makes it another piece."""
        return self.region, self.sha256

    @classmethod
    def of(cls, region: Region, data: bytes, luma: U8) -> Piece:
        """A piece, hashed."""
        return cls(region, data, hashlib.sha256(data).hexdigest(), luma)


def regions(width: int, height: int) -> list[Region]:
    """The regions of a plate of this size, row by row: at most `MAX_PIECES`."""
    side = _SIDE
    while len(tiled := _tiles(width, height, side)) > MAX_PIECES:
        side += _GRID
    return tiled


def _tiles(width: int, height: int, side: int) -> list[Region]:
    """Regions of about `side` by `side`."""

    def edges(length: int) -> list[int]:
        count = max(1, round(length / side))
        inner = [round(length * n / count / _GRID) * _GRID for n in range(1, count)]
        return sorted({0, *(edge for edge in inner if 0 < edge < length), length})

    xs, ys = edges(width), edges(height)
    return [
        (x, y, right - x, bottom - y)
        for y, bottom in itertools.pairwise(ys)
        for x, right in itertools.pairwise(xs)
    ]


def composed(pieces: Sequence[Piece], width: int, height: int) -> U8:
    """The plate u8 [height, width] that these pieces make."""
    return compose(((piece.region, piece.luma) for piece in pieces), width, height)


def sum_over(saved: F64, region: Region, block: int) -> float:
    """What the blocks of a region save; `saved` [rows, columns] of blocks of `block` samples."""
    x, y, width, height = region
    columns = slice(x // block, -(-(x + width) // block))
    return float(saved[y // block : -(-(y + height) // block), columns].sum())


@dataclass(frozen=True)
class Market:
    """What squared error is worth in bytes.

    error: squared error that is left. bytes: of the video and all. db_per_doubling: dB that twice
    those bytes would gain.
    """

    error: float
    bytes: float
    db_per_doubling: float

    def worth(self, size: int) -> float:
        """The squared error that `size` more bytes of video would save."""
        gain = self.db_per_doubling * math.log2(1 + size / max(self.bytes, 1.0))
        return self.error * (1 - 10 ** (-gain / 10))
