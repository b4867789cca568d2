"""Codes the integers of a wavelet pyramid by what small networks expect of each.

    planes, coarse to fine ─ samples before it, the coarser plane, other planes of its level ──►
        context network, integers only ─► scale ─► Laplace table ─► rANS

As in COOL-CHIC (arXiv 2212.05458) and C3 (arXiv 2312.02753), the networks travel with what they
code, and their bytes count. Weights are rounded and sums are of integers, so the decoder, which
works along diagonals, finds the very tables of the encoder. rANS: Duda, arXiv 1311.2540.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kernels.errors import CrispcastError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEAR: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, -1),),
    ((-1, 0),),
    ((-1, -1), (-1, 1)),
    ((0, -2), (-2, 0), (-2, -1), (-2, 1)),
)
"""Rows and columns from a sample to those before it; absolute values of a group are summed."""
FACTS = len(NEAR) + 4
"""Those, and absolute values in the coarser plane and in the level's earlier planes: at the sample
and summed over the 3x3 around it. As log2(1 + x)."""
HIDDEN = 8
SHARED = 2
"""The finest levels have networks of their own, a plane each; all coarser ones share three."""
LARGEST = 1 << 15
STEPS_OF_SCALE, SCALES = 8, 64
"""Scales are 1/8 of an octave apart, 64 of them from 1/16 up."""
_ONE, _FACT = 256, 16
"""What 1 is in rounded weights, and in facts."""
_REACH = 31
"""Samples as far from 0 have a place in the tables; others escape, for 16 bits more."""
_WHOLE = 1 << 16
_HEAD = struct.Struct("<4sHHBH")
_MAGIC = b"PLN1"
_WEIGHTS = HIDDEN * (FACTS + 1) + HIDDEN + 1


@dataclass(frozen=True, eq=False)
class Contexts:
    """A context network, rounded: int16 [HIDDEN, FACTS + 1] and [HIDDEN + 1], biases last.

    It gives log2 of the scale of a sample.
    """

    first: NDArray[np.int16]
    second: NDArray[np.int16]

    @classmethod
    def rounded(cls, first: Floats, second: Floats) -> Contexts:
        """From weights that are no integers."""
        codes = [np.clip(np.rint(w * _ONE), -32767, 32767) for w in (first, second)]
        return cls(codes[0].astype(np.int16), codes[1].astype(np.int16))

    def scales(self, facts: Ints) -> Ints:
        """Numbers of the scales, int64 [n], of sums of absolute values [n, FACTS].

        Sums are of integers below 2^53 in double precision, which is exact in any order.
        """
        first, second = self.first.astype(np.float64), self.second.astype(np.float64)
        logs = np.rint(np.log2(1.0 + facts) * _FACT)
        hidden = np.maximum(logs @ first[:, :-1].T + first[:, -1] * _FACT, 0)
        made = np.floor(hidden / _ONE) @ second[:-1] + second[-1] * _FACT
        number = np.floor(made * (STEPS_OF_SCALE / (_ONE * _FACT)) + 0.5) + SCALES // 2
        clipped: Ints = np.clip(number, 0, SCALES - 1).astype(np.int64)
        return clipped


def network_of(level: int, band: int) -> int:
    """Which network codes a plane; `level` 0 is the finest, `band` 0 to 2. The top has the last."""
    return 3 * min(level, SHARED) + band


NETWORKS = 3 * (SHARED + 1) + 1


def encode_planes(top: Ints, levels: Sequence[Ints], networks: Sequence[Contexts]) -> bytes:
    """Bytes of a pyramid: its top int64 [h, w] and levels [3, h, w], the finest first.

    Each level is twice as large as the next, the last as large as the top. Raises CrispcastError
    where a sample is too large.
    """
    if any(np.abs(part).max(initial=0) >= LARGEST for part in (top, *levels)):
        raise CrispcastError(f"planes have samples of {LARGEST} and more: code in larger steps")
    coded = []
    for level, plane, values in _planes(top, levels):
        plane.inner[:] = values
        order = np.concatenate(list(_fronts(*values.shape)))
        coded.append((plane.inner.ravel()[order], networks[level].scales(plane.facts(order))))
    weights = b"".join(n.first.tobytes() + n.second.tobytes() for n in networks)
    packed = zlib.compress(weights, 9)
    head = _HEAD.pack(_MAGIC, *top.shape, len(levels), len(packed))
    values, scales = (np.concatenate(part) for part in zip(*coded, strict=True))
    return head + packed + _rans_encode(values, scales)


def decode_planes(data: bytes) -> tuple[Ints, list[Ints]]:
    """The pyramid of `encode_planes`. Raises CrispcastError where the bytes are not whole."""
    try:
        magic, height, width, count, size = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            raise CrispcastError("these bytes are no planes")
        codes = np.frombuffer(zlib.decompress(data[_HEAD.size :][:size]), np.int16)
        networks = [
            Contexts(own[: -HIDDEN - 1].reshape(HIDDEN, -1), own[-HIDDEN - 1 :])
            for own in codes.reshape(NETWORKS, _WEIGHTS)
        ]
        reader = _RansReader(data[_HEAD.size + size :])
        top: Ints = np.zeros((height, width), np.int64)
        levels: list[Ints] = [
            np.zeros((3, height << up, width << up), np.int64) for up in reversed(range(count))
        ]
        for level, plane, values in _planes(top, levels):
            for front in _fronts(*values.shape):
                rows, columns = np.divmod(front, values.shape[1])
                plane.inner[rows, columns] = reader.read(networks[level].scales(plane.facts(front)))
            values[:] = plane.inner
    except (struct.error, zlib.error, ValueError, StopIteration) as error:
        raise CrispcastError(f"these planes are damaged: {error}") from error
    return top, levels


def _planes(top: Ints, levels: Sequence[Ints]) -> Iterator[tuple[int, _Plane, Ints]]:
    """Every plane in the order of coding: its network, its still empty contexts, its samples."""
    yield NETWORKS - 1, _Plane(top.shape, None, []), top
    for level in reversed(range(len(levels))):
        for band, values in enumerate(levels[level]):
            parent = levels[level + 1][band] if level + 1 < len(levels) else None
            earlier = [levels[level][other] for other in range(band)]
            yield network_of(level, band), _Plane(values.shape, parent, earlier), values


class _Plane:
    """A plane within zeros, and the facts of its samples."""

    def __init__(
        self, shape: tuple[int, ...], parent: Ints | None, earlier: Sequence[Ints]
    ) -> None:
        height, width = shape
        self._padded = np.zeros((height + 2, width + 3), np.int64)
        self.inner = self._padded[2:, 2:-1]
        self._others = np.zeros((4, height * width), np.int64)
        if parent is not None:
            for fact, of in enumerate(_around(np.abs(parent))):
                self._others[fact] = of.repeat(2, 0).repeat(2, 1).ravel()
        if earlier:
            for fact, of in enumerate(_around(np.abs(earlier).sum(axis=0)), 2):
                self._others[fact] = of.ravel()

    def facts(self, places: Ints) -> Ints:
        """[n, FACTS] of the samples at these places of the flattened plane."""
        rows, columns = np.divmod(places, self.inner.shape[1])
        near = [
            np.sum([np.abs(self._padded[rows + 2 + y, columns + 2 + x]) for y, x in group], axis=0)
            for group in NEAR
        ]
        return np.stack([*near, *self._others[:, places]], axis=1)


def _around(plane: Ints) -> tuple[Ints, Ints]:
    """A plane, and the sums over the 3x3 around each sample."""
    ring, (height, width) = np.pad(plane, 1), plane.shape
    near = [ring[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return plane, np.sum(near, axis=0)


def _fronts(height: int, width: int) -> Iterator[Ints]:
    """Places of the flattened plane, in groups whose contexts are all in groups before."""
    for front in range(width + 2 * (height - 1)):
        first, last = max(0, -(-(front - width + 1) // 2)), min(height - 1, front // 2)
        rows = np.arange(first, last + 1, dtype=np.int64)
        if len(rows):
            yield rows * width + front - 2 * rows


@cache
def _tables() -> list[list[int]]:
    """Where each sample's share of 65536 begins, by scale: -31 to 31, then escape."""
    made = []
    edges = np.arange(-_REACH, _REACH + 2) - 0.5
    for scale in 2.0 ** ((np.arange(SCALES) - SCALES // 2) / STEPS_OF_SCALE):
        tails = np.exp(-np.abs(edges) / scale) / 2
        inside = np.diff(np.where(edges < 0, tails, 1 - tails))
        shares = np.floor(np.append(inside, 2 * tails[0]) * (_WHOLE - len(edges))) + 1
        shares[_REACH] += _WHOLE - shares.sum()
        made.append([0, *np.cumsum(shares).astype(int).tolist()])
    return made


def _rans_encode(values: Ints, scales: Ints) -> bytes:
    known, escape = _tables(), 2 * _REACH + 1
    state, words = _WHOLE, []
    for value, number in zip(values[::-1].tolist(), scales[::-1].tolist(), strict=True):
        symbol = value + _REACH
        if not 0 <= symbol < escape:
            words.append(state & 0xFFFF)
            state = (state >> 16 << 16) + (value & 0xFFFF)
            symbol = escape
        begin, end = known[number][symbol : symbol + 2]
        share = end - begin
        if state >= share << 16:
            words.append(state & 0xFFFF)
            state >>= 16
        state = (state // share << 16) + state % share + begin
    return struct.pack("<I", state) + np.array(words[::-1], "<u2").tobytes()


class _RansReader:
    def __init__(self, data: bytes) -> None:
        [self._state] = struct.unpack_from("<I", data)
        self._words: Iterator[int] = iter(np.frombuffer(data[4:], "<u2").tolist())

    def read(self, scales: Ints) -> Ints:
        """Samples, one by each of these scales. Raises ValueError where there are no more."""
        known, escape = _tables(), 2 * _REACH + 1
        state, found = self._state, []
        for number in scales.tolist():
            table, slot = known[number], state & 0xFFFF
            symbol = bisect_right(table, slot) - 1
            state = (table[symbol + 1] - table[symbol]) * (state >> 16) + slot - table[symbol]
            if state < _WHOLE:
                state = state << 16 | self._word()
            value = symbol - _REACH
            if symbol == escape:
                value = (state & 0xFFFF ^ 0x8000) - 0x8000
                state = state >> 16 << 16 | self._word()
            found.append(value)
        self._state = state
        return np.array(found, np.int64)

    def _word(self) -> int:
        word = next(self._words, None)
        if word is None:
            raise ValueError("they end too soon")
        return word
