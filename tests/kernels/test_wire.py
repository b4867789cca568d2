"""Plans survive their bytes, the bytes never drift, and every lie in them is refused."""

from __future__ import annotations

import contextlib
import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.compiler.wire import decode_plan, encode_plan
from kernels.errors import PlanError
from kernels.plan import MAX_BYTES, Codes, LayerSpec, PlanIR, PlanTable
from tests.kernels.plans import codes_everywhere, every_branch, plan_for, same, spec, tables

FIXTURES = Path(__file__).parent / "fixtures"
GOLDEN = {"every_branch.plan": every_branch, "codes.plan": codes_everywhere}


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(0, 1 << 30), st.sampled_from([0.0, 0.2, 0.9]))
def test_a_plan_survives_its_bytes(table: PlanTable, seed: int, density: float) -> None:
    plan = plan_for(table, seed, density)
    wire = encode_plan(plan)
    assert same(decode_plan(wire), plan)


@pytest.mark.parametrize("name", list(GOLDEN))
def test_the_bytes_have_not_drifted(name: str) -> None:
    wire = (FIXTURES / name).read_bytes()
    assert encode_plan(GOLDEN[name]()) == wire
    assert same(decode_plan(wire), GOLDEN[name]())


def test_a_long_varint_is_accepted() -> None:
    body = bytearray(_wire()[12:])
    assert body[3] == 5  # layers
    body[3:4] = b"\x85\x80\x80\x80\x00"
    assert same(decode_plan(_seal(body)), every_branch())


@functools.cache
def _wire() -> bytes:
    return encode_plan(every_branch())


def _seal(body: bytes | bytearray, version: tuple[int, int] = (1, 0), flags: int = 0) -> bytes:
    return struct.pack("<4sBBHI", b"CCPL", *version, flags, zlib.crc32(body)) + bytes(body)


def _patched(offset: int, *values: int) -> bytes:
    """The plan with bytes of its op table replaced, and a CRC that agrees."""
    body = bytearray(_wire()[12:])
    body[offset : offset + len(values)] = bytes(values)
    return _seal(body)


# The op table of `every_branch`: 4 bytes, then layer 0 in 9 bytes (3 sources), layer 1 in 8.
LIES: dict[str, Callable[[], bytes]] = {
    "no whole header": lambda: _wire()[:11],
    "not a plan": lambda: b"MPLC" + _wire()[4:],
    "version 2.0": lambda: _seal(_wire()[12:], version=(2, 0)),
    "version 1.2": lambda: _seal(_wire()[12:], version=(1, 2)),
    "flags 0x0001": lambda: _seal(_wire()[12:], flags=1),
    "flags 0x8000": lambda: _seal(_wire()[12:], flags=0x8000),
    "CRC-32": lambda: _wire()[:-1] + bytes([_wire()[-1] ^ 1]),
    "a plan of 4194305 bytes": lambda: _wire().ljust(MAX_BYTES + 1, b"\0"),
    "scale 5": lambda: _patched(0, 5),
    "input planes 0x06": lambda: _patched(1, 6),
    "input planes 0x0f": lambda: _patched(1, 15),
    "base 2": lambda: _patched(2, 2),
    "0 layers": lambda: _patched(3, 0),
    "129 layers": lambda: _seal(_wire()[12:15] + b"\x81\x01" + _wire()[16:]),
    "kernel 2": lambda: _patched(4, 2),
    "0 sources": lambda: _patched(5, 0),
    "9 sources": lambda: _patched(5, 9),
    "value 3 is not defined": lambda: _patched(6, 3),
    "0 output channels": lambda: _patched(9, 0),
    "513 output channels": lambda: _seal(_wire()[12:21] + b"\x81\x04" + _wire()[22:]),
    "block 2": lambda: _patched(10, 2),
    "flags 0x80": lambda: _patched(11, 0x80),
    "flags 0x41": lambda: _patched(11, 0x41),
    "codes must be the output of every layer but the last": lambda: _seal(
        _wire()[12:23] + b"\x21" + _wire()[24:25] + b"\x90" + _wire()[25:]
    ),
    "flags 0x09": lambda: _patched(11, 0x09),
    "weights of 1 bits": lambda: _patched(12, 1),
    "weights of 9 bits": lambda: _patched(12, 9),
    "a residual of 4 channels on 6": lambda: _patched(19, 2),
    "value 4 is not defined": lambda: _patched(19, 4),
    "beyond 32 bits": lambda: _patched(3, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F),
    "inside its op table": lambda: _seal(_wire()[12:30]),
    "at least 4": lambda: _seal(_wire()[12 : 12 + _table_size()] + b"abc"),
    "ends too early": lambda: _seal(_wire()[12:-1]),
    "1 bytes before its data": lambda: _seal(_wire()[12:] + b"\0"),
}


