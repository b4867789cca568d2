"""Plans come from the network: any bytes are a plan that runs or a PlanError, never harm."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import runtime
from kernels.compiler import encode_plan
from kernels.errors import PlanError
from kernels.plan import PlanTable
from tests.kernels.plans import every_branch, plan_for, spec

WIRE = encode_plan(every_branch())


def seal(body: bytes) -> bytes:
    """A plan of this body with a right checksum."""
    return struct.pack("<4sBBHI", b"CCPL", 1, 0, 0, zlib.crc32(body)) + body


def load(wire: bytes) -> runtime.Plan | None:
    """The plan, or None where it is refused."""
    try:
        return runtime.Plan(wire)
    except PlanError:
        return None


def run(plan: runtime.Plan) -> None:
    y, c = np.full((9, 13), 200, np.uint8), np.zeros((5, 7), np.uint8)
    out = runtime.Engine(1).upscale((y, c, c), plan.scale, plans=[plan])
    assert out[0].shape == (9 * plan.scale, 13 * plan.scale)


def test_every_cut_is_refused() -> None:
    for size in range(len(WIRE)):
        assert load(WIRE[:size]) is None
        if size > 12:
            assert load(seal(WIRE[12:size])) is None


def test_bytes_left_over_are_refused() -> None:
    assert load(seal(WIRE[12:] + b"\0")) is None
    assert load(seal(WIRE[12:] + bytes(100))) is None


def test_every_flipped_bit_is_seen_by_the_checksum() -> None:
    for at in range(len(WIRE)):
        for bit in (1, 16, 128):
            assert load(WIRE[:at] + bytes([WIRE[at] ^ bit]) + WIRE[at + 1 :]) is None


def test_every_byte_may_lie_under_a_right_checksum() -> None:
    rng = np.random.default_rng(0)
    believed = 0
    for at in range(12, len(WIRE)):
        lie = bytes([int(rng.integers(0, 256))])
        plan = load(seal(WIRE[12:at] + lie + WIRE[at + 1 :]))
        if plan is not None and plan.weights < 20000:
            run(plan)
            believed += 1
    assert believed > 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    assert load(body) is None
    plan = load(seal(body))
    if plan is not None:
        assert plan.scale in (1, 2, 3, 4)
        if plan.weights < 20000:
            run(plan)


def test_a_great_plan_in_few_bytes_is_bounded() -> None:
    # 128 layers of 512 channels: refused by the weights' limit before anything is allocated.
    first, last = bytes([3, 1, 0, 0x80, 4, 8, 16, 8]), bytes([3, 1, 1, 4, 8, 16, 8])
    layer = bytes([3, 1, 1, 0x80, 4, 8, 16, 8])
    body = bytes([2, 1, 1, 0x80, 1]) + first + layer * 126 + last
    with pytest.raises(PlanError, match="limit"):
        runtime.Plan(seal(body))


def test_rows_that_would_take_too_much_memory_are_refused() -> None:
    # 15 values of 508 channels, each read at once and again 64 rows later.
    wide = [spec(508, 0, kernel=1, block=8) for _ in range(15)]
    narrow = [spec(1, 1 + i, kernel=1, block=1) for i in range(15)]
    joined = [spec(1, *range(16, 24), kernel=1), spec(1, *range(24, 31), kernel=1)]
    deep = [spec(1, 31, 32, kernel=5)] + [spec(1, 33 + i, kernel=5) for i in range(31)]
    late = [spec(4, 64 + i, 1 + i, kernel=1) for i in range(15)]
    table = PlanTable(2, ("luma",), True, (*wide, *narrow, *joined, *deep, *late))
    with pytest.raises(PlanError, match="64 MiB"):
        runtime.Plan(encode_plan(plan_for(table, 0, density=0.02)))
