"""A plan as the difference to a base: small, exact, and refused with any other base."""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import runtime
from kernels.compiler import base_id, base_of, decode_plan, encode_plan
from kernels.errors import PlanError
from kernels.plan import Codes, PlanIR, PlanTable
from tests.kernels.plans import (
    codes_everywhere,
    every_branch,
    moved,
    plan_for,
    same,
    spec,
    tables,
)

BASE = encode_plan(every_branch())
WIRE = encode_plan(moved(every_branch()), BASE)


@settings(max_examples=40, deadline=None)
@given(tables(), st.integers(0, 1 << 30), st.sampled_from([0.0, 0.3, 1.0]))
def test_a_difference_survives_its_bytes(table: PlanTable, seed: int, keep: float) -> None:
    plain = plan_for(table, seed)
    base = encode_plan(plain)
    plan = moved(plain, seed, keep)
    assert same(decode_plan(encode_plan(plan, base), base), plan)


@settings(max_examples=20, deadline=None)
@given(tables(), st.integers(0, 1 << 30))
def test_a_difference_may_have_other_blocks_bits_and_codes(table: PlanTable, seed: int) -> None:
    base = encode_plan(plan_for(table, seed))
    layers = tuple(
        replace(
            layer,
            block=4,
            dense=False,
            bits=5,
            codes=None if index == len(table.layers) - 1 else Codes(140, True),
        )
        for index, layer in enumerate(table.layers)
    )
    with contextlib.suppress(PlanError):  # an input plane beside codes of another step
        other = replace(table, layers=layers)
        plan = plan_for(other, seed + 1)
        assert same(decode_plan(encode_plan(plan, base), base), plan)


def test_what_is_near_its_base_is_small() -> None:
    table = PlanTable(2, ("luma",), True, (spec(32, 0), spec(32, 1), spec(4, 2)))
    plain = plan_for(table, 5, density=0.3)
    base = encode_plan(plain)
    near = moved(plain, keep=1.0)
    assert len(encode_plan(near, base)) < 0.55 * len(encode_plan(near))
    assert len(encode_plan(plain, base)) < 0.1 * len(base)


def test_a_plan_names_its_base() -> None:
    assert base_of(WIRE) == base_id(BASE) == hashlib.sha256(BASE).digest()[:16]
    assert base_of(BASE) is None


@pytest.mark.parametrize("make", [every_branch, codes_everywhere])
def test_the_runtime_computes_the_same_from_a_difference(make: Callable[[], PlanIR]) -> None:
    base = encode_plan(make())
    plan = moved(make())
    rng = np.random.default_rng(1)
    lr = tuple(rng.integers(0, 256, size, np.uint8) for size in ((20, 37), (10, 19), (10, 19)))
    plate = runtime.Plate(rng.integers(0, 256, (40, 74), np.uint8), 2)
    engine = runtime.Engine(1)
    pictures = [
        engine.upscale(lr, 2, plans=[prepared], plate=plate)[0]
        for prepared in (
            runtime.Plan(encode_plan(plan)),
            runtime.Plan(encode_plan(plan, base), base),
            runtime.Plan(encode_plan(plan), base),
        )
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 119, 120, 1000])
def test_a_base_of_any_length_is_known_by_its_hash(size: int) -> None:
    """Only a base with the right SHA-256 gets as far as being read as a plan."""
    base = bytes(range(256)) * 4
    base = b"x" + base[:size]
    with pytest.raises(PlanError, match="CCPL"):
        runtime.Plan(_seal(base_id(base) + WIRE[28:]), base)
    with pytest.raises(PlanError, match="was not given"):
        runtime.Plan(_seal(base_id(base + b"y") + WIRE[28:]), base)


def _seal(body: bytes, minor: int = 1, flags: int = 1) -> bytes:
    return struct.pack("<4sBBHI", b"CCPL", 1, minor, flags, zlib.crc32(body)) + body


def _shaped(cout: int) -> bytes:
    table = PlanTable(2, ("luma",), True, (spec(cout, 0), spec(4, 1)))
    return encode_plan(plan_for(table, 1))


def _beyond_bits() -> tuple[bytes, bytes]:
    """A step of -200 from +100 is fine; the same step from -100 leaves the eight bits."""
    table = PlanTable(2, ("luma",), True, (spec(4, 0, kernel=1, dense=True, bits=8),))
    plan = plan_for(table, 1)
    numbers = replace(plan.numbers[0], weights=np.full((4, 1, 1, 1), 100, np.int8))
    base = encode_plan(PlanIR(table, (numbers,)))
    opposite = replace(numbers, weights=np.full((4, 1, 1, 1), -100, np.int8))
    other = encode_plan(PlanIR(table, (opposite,)))
    down = encode_plan(PlanIR(table, (opposite,)), base)
    return _seal(base_id(other) + down[28:]), other


LIES: dict[str, Callable[[], tuple[bytes, bytes | None]]] = {
    "no base": lambda: (WIRE, None),
    "another base": lambda: (WIRE, _shaped(4)),
    "a base that is damaged": lambda: (WIRE, BASE[:-1] + bytes([BASE[-1] ^ 1])),
    "no such flag in 1.0": lambda: (_seal(WIRE[12:], minor=0), BASE),
    "a full plan in 1.1": lambda: (_seal(BASE[12:], flags=0), None),
    "an unknown flag": lambda: (_seal(WIRE[12:], flags=3), BASE),
    "a later version": lambda: (_seal(WIRE[12:], minor=2), BASE),
    "cut off in the id": lambda: (_seal(WIRE[12:27]), BASE),
    "cut off after the id": lambda: (_seal(WIRE[12:28]), BASE),
    "cut off": lambda: (_seal(WIRE[12:-1]), BASE),
    "too long": lambda: (_seal(WIRE[12:] + b"\0"), BASE),
    "a wrong checksum": lambda: (WIRE[:8] + b"\0\0\0\0" + WIRE[12:], BASE),
    "a base of other shapes": lambda: (_seal(base_id(_shaped(4)) + _shaped(8)[12:]), _shaped(4)),
    "a base that is a difference": lambda: (_seal(base_id(WIRE) + WIRE[28:]), WIRE),
    "a weight beyond its bits": _beyond_bits,
}


@pytest.mark.parametrize("lie", list(LIES))
def test_a_lie_is_refused_by_both_loaders(lie: str) -> None:
    wire, base = LIES[lie]()
    with pytest.raises(PlanError):
        decode_plan(wire, base)
    with pytest.raises(PlanError):
        runtime.Plan(wire, base)


def test_an_encoder_refuses_a_base_that_does_not_fit() -> None:
    with pytest.raises(PlanError, match="other shapes"):
        encode_plan(every_branch(), _shaped(4))
    with pytest.raises(PlanError, match="itself a difference"):
        encode_plan(every_branch(), WIRE)


@settings(max_examples=150, deadline=None)
@given(st.integers(28, 10_000), st.integers(1, 255))
def test_both_loaders_read_the_same_from_garbage(offset: int, flip: int) -> None:
    body = bytearray(WIRE)
    body[28 + (offset - 28) % (len(body) - 28)] ^= flip
    wire = _seal(bytes(body[12:]))
    try:
        plan = decode_plan(wire, BASE)
    except PlanError:
        with pytest.raises(PlanError):
            runtime.Plan(wire, BASE)
        return
    prepared = runtime.Plan(wire, BASE)
    assert (prepared.taps, prepared.weights) == (plan.taps, plan.weights)
