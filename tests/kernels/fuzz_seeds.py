"""The fuzzers' seed corpus, by the project's own encoders: `python -m tests.kernels.fuzz_seeds`.

It rewrites `kernels/runtime/fuzz/corpus`; the files are the same each time. Findings of the fuzzers
are kept beside them by the names `found-*`, which this leaves alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from client_sdk.contract.patch_map import Cell, Grid, PatchMap, encode_record
from kernels.compiler.wire import encode_plan
from kernels.plan import INPUT_CODES, Activation, PlanTable
from tests.kernels.plans import codes_everywhere, every_branch, moved, plan_for, spec

CORPUS = Path(__file__).parents[2] / "kernels" / "runtime" / "fuzz" / "corpus"


def plan_seeds() -> Iterator[tuple[str, bytes]]:
    """Small plans, each with parts of the format that the others lack."""
    yield "every_branch", encode_plan(every_branch())
    yield "codes", encode_plan(codes_everywhere())
    one_layer = PlanTable(2, ("luma",), True, (spec(4, 0),))
    yield "one_layer", encode_plan(plan_for(one_layer, 2))
    empty = plan_for(one_layer, 3, density=0.0)
    yield "no_taps", encode_plan(empty)
    for name, codes in (("no_taps_of_8", None), ("no_codes_of_8", INPUT_CODES)):
        layers = (spec(16, 0, block=8, codes=codes), spec(4, 1, block=8))
        table = PlanTable(2, ("luma",), True, layers)
        yield name, encode_plan(plan_for(table, 3, density=0.0))
    pointwise = spec(16, 0, 1, kernel=1, block=8, dense=True, bits=4)
    x4 = PlanTable(4, ("luma", "plate"), False, (pointwise, spec(16, 2, kernel=5, block=8, bits=3)))
    yield "x4_plate", encode_plan(plan_for(x4, 4, density=0.2))
    x3 = PlanTable(3, ("luma", "previous"), True, (spec(9, 0, 1, block=1, residual=None),))
    yield "x3_previous", encode_plan(plan_for(x3, 5))
    chain = tuple(spec(1, index, kernel=5, block=1) for index in range(31))
    deep = PlanTable(2, ("luma",), True, (*chain, spec(4, 31, 0, kernel=5)))
    yield "radius_64", encode_plan(plan_for(deep, 6))
    long = tuple(spec(4, index, kernel=1) for index in range(128))
    yield "layers_128", encode_plan(plan_for(PlanTable(2, ("luma",), True, long), 7))
    clip = spec(8, 0, 0, 0, block=8, activation=Activation.CLIP)
    skip = spec(8, 2, 1, activation=Activation.PRELU, residual=2, after=True)
    unused = spec(3, 0, block=4, activation=Activation.RELU)
    mixed = PlanTable(2, ("luma", "plate"), True, (clip, unused, skip, spec(4, 4, residual=1)))
    yield "skips", encode_plan(plan_for(mixed, 8))


def difference_seeds() -> Iterator[tuple[str, bytes]]:
    """Bases and differences to them, as fuzz_difference.cpp reads them."""
    for name, make in {"every_branch": every_branch, "codes": codes_everywhere}.items():
        base = encode_plan(make())
        difference = encode_plan(moved(make()), base)
        yield name, struct.pack("<H", len(base)) + base + difference
    table = PlanTable(2, ("luma",), True, (spec(8, 0), spec(4, 1, dense=True)))
    base = encode_plan(plan_for(table, 9))
    yield "far", struct.pack("<H", len(base)) + base + encode_plan(plan_for(table, 10), base)
    yield "itself", struct.pack("<H", len(base)) + base + encode_plan(plan_for(table, 9), base)


def patch_map_seeds() -> Iterator[tuple[str, bytes]]:
    """Maps with their frame's size and number of experts in front, as fuzz_patch_map.cpp reads."""
    rng = np.random.default_rng(1)

    def seed(width: int, height: int, patch: int, experts: int, split: float) -> bytes:
        grid = Grid(width, height, patch, patch)
        cells: list[Cell] = []
        for _ in range(grid.columns * grid.rows):
            a, b, c, d = (int(expert) for expert in rng.integers(0, experts + 1, 4))
            cells.append((a, b, c, d) if rng.random() < split else a)
        record = encode_record(PatchMap(grid, tuple(cells)))
        return struct.pack("<HHB", width, height, experts) + record

    uniform = encode_record(PatchMap.uniform(480, 270, 1))
    yield "uniform", struct.pack("<HHB", 480, 270, 1) + uniform
    yield "interpolation", seed(64, 48, 16, 0, 0.0)
    yield "two_experts", seed(160, 90, 32, 2, 0.0)
    yield "split", seed(97, 61, 12, 5, 0.4)
    yield "all_split", seed(40, 40, 8, 64, 1.0)
    yield "one_pixel", seed(1, 1, 8, 3, 0.0)


ALL = {"plan": plan_seeds, "difference": difference_seeds, "patch_map": patch_map_seeds}
"""The seeds of each target by its name."""


def main() -> None:
    """Write the corpus."""
    for target, seeds in ALL.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