def _table_size() -> int:
    return 4 + 9 + 8 + 8 + 8 + 8


@pytest.mark.parametrize("complaint", list(LIES))
def test_a_lie_is_refused(complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        decode_plan(LIES[complaint]())


def _numbers_changed(**changes: object) -> PlanIR:
    plan = every_branch()
    layer = int(str(changes.pop("layer", 0)))
    numbers = list(plan.numbers)
    fields = {name: np.array(getattr(numbers[layer], name)) for name in vars(numbers[layer])}
    fields |= {name: np.asarray(value) for name, value in changes.items()}
    numbers[layer] = type(numbers[layer])(**fields)
    return PlanIR(plan.table, tuple(numbers))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_bias_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(PlanError, match="not finite"):
        _numbers_changed(bias=np.full(6, bad, np.float16))


def test_a_clip_upside_down_is_refused() -> None:
    with pytest.raises(PlanError, match=r"a clip from 1\.0 to 0\.0"):
        _numbers_changed(layer=2, activation=np.array([1, 0], np.float16))


def test_a_weight_without_its_tap_is_refused() -> None:
    with pytest.raises(PlanError, match="where there is no tap"):
        _numbers_changed(weights=np.ones((6, 6, 3, 3), np.int8))


def test_more_bits_than_declared_are_refused() -> None:
    with pytest.raises(PlanError, match="beyond 2 bits"):
        _numbers_changed(layer=3, weights=np.full((6, 7, 3, 3), 2, np.int8))


@pytest.mark.parametrize(
    ("complaint", "layers"),
    [
        ("1024 input channels", (spec(512, 0), spec(4, 1, 1))),
        ("8195 channels in all", (*[spec(512, 0)] * 15, spec(510, 0), spec(4, 0))),
        ("weights, more than", (*[spec(512, 0), spec(512, 1), spec(512, 2)], spec(4, 3))),
        ("radius of 66", tuple(spec(4, i, kernel=5) for i in range(33))),
        ("3 channels in the last layer", (spec(3, 0),)),
        ("place for a residual", (spec(4, 0, after=True),)),
        ("a step 256", (spec(4, 0, codes=Codes(256, True)), spec(4, 1))),
        ("of every layer but the last", (spec(4, 0, codes=Codes(9, True)),)),
        (
            "of every layer but the last",
            (spec(4, 0, codes=Codes(9, True)), spec(4, 1), spec(4, 2)),
        ),
        ("sources of different steps", (spec(4, 0, codes=Codes(9, True)), spec(4, 0, 1))),
        ("sources of different steps", (spec(4, 0, codes=Codes(136, False)), spec(4, 0, 1))),
    ],
)
def test_a_table_beyond_a_limit_is_refused(complaint: str, layers: tuple[LayerSpec, ...]) -> None:
    with pytest.raises(PlanError, match=complaint):
        PlanTable(2, ("luma",), True, layers)


def test_sums_over_codes_that_would_not_be_exact_are_refused() -> None:
    layers = (spec(65, 0, kernel=1, dense=True, codes=Codes(9, True)), spec(4, 1, dense=True))
    plan = plan_for(PlanTable(2, ("luma",), True, layers), seed=1)
    weights = np.zeros((4, 65, 3, 3), np.int8)
    weights[2].reshape(-1)[:516] = 127
    below = replace(plan.numbers[1], weights=weights)
    assert np.abs(weights[2].astype(int)).sum() == 65532
    PlanIR(plan.table, (plan.numbers[0], below))
    weights[2, 64, 2, 2] = 4
    with pytest.raises(PlanError, match="sum to more than 65535"):
        PlanIR(plan.table, (plan.numbers[0], replace(below, weights=weights)))


def test_a_table_at_the_radius_limit_is_taken() -> None:
    table = PlanTable(2, ("luma",), True, tuple(spec(4, i, kernel=5) for i in range(32)))
    assert table.radius == 64


@settings(max_examples=80, deadline=None)
@given(st.integers(12, 10_000), st.integers(1, 255))
def test_garbage_is_refused_or_read_but_never_breaks(offset: int, flip: int) -> None:
    body = bytearray(_wire()[12:])
    body[offset % len(body)] ^= flip
    with contextlib.suppress(PlanError):
        plan = decode_plan(_seal(body))
        assert decode_plan(encode_plan(plan)).weights == plan.weights
