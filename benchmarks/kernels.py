"""Sparse kernels against dense engines, side by side: `python -m benchmarks.kernels`.

Every engine runs the same networks on the same frame with the same number of threads, in turn and
in a process of its own, so that a machine that speeds up or slows down does so for all. Medians
and ratios are printed. Rivals run only convolutions, activations and pixel shuffle
(`benchmarks.rivals`); ours runs u8 to u8 with the interpolation base and chroma.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.contestant import OURS, Contestant, Scene
from benchmarks.kernel_figures import plan_figures, plot, summary
from benchmarks.networks import DENSITIES, SHAPES, Shape, network
from benchmarks.rivals import Missing, rivals
from kernels import reference
from kernels.plan import PlanIR
from kernels.runtime import available_isas, compiler

SIZES = {2: (960, 540), 4: (480, 270)}
QUICK = ((SHAPES[0], 2), (SHAPES[1], 4), (SHAPES[4], 4))
PRECISIONS = ("fp32", "int8")
MEMORY_CASE = "default 3×16 x4 480×270"
_TOLERANCE = 0.25
"""Code values, root mean square, that a rival's fp32 may be off: Winograd's transforms round."""
_PATIENCE = 8
"""Who takes that many times the fastest runs in every third round only."""


@dataclass
class Case:
    """One network at one scale and thread count, and what was measured of it, in seconds.

    rivals by "engine precision"; ours by (density, precision); errors: root mean square of a
    rival's output against the reference, in code values; growth: bytes of memory.
    """

    shape: Shape
    scale: int
    threads: int
    rivals: dict[str, float] = field(default_factory=dict)
    ours: dict[tuple[float, str], float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    growth: dict[str, int] = field(default_factory=dict)
    weights: dict[float, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As it stands in the table."""
        width, height = SIZES[self.scale]
        return f"{self.shape.name} x{self.scale} {width}×{height}"

    @property
    def pixels(self) -> int:
        """Of the LR frame."""
        width, height = SIZES[self.scale]
        return width * height

    def fastest(self, precision: str | None = None) -> float:
        """Seconds of the fastest rival, of one precision or of any; inf where there is none."""
        kept = [s for n, s in self.rivals.items() if precision in (None, n.rsplit(" ", 1)[1])]
        return min(kept, default=float("inf"))

    def plan(self, density: float, precision: str = "fp32") -> PlanIR:
        """The network of this case."""
        return network(self.shape, self.scale, density, coded=precision == "int8")

    def to_json(self) -> dict[str, Any]:
        """Milliseconds, code values and bytes."""
        return {
            "network": self.title,
            "threads": self.threads,
            "rivals_ms": {name: 1000 * s for name, s in self.rivals.items()},
            "rivals_error_codes": self.errors,
            "ours_ms": {f"{p} {d:g}": 1000 * s for (d, p), s in self.ours.items()},
            "memory_bytes": self.growth,
        }


def contestants(threads: int, stack: ExitStack) -> dict[str, Contestant]:
    """All rivals at all their precisions; the stack ends them."""
    found = {}
    for module, rival in rivals().items():
        for precision in rival.PRECISIONS:
            contestant = Contestant(module, precision, threads)
            found[f"{rival.NAME} {precision}"] = stack.enter_context(closing(contestant))
    return found


def measure(
    case: Case, others: dict[str, Contestant], missing: list[Missing], rounds: int, stack: ExitStack
) -> None:
    """Fill `case`: rivals on the dense network, ours on every density."""
    scene = Scene.random(*SIZES[case.scale], case.scale)
    dense = case.plan(1.0)
    wanted = _network_alone(dense, scene) if others else np.zeros(0)
    running: dict[str, Contestant] = {}
    for name, contestant in others.items():
        try:
            prepared = contestant.prepare(dense, scene)
        except RuntimeError as error:
            entry = Missing(name, str(error))
            if entry not in missing:
                missing.append(entry)
            continue
        running[name] = contestant
        output = prepared.output.astype(np.float32)
        off = float(128 * np.sqrt(np.mean((output.reshape(wanted.shape) - wanted) ** 2)))
        if name.endswith("fp32") and not off < _TOLERANCE:
            raise RuntimeError(f"{name} computes {case.title} wrong: {off:.2f} code values off")
        case.errors[name] = off
    if others and case.title == MEMORY_CASE:
        with closing(Contestant("onnxruntime_rival", "fp32", case.threads)) as fresh:
            prepared = fresh.prepare(dense, scene)
            case.growth["onnxruntime fp32"] = prepared.growth - prepared.output.nbytes
    ours = {}
    for density in DENSITIES:
        case.weights[density] = case.plan(density).weights
        for precision in PRECISIONS:
            contestant = stack.enter_context(closing(Contestant(OURS, precision, case.threads)))
            prepared = contestant.prepare(case.plan(density, precision), scene)
            ours[density, precision] = contestant
            case.growth[f"ours {precision} {density:g}"] = prepared.growth
    all_times: dict[Any, list[float]] = {key: [] for key in (*running, *ours)}
    for turn in range(rounds):
        fastest = min((t for times in all_times.values() for t in times), default=0.0)
        for key, contestant in (*running.items(), *ours.items()):
            times = all_times[key]
            if not times or times[-1] < _PATIENCE * fastest or turn % 3 == 0:
                times.append(contestant.run())
    for key, times in all_times.items():
        if isinstance(key, str):
            case.rivals[key] = statistics.median(times)
        else:
            case.ours[key] = statistics.median(times)


