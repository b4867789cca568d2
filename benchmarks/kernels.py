"""Sparse kernels against dense engines, side by side: `python -m benchmarks.kernels`.

Every engine runs the same networks on the same frame with the same number of threads, in turn, so
that a machine that speeds up or slows down does so for all. Medians and ratios are printed. Rivals
run only convolutions, activations and pixel shuffle in floating point (`benchmarks.rivals`); ours
runs u8 to u8 with the interpolation base, and, where it says "frame", chroma too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.networks import SHAPES, Shape, network
from benchmarks.peak import fma_peak
from benchmarks.rivals import Missing, Rival, installed
from client_sdk.upscaler import Planes
from kernels.compiler.wire import encode_plan
from kernels.plan import PlanIR
from kernels.runtime import Engine, Plan, Plate, available_isas

SIZES = {2: (960, 540), 4: (480, 270)}
DENSITIES = (1.0, 0.5, 0.25, 0.125)
QUICK = (SHAPES[0], SHAPES[1], SHAPES[4])


@dataclass
class Case:
    """One network at one scale and thread count, and what was measured of it, in seconds."""

    shape: Shape
    scale: int
    threads: int
    rivals: dict[str, float] = field(default_factory=dict)
    ours: dict[float, float] = field(default_factory=dict)
    flops: dict[float, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As it stands in the table."""
        width, height = SIZES[self.scale]
        return f"{self.shape.name} x{self.scale} {width}×{height}"

    def fastest(self, precision: str | None = None) -> float:
        """Seconds of the fastest rival, of one precision or of any; inf where there is none."""
        kept = [s for n, s in self.rivals.items() if precision in (None, n.rsplit(" ", 1)[1])]
        return min(kept, default=float("inf"))


