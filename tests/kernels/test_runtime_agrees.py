"""The C++ runtime and the reference executor agree to one code value, on every instruction set."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import reference
from kernels.compiler import compile_graph, decode_plan, encode_plan
from kernels.errors import PlanError
from kernels.plan import PlanIR, PlanTable, Uint8
from tests.kernels.networks import default_network
from tests.kernels.plans import codes_everywhere, every_branch, plan_for, tables
from tests.kernels.test_passes import NETWORKS

runtime = pytest.importorskip("kernels.runtime")

PLANS = ["every branch", "codes", "dense", "scale 4", "3 bits in blocks of 8", *NETWORKS]


@functools.cache
def _plan(name: str) -> PlanIR:
    if name == "every branch":
        return every_branch()
    if name == "codes":
        return codes_everywhere()
    if name == "3 bits in blocks of 8":
        return decode_plan(compile_graph(default_network(density=0.1), bits=3, block=8))
    if name == "dense":
        return decode_plan(compile_graph(default_network(density=1.0)))
    graph = default_network(scale=4) if name == "scale 4" else NETWORKS[name]()
    return decode_plan(compile_graph(graph))


def _frame(plan: PlanIR, height: int, width: int) -> tuple[Uint8, Uint8, Uint8]:
    rng = np.random.default_rng(height * width)
    luma, previous = rng.integers(0, 256, (2, height, width)).astype(np.uint8)
    plate = rng.integers(0, 256, (height * plan.scale, width * plan.scale)).astype(np.uint8)
    return luma, previous, plate


@pytest.mark.parametrize("isa", runtime.available_isas())
@pytest.mark.parametrize("name", PLANS)
def test_to_one_code_value(name: str, isa: str) -> None:
    plan = _plan(name)
    engine = runtime.Engine(threads=1, isa=isa)
    prepared = runtime.Plan(encode_plan(plan))
    for height, width in ((37, 53), (5, 3), (1, 1)):
        luma, previous, plate = _frame(plan, height, width)
        chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
        for optional in ((previous, plate), (None, None)):
            wanted = reference.run_plan(plan, luma, *optional)
            out = engine.upscale(
                (luma, chroma, chroma),
                plan.scale,
                previous=optional[0],
                plans=[prepared],
                plate=None if optional[1] is None else runtime.Plate(optional[1], plan.scale),
            )
            assert np.abs(out[0].astype(int) - wanted).max() <= 1


@settings(max_examples=30, deadline=None)
@given(
    tables(),
    st.integers(0, 1 << 30),
    st.sampled_from([0.0, 0.2, 0.9]),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_any_plan_on_any_size(
    table: PlanTable, seed: int, density: float, height: int, width: int
) -> None:
    plan = plan_for(table, seed, density)
    luma, previous, plate = _frame(plan, height, width)
    chroma = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
    wanted = reference.run_plan(plan, luma, previous, plate).astype(int)
    prepared = runtime.Plan(encode_plan(plan))
    assert (prepared.radius, prepared.taps, prepared.weights) == (
        plan.radius,
        plan.taps,
        plan.weights,
    )
    for isa in runtime.available_isas():
        out = runtime.Engine(threads=1, isa=isa).upscale(
            (luma, chroma, chroma),
            plan.scale,
            previous=previous,
            plans=[prepared],
            plate=runtime.Plate(plate, plan.scale),
        )
        assert np.abs(out[0] - wanted).max() <= 1


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_interpolation_to_one_code_value(scale: int) -> None:
    rng = np.random.default_rng(scale)
    planes = [rng.integers(0, 256, size).astype(np.uint8) for size in ((14, 22), (7, 11), (7, 11))]
    out = runtime.Engine(threads=1).upscale(tuple(planes), scale)
    for plane, found in zip(planes, out, strict=True):
        wanted = reference.interpolate(plane, scale)
        assert np.abs(found.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("name", PLANS)
def test_both_count_alike(name: str) -> None:
    plan = _plan(name)
    prepared = runtime.Plan(encode_plan(plan))
    assert prepared.scale == plan.scale
    assert tuple(prepared.inputs) == plan.inputs
    assert prepared.radius == plan.radius
    assert prepared.layers == len(plan.table.layers)
    assert (prepared.taps, prepared.weights) == (plan.taps, plan.weights)
    assert prepared.density == pytest.approx(plan.density)


@pytest.mark.parametrize("isa", runtime.available_isas())
def test_codes_give_the_same_bits_on_every_instruction_set(isa: str) -> None:
    # Without a base to interpolate, whose multiply-adds may be fused, nothing may differ at all.
    coded = codes_everywhere()
    plan = PlanIR(replace(coded.table, bicubic=False), coded.numbers)
    luma, previous, plate = _frame(plan, 61, 131)
    chroma = np.full((31, 66), 128, np.uint8)
    out = runtime.Engine(threads=2, isa=isa).upscale(
        (luma, chroma, chroma),
        plan.scale,
        previous=previous,
        plans=[runtime.Plan(encode_plan(plan))],
        plate=runtime.Plate(plate, plan.scale),
    )
    wanted = reference.run_plan(plan, luma, previous, plate)
    assert np.mean((wanted > 0) & (wanted < 255)) > 0.2
    assert np.array_equal(out[0], wanted)


@pytest.mark.parametrize("make", [every_branch, codes_everywhere])
def test_both_refuse_the_same_garbage(make: Callable[[], PlanIR]) -> None:
    wire = encode_plan(make())
    rng = np.random.default_rng(0)
    for _ in range(150):
        body = bytearray(wire[12:])
        for _ in range(int(rng.integers(1, 3))):
            body[int(rng.integers(0, len(body)))] = int(rng.integers(0, 256))
        sealed = struct.pack("<4sBBHI", b"CCPL", 1, 0, 0, zlib.crc32(body)) + bytes(body)
        assert _accepts(decode_plan, sealed) == _accepts(runtime.Plan, sealed)


def _accepts(load: Callable[[bytes], object], wire: bytes) -> bool:
    try:
        load(wire)
    except PlanError:
        return False
    return True
