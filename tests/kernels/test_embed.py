"""A shorter plan in the shape of a longer one: the same picture, a difference of few bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels import graph as ir
from kernels.compiler import base_id, base_of, compile_graph, decode_plan
from kernels.compiler.embed import embedded
from kernels.errors import PlanError
from kernels.graph import Graph, GraphBuilder
from kernels.inspect import inspect_plan
from kernels.plan import PlanIR
from kernels.reference import run_plan
from kernels.runtime import Engine, Plan


def path(blocks: int, *, units: int = 8, seed: int = 0) -> Graph:
    """Head, residual blocks and tail; a shorter one is the longer one without its last blocks."""
    random = np.random.default_rng(seed)

    def conv(source: int, cin: int, cout: int) -> int:
        weight = random.normal(0, 0.1, (cout, cin, 3, 3)).astype(np.float32)
        return builder.add(ir.Conv(weight), source)

    builder = GraphBuilder(2)
    luma = builder.add(ir.Input("luma"))
    x = conv(luma, 1, units)
    tail = random.normal(0, 0.1, (4, units, 3, 3)).astype(np.float32)
    for _ in range(blocks):
        wide = builder.add(ir.ReLU(), conv(x, units, units))
        x = builder.add(ir.Add(), x, conv(wide, units, units))
    shuffled = builder.add(ir.PixelShuffle(2), builder.add(ir.Conv(tail), x))
    base = builder.add(ir.Interpolation(2), luma)
    builder.add(ir.Output(), builder.add(ir.Add(), shuffled, base))
    return builder.build()


DEEP = compile_graph(path(4), reorder=False)
LUMA = np.random.default_rng(1).integers(0, 256, (19, 26)).astype(np.uint8)


def shown(plan: Plan) -> np.ndarray:
    chroma = np.full((10, 13), 128, np.uint8)
    return Engine(1).upscale((LUMA, chroma, chroma), 2, plans=[plan])[0]


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_shorter_path_is_a_difference_of_few_bytes(blocks: int) -> None:
    whole = compile_graph(path(blocks), reorder=False)
    wire = compile_graph(path(blocks), base=DEEP)
    assert base_of(wire) == base_id(DEEP)
    assert len(wire) < 0.15 * len(whole)
    plan = decode_plan(wire, DEEP)
    assert len(plan.table.layers) == len(decode_plan(DEEP).table.layers)
    assert np.array_equal(run_plan(plan, LUMA), run_plan(decode_plan(whole), LUMA))
    assert np.array_equal(shown(Plan(wire, DEEP)), shown(Plan(whole)))


def test_what_nothing_reads_is_not_counted() -> None:
    whole, wire = compile_graph(path(1), reorder=False), compile_graph(path(1), base=DEEP)
    plan = decode_plan(wire, DEEP)
    assert plan.multiplications == decode_plan(whole).multiplications
    assert plan.radius == decode_plan(whole).radius
    assert sum(plan.table.live) == len(decode_plan(whole).table.layers)
    report = inspect_plan(wire, base=DEEP)
    assert report.macs_per_pixel == sum(layer.macs_per_pixel for layer in report.layers)
    assert sum(layer.predicted_ms > 0 for layer in report.layers) == sum(plan.table.live)


def test_layers_that_were_trained_on_stand_where_they_were() -> None:
    plan = decode_plan(compile_graph(path(2), reorder=False))
    changed = plan.numbers[1].weights.copy()
    changed[0, 0, 0, 0] += 1
    numbers = list(plan.numbers)
    numbers[1] = replace(plan.numbers[1], weights=changed)
    found = embedded(PlanIR(plan.table, tuple(numbers)), decode_plan(DEEP))
    assert found is not None
    places = [index for index, live in enumerate(found.table.live) if live]
    assert places == [0, 1, 2, 3, 4, 9]


def test_what_does_not_fit_is_refused() -> None:
    for other in (path(5), path(2, units=12)):
        with pytest.raises(PlanError, match="other shapes"):
            compile_graph(other, base=DEEP)
