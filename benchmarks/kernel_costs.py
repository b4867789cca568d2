"""What the kernels' steps take here: `python -m benchmarks.kernel_costs` rewrites costs.json.

    small plans of all kinds ── Engine, one thread ──► ns a column of a row ─┐
                             ── cost.work ──► counts of steps ───────────────┴─ least squares ─► ns

Of NEON it takes llvm-mca's cycles of the inner loops (`benchmarks.neon`), as if of 1 GHz. The error
that it prints is that of the model on the very plans that it was fitted to; `--check` measures that
on the networks of `benchmarks.kernels`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import neon
from benchmarks.networks import DENSITIES as NETWORK_DENSITIES
from benchmarks.networks import SHAPES, network
from kernels.compiler import cost
from kernels.compiler.wire import encode_plan
from kernels.plan import Activation, Codes, LayerNumbers, LayerSpec, PlanIR, PlanTable, spread
from kernels.runtime import Engine, Plan, available_isas

COSTS = Path(cost.__file__).with_name("costs.json")
WIDTH, HEIGHT, SCALE = 448, 48, 2
UNITS = (4, 8, 16, 32)
DENSITIES = (1.0, 0.5, 0.25, 0.06)
ROUNDS = 9
_UNSIGNED, _SIGNED = Codes(144, False), Codes(152, True)


def chain(
    units: int, density: float, block: int, *, residual: bool, coded: bool, seed: int = 0
) -> PlanIR:
    """Four layers of `units` channels with `density` of their taps, and a last one of four."""
    random = np.random.default_rng(seed)
    layers, numbers = [], []
    widths = (units, units, units, units, SCALE**2)
    for index, cout in enumerate(widths):
        last = index == len(widths) - 1
        skip = residual and index in (1, 3)
        layer = LayerSpec(
            3,
            (index,),
            cout,
            block,
            Activation.NONE if last or skip else Activation.RELU,
            residual=index if skip and index > 0 else None,
            residual_after=False,
            dense=density == 1,
            bits=8,
            codes=None if last or not coded else _SIGNED if skip else _UNSIGNED,
        )
        shape = (1 if index == 0 else units, 3, 3)
        taps = random.random((layer.blocks, *shape)) < density
        weights = random.integers(-9, 10, (cout, *shape)) * spread(taps, block, cout)
        numbers.append(
            LayerNumbers(
                scales=np.full(cout, 130, np.uint8),
                bias=np.zeros(cout, np.float16),
                activation=np.zeros(0, np.float16),
                taps=taps,
                weights=weights.astype(np.int8),
            )
        )
        layers.append(layer)
    return PlanIR(PlanTable(SCALE, ("luma",), True, tuple(layers)), tuple(numbers))


def plans(*, coded: bool, quick: bool) -> list[PlanIR]:
    """Plans in which every step occurs in other shares."""
    return [
        chain(units, density, block, residual=residual, coded=coded)
        for units in (UNITS[1::2] if quick else UNITS)
        for density in DENSITIES
        for block in (1, 4, 8)
        for residual in (False, True)
        if not (block == 1 and units * density > 16)
    ]


def frame_seconds(engine: Engine, plan: Plan | None, rounds: int) -> float:
    """The least seconds of this thread for a frame's luma and chroma."""
    random = np.random.default_rng(0)
    sizes = [(HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2)]
    lr = [random.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    chosen = [] if plan is None else [plan]
    out = engine.upscale(lr, SCALE, plans=chosen)
    least = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        engine.upscale(lr, SCALE, plans=chosen, out=out)
        least = min(least, time.thread_time() - start)
    return least


def steps_of(plan: PlanIR, isa: str) -> cost.Work:
    """Steps of all layers for one column of one row."""
    total: cost.Work = {}
    for layer in cost.layers_work(plan, isa):
        for step, count in layer.items():
            total[step] = total.get(step, 0.0) + count
    return total


def fitted(
    counts: npt.NDArray[np.float64], times: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Non-negative constants of the least relative error: a negative one is left out, in turn."""
    left = list(range(counts.shape[1]))
    scaled = counts / times[:, None]
    while True:
        found, *_ = np.linalg.lstsq(scaled[:, left], np.ones(len(times)), rcond=None)
        if found.min() >= 0:
            break
        del left[int(found.argmin())]
    constants = np.zeros(counts.shape[1])
    constants[left] = found
    return constants


def measured(isa: str, *, coded: bool, quick: bool) -> tuple[dict[str, float], float]:
    """(ns of each step, median relative error) of an instruction set of this processor."""
    engine = Engine(1, isa)
    rounds = ROUNDS if quick else 2 * ROUNDS
    base = frame_seconds(engine, None, rounds)
    counts, times = [], []
    for plan in plans(coded=coded, quick=quick):
        seconds = frame_seconds(engine, Plan(encode_plan(plan)), rounds) - base
        counts.append(steps_of(plan, isa))
        times.append(1e9 * seconds / (WIDTH * HEIGHT))
    steps = tuple(dict.fromkeys(step for each in counts for step in each))
    matrix = np.array([[each.get(step, 0.0) for step in steps] for each in counts])
    taken = np.array(times)
    constants = fitted(matrix, taken)
    error = float(np.median(np.abs(matrix @ constants / taken - 1)))
    return {step: float(f"{c:.4g}") for step, c in zip(steps, constants, strict=True)}, error


def error_on_networks(isa: str, *, coded: bool) -> float:
    """Median relative error of the table on networks that it was not fitted to, whole frames."""
    engine = Engine(1, isa)
    base = frame_seconds(engine, None, ROUNDS)
    errors = []
    for shape, density in itertools.product(SHAPES[1:], NETWORK_DENSITIES):
        plan = network(shape, SCALE, density, coded=coded)
        seconds = frame_seconds(engine, Plan(encode_plan(plan)), ROUNDS)
        layers = 1e-9 * WIDTH * HEIGHT * cost.nanoseconds(steps_of(plan, isa), isa, coded=coded)
        errors.append(abs((base + layers) / seconds - 1))
    return float(np.median(errors))


def of_neon() -> dict[str, Any]:
    """Cycles of the inner loops on a Neoverse N1, for one column; of other steps, 0."""
    core = "neoverse-n1"
    fp32 = dict.fromkeys(cost.FLOATS, 0.0)
    for loop in neon.full_width(neon.tile_loops(neon.assembly())):
        found = neon.analyse(loop, core).cycles / (4 * loop.vectors)
        fp32[f"tap{loop.block}"] = float(f"{found * loop.block / loop.channels:.4g}")
    # A tap of one channel loads and multiplies as many vectors: a load and a product each.
    fp32["tap1"] = float(f"{fp32['tap4'] / 2:.4g}")
    loops = neon.code_loops("neondot")
    channels = np.array([[1.0, loop.channels] for loop in loops])
    cycles = np.array([neon.analyse(loop, core).cycles / 16 for loop in loops])
    weave, dot = np.linalg.lstsq(channels, cycles, rcond=None)[0]
    int8 = dict.fromkeys(cost.CODES, 0.0)
    int8 |= {"weave": float(f"{weave:.4g}"), "dot": float(f"{dot:.4g}")}
    return {"of": f"llvm-mca, {core}, cycles", "fp32": fp32, "int8": int8}


def processor() -> str:
    """The name that the system gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    """Measure, print, and put what was measured in place of what the file had."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer plans and rounds")
    parser.add_argument("--json", type=Path, default=COSTS, help="the table to change")
    parser.add_argument("--isa", nargs="*", default=available_isas(), help="of these alone")
    parser.add_argument("--check", action="store_true", help="measure the table's error instead")
    parser.add_argument("--neon", action="store_true", help="also NEON, by llvm-mca")
    arguments = parser.parse_args()
    if arguments.check:
        for isa in arguments.isa:
            for precision in ("fp32", "int8"):
                error = error_on_networks(isa, coded=precision == "int8")
                print(f"{isa} {precision}: median error {error:.1%} on networks", flush=True)
        return
    path: Path = arguments.json
    table: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for isa in arguments.isa:
        entry: dict[str, Any] = {"of": f"{processor()}, ns"}
        for precision in ("fp32", "int8"):
            found, error = measured(isa, coded=precision == "int8", quick=arguments.quick)
            entry[precision] = found
            shown = ", ".join(f"{step} {value:g}" for step, value in found.items())
            print(f"{isa} {precision}: {shown} (median error {error:.1%})", flush=True)
        table[isa] = entry
        write(path, table)
    if arguments.neon:
        table["neondot"] = of_neon()
        write(path, table)


def write(path: Path, table: dict[str, Any]) -> None:
    """The table as JSON."""
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