def _network_alone(plan: PlanIR, scene: Scene) -> np.ndarray[Any, Any]:
    """What rivals compute: the reference's output without the base."""
    luma, previous, plate = scene.lr[0], scene.previous, scene.plate
    found = reference.run_plan_float(plan, luma, previous, plate)
    base = reference.enlarge(reference.to_values(luma)[None], plan.scale)[0]
    return np.asarray(found - base)


def print_tables(cases: list[Case], missing: list[Missing], console: Console) -> None:
    """A row a case: rivals on the dense network, ours at each density, the ratios at 25 %."""
    names = sorted({name for case in cases for name in case.rivals})
    table = Table(title="milliseconds a frame (medians); rivals dense, ours by density")
    ours = [(density, precision) for precision in PRECISIONS for density in DENSITIES]
    columns = (*names, *(f"ours {p} {d:g}" for d, p in ours), "fp32 ÷", "any ÷")
    for column in ("network", "threads", *columns):
        table.add_column(column, justify="left" if column == "network" else "right")
    for case in cases:
        found = [f"{1000 * case.rivals[n]:.1f}" if n in case.rivals else "–" for n in names]
        mine = [f"{1000 * case.ours[key]:.2f}" for key in ours]
        best = min(case.ours[0.25, precision] for precision in PRECISIONS)
        ratios = [case.fastest("fp32") / case.ours[0.25, "fp32"], case.fastest() / best]
        cells = [f"{ratio:.2f}" for ratio in ratios]
        table.add_row(case.title, str(case.threads), *found, *mine, *cells)
    console.print(table)
    for entry in missing:
        console.print(f"not measured: {entry.name}: {entry.reason}", markup=False)


def main() -> None:
    """Measure, print the table and the figures, and write them where --json says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three cases, rivals at two threads")
    parser.add_argument("--clip", type=Path, help="also train on this video, for equal PSNR")
    parser.add_argument("--json", type=Path, help="write the figures there, and a plot beside")
    arguments = parser.parse_args()
    pairs = QUICK if arguments.quick else [(shape, scale) for shape in SHAPES for scale in SIZES]
    rounds = 5 if arguments.quick else 7
    missing: list[Missing] = []
    cases = [Case(shape, scale, threads) for threads in (1, 2) for shape, scale in pairs]
    console = Console(width=max(200, Console().width))
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=len(cases))
        for threads in (1, 2):
            with ExitStack() as engines:
                alone = arguments.quick and threads == 1
                others = {} if alone else contestants(threads, engines)
                for case in (case for case in cases if case.threads == threads):
                    with ExitStack() as ours:
                        measure(case, others, missing, rounds, ours)
                    progress.advance(task)
    print_tables(cases, missing, console)
    figures: dict[str, Any] = {**summary(cases), **plan_figures()}
    if arguments.clip is not None:
        from benchmarks.equal_psnr import equal_psnr

        figures |= equal_psnr(arguments.clip, console)
    figures |= {"isa": available_isas()[-1], "compiler": compiler, "cores": os.cpu_count()}
    for name, value in figures.items():
        console.print(f"{name}: {json.dumps(value)}", markup=False)
    figures["cases"] = [case.to_json() for case in cases]
    figures["not_measured"] = [f"{entry.name}: {entry.reason}" for entry in missing]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
        plot(cases, arguments.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