def medians(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each run, all run in turn in every round, after two rounds of warm-up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def frame(width: int, height: int, seed: int = 0) -> Planes:
    """An LR frame of smooth noise, I420."""
    random = np.random.default_rng(seed)
    sizes = [(height, width)] + [((height + 1) // 2, (width + 1) // 2)] * 2
    y, u, v = (random.integers(0, 256, size, dtype=np.uint8) for size in sizes)
    return y, u, v


def our_run(plan: PlanIR, threads: int) -> Callable[[], Any]:
    """One whole frame through the runtime, planes made beforehand."""
    width, height = SIZES[plan.scale]
    engine = Engine(threads)
    prepared = Plan(encode_plan(plan))
    lr, previous = frame(width, height), frame(width, height, 1)[0]
    plate = None
    if "plate" in plan.inputs:
        hr = frame(width * plan.scale, height * plan.scale, 2)[0]
        plate = Plate(hr, plan.scale)
    out = engine.upscale(lr, plan.scale, plans=[prepared], previous=previous, plate=plate)
    return lambda: engine.upscale(
        lr, plan.scale, plans=[prepared], previous=previous, plate=plate, out=out
    )


def rival_runs(
    rivals: list[Rival], plan: PlanIR, threads: int, missing: list[Missing]
) -> dict[str, Callable[[], Any]]:
    """Every rival at every precision it has here; what fails is noted in `missing`."""
    width, height = SIZES[plan.scale]
    channels = sum(plan.table.channels[: len(plan.inputs)])
    planes = np.random.default_rng(0).standard_normal((channels, height, width)).astype(np.float32)
    runs: dict[str, Callable[[], Any]] = {}
    for rival in rivals:
        for precision in rival.PRECISIONS:
            try:
                runs[f"{rival.NAME} {precision}"] = rival.prepare(plan, planes, threads, precision)
            except Exception as error:
                entry = Missing(f"{rival.NAME} {precision}", str(error).splitlines()[0])
                if entry not in missing:
                    missing.append(entry)
    return runs


def measure(case: Case, rivals: list[Rival], missing: list[Missing], rounds: int) -> None:
    """Fill `case`: rivals on the dense network, ours on every density."""
    dense = network(case.shape, case.scale, 1.0)
    runs = rival_runs(rivals, dense, case.threads, missing)
    for density in DENSITIES:
        plan = network(case.shape, case.scale, density)
        runs[f"ours {density}"] = our_run(plan, case.threads)
        width, height = SIZES[case.scale]
        case.flops[density] = 2.0 * plan.weights * width * height
    for name, seconds in medians(runs, rounds).items():
        if name.startswith("ours "):
            case.ours[float(name.removeprefix("ours "))] = seconds
        else:
            case.rivals[name] = seconds


def summary(cases: list[Case]) -> dict[str, Any]:
    """The figures by their JSON keys (docs/benchmarks.md explains each)."""
    two = [case for case in cases if case.threads == 2]
    one = {(c.shape, c.scale): c for c in cases if c.threads == 1}
    figures: dict[str, Any] = {
        "speedup_fp32": statistics.median(c.fastest("fp32") / c.ours[0.25] for c in two),
        "speedup_any": statistics.median(c.fastest() / c.ours[0.25] for c in two),
        "speedup_dense": {c.title: c.fastest("fp32") / c.ours[1.0] for c in two},
        "peak_flops": fma_peak(),
    }
    if one:
        shares = [c.flops[0.25] / c.ours[0.25] / fma_peak() for c in one.values()]
        figures["peak_fraction"] = statistics.median(shares)
        scaling = [one[c.shape, c.scale].ours[0.25] / c.ours[0.25] for c in two]
        figures["thread_scaling"] = statistics.median(scaling)
    for case in two:
        if (case.shape.name, case.scale) == ("default 3×16", 4):
            figures["frame_ms_270p_1080p"] = 1000 * case.ours[0.25]
        if (case.shape.name, case.scale) == ("plate 3×8", 2):
            figures["frame_ms_540p_1080p"] = 1000 * case.ours[0.25]
    return figures


def plan_figures() -> dict[str, Any]:
    """How large the default plan is on the wire at 25 %, and how long it takes to prepare."""
    import zstandard

    plan = network(SHAPES[1], 4, 0.25)
    wire = encode_plan(plan)
    plain = b"".join(
        np.packbits(n.taps).tobytes() + n.weights[n.weights != 0].tobytes() + n.scales.tobytes()
        for n in plan.numbers
    )
    packed = zstandard.ZstdCompressor(level=19).compress(plain)
    seconds = medians({"prepare": lambda: Plan(wire)}, 21)["prepare"]
    return {
        "plan_bytes": len(wire),
        "coder_gain": len(packed) / len(wire),
        "prepare_ms": 1000 * seconds,
    }


def print_tables(cases: list[Case], missing: list[Missing], console: Console) -> None:
    """A row a case: rivals on the dense network, ours at each density, the ratio at 25 %."""
    names = sorted({name for case in cases for name in case.rivals})
    table = Table(title="milliseconds a frame (medians); rivals dense, ours by density")
    for column in ("network", "threads", *names, *(f"ours {d:g}" for d in DENSITIES), "fp32 ÷"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for case in cases:
        rivals = [f"{1000 * case.rivals[n]:.1f}" if n in case.rivals else "–" for n in names]
        ours = [f"{1000 * case.ours[d]:.2f}" for d in DENSITIES]
        ratio = f"{case.fastest('fp32') / case.ours[0.25]:.2f}"
        table.add_row(case.title, str(case.threads), *rivals, *ours, ratio)
    console.print(table)
    for entry in missing:
        console.print(f"not measured: {entry.name}: {entry.reason}", markup=False)


def main() -> None:
    """Measure, print the table and the figures, and write them where --json says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three networks, fewer rounds")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    rivals, missing = installed()
    shapes = QUICK if arguments.quick else SHAPES
    rounds = 7 if arguments.quick else 15
    cases = [Case(s, x, t) for s in shapes for x in SIZES for t in (1, 2)]
    console = Console(width=max(160, Console().width))
    with Progress(console=Console(stderr=True)) as progress:
        for case in progress.track(cases, description="measuring"):
            measure(case, rivals, missing, rounds)
    print_tables(cases, missing, console)
    figures = {
        **summary(cases),
        **plan_figures(),
        "isa": available_isas()[-1],
        "cores": os.cpu_count(),
        "cases": [
            {
                "network": case.title,
                "threads": case.threads,
                "rivals_ms": {name: 1000 * s for name, s in case.rivals.items()},
                "ours_ms": {str(d): 1000 * s for d, s in case.ours.items()},
            }
            for case in cases
        ],
        "not_measured": [f"{entry.name}: {entry.reason}" for entry in missing],
    }
    for name, value in figures.items():
        if name not in ("cases", "not_measured"):
            console.print(f"{name}: {json.dumps(value)}", markup=False)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
