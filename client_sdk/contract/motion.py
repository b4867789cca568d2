"""Motion records: the views that a segment's frames have of its canvas. Format: `docs/canvas.md`.

A camera moves evenly, so a corner is expected where its last step would take it again, and to miss
that as the corner before it did; what is left takes a few bits.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.bounds import MAX_MOTION_BYTES, MAX_MOTION_FRAMES
from kernels.canvas import FARTHEST, check_view
from kernels.errors import PackageError, PlanError
from kernels.range_coder import Contexts, Decoder, Encoder

RECORD_VERSION = 1
_HEADER = struct.Struct("<BH")
_LONGEST = 24
"""Bits of a number, at most: a difference of three numbers of 20 bits twice."""

Views = NDArray[np.int32]
"""int32 [frames, 8], rows as `kernels.canvas.View`."""


class _Model:
    """The number of bits of a miss, for the first corner and for those that follow it."""

    def __init__(self) -> None:
        self.lengths = Contexts(2 * (_LONGEST + 1))


def encode_motion(views: Views) -> bytes:
    """The record of the views int32 [frames, 8]: a 3-byte header and one range-coded stream.

    Raises PackageError where a view is none.
    """
    if len(views) > MAX_MOTION_FRAMES:
        raise PackageError(f"motion of {len(views)} frames passes {MAX_MOTION_FRAMES}")
    _check(views)
    coder, model = Encoder(), _Model()
    for number, view in enumerate(views):
        missed = [0, 0]
        for index, expected in enumerate(_expected(views, number)):
            miss = int(view[index]) - expected
            _encode(coder, model, index, miss - missed[index % 2])
            missed[index % 2] = miss
    record = _HEADER.pack(RECORD_VERSION, len(views)) + coder.finish()
    if len(record) > MAX_MOTION_BYTES:
        raise PackageError(f"a motion record of {len(record)} bytes passes {MAX_MOTION_BYTES}")
    return record


def decode_motion(data: bytes, frames: int) -> Views:
    """The views of a segment of `frames` frames.

    Safe on any bytes: raises PackageError on a wrong version, number or length.
    """
    if not _HEADER.size < len(data) <= MAX_MOTION_BYTES:
        raise PackageError(f"a motion record of {len(data)} bytes is too short or too long")
    version, count = _HEADER.unpack_from(data)
    if version != RECORD_VERSION:
        raise PackageError(
            f"the motion record has version {version}; this program reads {RECORD_VERSION}"
        )
    if not 1 <= frames <= MAX_MOTION_FRAMES:
        raise PackageError(f"motion of {frames} frames passes {MAX_MOTION_FRAMES}")
    if count != frames:
        raise PackageError(f"the motion record is of {count} frames, its segment of {frames}")
    views, model = np.zeros((frames, 8), np.int32), _Model()
    try:
        coder = Decoder(data[_HEADER.size :])
        for number in range(frames):
            missed = [0, 0]
            for index, expected in enumerate(_expected(views, number)):
                missed[index % 2] += _decode(coder, model, index)
                value = expected + missed[index % 2]
                if abs(value) > FARTHEST:
                    raise PackageError(f"the motion record leads {value} away from the canvas")
                views[number, index] = value
        coder.finish()
    except PlanError as error:
        raise PackageError(f"the motion record is damaged: {error}") from None
    _check(views)
    return views


def _check(views: Views) -> None:
    for number, view in enumerate(views):
        try:
            check_view(view)
        except PlanError as error:
            raise PackageError(f"frame {number} of a motion record: {error}") from None


def _expected(views: Views, number: int) -> list[int]:
    """Where the corners of a view are expected: in even motion; the first view at 0."""
    if number == 0:
        return [0] * 8
    last: list[int] = views[number - 1].tolist()
    if number == 1:
        return last
    return [2 * a - b for a, b in zip(last, views[number - 2].tolist(), strict=True)]


def _encode(coder: Encoder, model: _Model, index: int, miss: int) -> None:
    """Exponential Golomb: how many bits |miss| has in unary, those below the highest, the sign."""
    size = abs(miss)
    length = size.bit_length()
    first = (_LONGEST + 1) * int(index > 1)
    for step in range(length):
        coder.encode(1, model.lengths, first + step)
    if length < _LONGEST:
        coder.encode(0, model.lengths, first + length)
    for shift in range(length - 2, -1, -1):
        coder.bypass(size >> shift & 1)
    if size:
        coder.bypass(int(miss < 0))


def _decode(coder: Decoder, model: _Model, index: int) -> int:
    first = (_LONGEST + 1) * int(index > 1)
    length = 0
    while length < _LONGEST and coder.decode(model.lengths, first + length):
        length += 1
    size = int(length > 0)
    for _ in range(length - 1):
        size = size << 1 | coder.bypass()
    return -size if size and coder.bypass() else size
