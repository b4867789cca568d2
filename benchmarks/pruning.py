"""What pruning costs and gains: `python -m benchmarks.pruning [--quick] [--plot FILE]`.

    clip ─► LR at one CRF ─► dense networks of several sizes ─► a line: PSNR-Y over weights
                          └► networks pruned in many ways ────► how far above it, bytes, ms

Each network is trained alike on the decoded LR, compiled, and run by the runtime over frames of the
clip. How far a pruned network is above small dense ones is read off the line through those, PSNR-Y
over the logarithm of their weights: at equal survivors (weights that are not zero) and at equal
compute (weights under the plan's taps, which are multiplied whether zero or not). Results are kept
in `--work`, by the settings and the code that made them, so a killed run goes on where it was.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.footage import STARTS, footage, quality, upscale
from benchmarks.rd_cache import Cache, Clip, default_work
from kernels.compiler import compile_module, decode_plan
from kernels.runtime import Engine, Plan
from overfit.networks import NetworkConfig
from overfit.pruning import ALLOCATIONS, DENSE, PATTERNS, SCHEDULES, UNIFORM_ONLY, PruningConfig
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData
from server.encoding.graph import code_hash

SCALE, SECONDS, CRF = 2, 3.0, 30.0
CLIPS = ("juggle", "cups", "bbb")
UNITS = 16
LARGER = (24, 32)
"""Units of the network that is pruned, and of others that are pruned to as many weights."""
QUICK_STEPS, STEPS = 600, 3000
ROUNDS = 9
MADE_BY = (
    "kernels.compiler",
    "overfit.acceleration",
    "overfit.adam",
    "overfit.convergence",
    "overfit.gradients",
    "overfit.muon",
    "overfit.networks",
    "overfit.pruning",
    "overfit.training",
    "overfit.training_data",
)


@dataclass(frozen=True)
class Case:
    """One network and how it is pruned."""

    units: int = UNITS
    pruning: PruningConfig = field(default_factory=PruningConfig)

    @property
    def name(self) -> str:
        """What it is called in the table."""
        if self.pruning.dense:
            return f"dense, {self.units} units"
        parts = (self.pruning.pattern, self.pruning.schedule, self.pruning.allots)
        larger = "" if self.units == UNITS else f", of {self.units} units"
        return f"{' '.join(parts)}{larger}"


@dataclass(frozen=True)
class Point:
    """What a case came to on one clip.

    `survivors` are weights that are not zero, `multiplied` those under taps, a LR pixel; `seconds`
    of training; `ms` a frame in the runtime, one thread.
    """

    case: Case
    clip: str
    psnr_y: float
    wire: bytes
    survivors: int
    multiplied: int
    seconds: float
    ms: float = 0.0


def cases(quick: bool, everything: bool) -> list[Case]:
    """Dense networks, every pattern, every schedule, every allocation; or every combination.

    What tells most comes first, for runs that are killed.
    """
    found = [Case(units, DENSE) for units in ((8, 12, 16) if quick else (4, 8, 12, 16))]
    pruned = [Case(units, PruningConfig(density=_equal(units))) for units in LARGER]
    for density in (0.25, 0.5) if quick else (0.25, 0.5, 0.125):
        pruned += [Case(pruning=pruning) for pruning in _prunings(density, quick, everything)]
    return found + sorted(pruned, key=lambda case: _changes(case.pruning))


def _changes(pruning: PruningConfig) -> tuple[int, bool, bool]:
    """In how many choices it differs from the default, other patterns before other schedules."""
    own = "uniform" if pruning.pattern in UNIFORM_ONLY else "ranked"
    other = (pruning.pattern != "taps", pruning.schedule != "cubic", pruning.allots != own)
    return sum(other), other[2], other[1]


def _prunings(density: float, quick: bool, everything: bool) -> Iterator[PruningConfig]:
    """Every combination, or those that differ from the default in one choice at most."""
    for pattern, schedule, allocation in itertools.product(PATTERNS, SCHEDULES, ALLOCATIONS):
        if pattern in UNIFORM_ONLY and allocation != "uniform":
            continue
        if (pattern == "kernels" and density > 0.4) or (pattern == "n:m" and density < 0.25):
            continue
        pruning = PruningConfig(pattern, schedule, allocation, density)
        changes = _changes(pruning)[0]
        if everything or changes == 0 or (changes == 1 and not (quick and density == 0.5)):
            yield pruning


def _equal(units: int) -> float:
    """The density at which a network has as many weights as one of `UNITS` at a quarter."""
    ends = _weights(units, 0) - _weights(UNITS, 0)
    quarter = 0.25 * (_weights(UNITS, 3) - _weights(UNITS, 0))
    return round((quarter - ends) / (_weights(units, 3) - _weights(units, 0)), 4)


def _weights(units: int, blocks: int) -> int:
    """Of a network of two input planes: in its ends and in so many blocks."""
    return 9 * units * (2 + SCALE**2) + blocks * 36 * units**2


@dataclass(frozen=True)
class Bench:
    """How cases are trained."""

    cache: Cache
    steps: int
    tile: int
    batch: int
    threads: int
    done: bool
    """Only find what is done, train nothing."""

    def point(self, clip: Clip, name: str, data: TrainingData, case: Case) -> Point | None:
        """Train a case on a clip, or find it done; None where it is not and shall not be."""
        config = TrainingConfig(
            steps=self.steps,
            tile=self.tile,
            batch=self.batch,
            threads=self.threads,
            pruning=case.pruning,
        )
        network = NetworkConfig(scale=SCALE, units=case.units)
        facts = {
            "clip": clip.sha256,
            "footage": [SECONDS, CRF, STARTS.get(name, 0.0)],
            "network": {**asdict(network), "inputs": list(network.inputs)},
            "training": {k: v for k, v in asdict(config).items() if k != "threads"},
            "code": code_hash(MADE_BY),
        }

        def make() -> dict[str, Any]:
            trained = train(data, network, config)
            wire = compile_module(trained.network, SCALE, trained.bits)
            return {
                "psnr_y": quality(data, wire),
                "wire": base64.b64encode(wire).decode(),
                "seconds": trained.seconds,
            }

        if self.done and self.cache.find("pruning", facts) is None:
            return None
        made = self.cache.get("pruning", facts, make)
        wire = base64.b64decode(made["wire"])
        plan = decode_plan(wire)
        survivors = sum(int(np.count_nonzero(numbers.weights)) for numbers in plan.numbers)
        return Point(case, name, made["psnr_y"], wire, survivors, plan.weights, made["seconds"])


def timed(data: TrainingData, points: Sequence[Point]) -> list[Point]:
    """With the milliseconds of a frame, medians; all run in turn, as machines drift."""
    engine, plans = Engine(1), [Plan(point.wire) for point in points]
    taken: list[list[float]] = [[] for _ in points]
    for _ in range(ROUNDS):
        for times, plan in zip(taken, plans, strict=True):
            begun = time.perf_counter()
            upscale(engine, data, 1, plan)
            times.append(1000 * (time.perf_counter() - begun))
    return [
        Point(**{**vars(point), "ms": statistics.median(times)})
        for point, times in zip(points, taken, strict=True)
    ]


@dataclass(frozen=True)
class Row:
    """A case over all clips, means: dB above small dense networks, and what it costs."""

    case: Case
    psnr_y: float
    bytes: float
    survivors: float
    multiplied: float
    ms: float
    seconds: float
    over_small: float
    over_small_compute: float
    loss: float

    @property
    def advantage(self) -> float:
        """dB above small dense networks of equal survivors and of equal compute."""
        return min(self.over_small, self.over_small_compute)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        own = {key: value for key, value in vars(self).items() if key != "case"}
        return {"name": self.case.name, "density": self.case.pruning.density, **own}


def rows(points: Sequence[Point]) -> list[Row]:
    """A row a case; the line of each clip is drawn through its dense networks."""
    found = []
    for case in dict.fromkeys(point.case for point in points):
        own = [point for point in points if point.case == case]
        survivors, compute, losses = [], [], []
        for point in own:
            dense = [p for p in points if p.clip == point.clip and p.case.pruning.dense]
            survivors.append(point.psnr_y - _line(dense, "survivors", point.survivors))
            compute.append(point.psnr_y - _line(dense, "multiplied", point.multiplied))
            [parent] = [p.psnr_y for p in dense if p.case.units == UNITS]
            losses.append(parent - point.psnr_y)
        mean = statistics.fmean
        found.append(
            Row(
                case,
                mean(point.psnr_y for point in own),
                mean(len(point.wire) for point in own),
                mean(point.survivors for point in own),
                mean(point.multiplied for point in own),
                mean(point.ms for point in own),
                mean(point.seconds for point in own),
                mean(survivors),
                mean(compute),
                mean(losses),
            )
        )
    return found


def _line(dense: Sequence[Point], what: str, weights: int) -> float:
    """PSNR-Y in dB of a dense network of so many weights; beyond the line, of its end."""
    ordered = sorted(dense, key=lambda point: int(getattr(point, what)))
    sizes = np.log([getattr(point, what) for point in ordered])
    return float(np.interp(np.log(weights), sizes, [point.psnr_y for point in ordered]))


def figures(found: Sequence[Row]) -> dict[str, Any]:
    """`sparse_over_small`, of the best at a quarter or less; `prune_loss_50`, of the default.

    None where it was not measured.
    """
    pruned = [row for row in found if not row.case.pruning.dense]
    small = [row for row in pruned if row.case.pruning.density <= 0.25]
    half = [row for row in pruned if row.case.pruning.density == 0.5]
    best = max(small, key=lambda row: row.advantage, default=None)
    least = min(half, key=lambda row: row.loss, default=None)
    default = next((row for row in small if _usual(row, 0.25)), None)
    default_half = next((row for row in half if _usual(row, 0.5)), None)
    return {
        "sparse_over_small": best and best.advantage,
        "sparse_over_small_of": best and best.case.name,
        "sparse_over_small_default": default and default.advantage,
        "prune_loss_50": default_half and default_half.loss,
        "prune_loss_50_best": least and least.loss,
        "prune_loss_50_best_of": least and least.case.name,
    }


def _usual(row: Row, density: float) -> bool:
    """Whether it is the default network, pruned by default, but for the density."""
    pruning = row.case.pruning
    return row.case.units == UNITS and _changes(pruning)[0] == 0 and pruning.density == density


def table(found: Sequence[Row]) -> Table:
    """A row a case."""
    shown = Table(title="means of the clips")
    shown.add_column("network, pruned by")
    for name in (
        "density",
        "PSNR-Y",
        "bytes",
        "survivors",
        "multiplied",
        "ms",
        "over small",
        "at equal compute",
    ):
        shown.add_column(name, justify="right")
    for row in found:
        shown.add_row(
            row.case.name,
            f"{row.case.pruning.density:g}",
            f"{row.psnr_y:.3f}",
            f"{row.bytes:.0f}",
            f"{row.survivors:.0f}",
            f"{row.multiplied:.0f}",
            f"{row.ms:.2f}",
            f"{row.over_small:+.3f}",
            f"{row.over_small_compute:+.3f}",
        )
    return shown


def main(
    clips: Annotated[Path | None, typer.Option(help="Folder; CRISPCAST_CLIPS if unset.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One clip, few steps.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every combination.")] = False,
    only: Annotated[str, typer.Option(help="Cases with this in their name, and dense ones.")] = "",
    steps: Annotated[int | None, typer.Option(help="Of each training.")] = None,
    threads: Annotated[int, typer.Option(help="Of training.")] = 2,
    done: Annotated[bool, typer.Option("--done", help="Tell of what is done, train nothing.")] = (
        False
    ),
    work: Annotated[Path | None, typer.Option(help="Where results are kept.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw PSNR-Y over bytes here.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Pruning in many ways beside small dense networks."""
    console = Console(stderr=True)
    folder = clips or Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    wanted = STEPS if steps is None else steps
    if quick and steps is None:
        wanted = QUICK_STEPS
    cache = Cache(work or default_work().with_name("pruning"))
    bench = Bench(cache, wanted, 48 if quick else 96, 2 if quick else 3, threads, done)
    chosen = [c for c in cases(quick, everything) if c.pruning.dense or only in c.name]
    points = []
    for name in CLIPS[:1] if quick else CLIPS:
        paths = [path for path in sorted(folder.glob("*")) if name in path.name]
        if not paths:
            raise SystemExit(f"crispcast: no clip in {folder} has {name!r} in its name")
        clip = Clip.of(paths[0])
        data = footage(clip.path, SCALE, SECONDS, CRF, STARTS.get(name, 0.0))
        console.print(f"{name}: bicubic {quality(data, None):.3f} dB")
        of_clip = []
        for case in chosen:
            point = bench.point(clip, name, data, case)
            if point is None:
                continue
            of_clip.append(point)
            console.print(
                f"  {case.name} {case.pruning.density:g}: {point.psnr_y:.3f} dB, "
                f"{point.seconds:.0f} s"
            )
        if not {case for case in chosen if case.pruning.dense} <= {p.case for p in of_clip}:
            raise SystemExit(f"crispcast: {name} has too little done; run it without --done")
        points += timed(data, of_clip)
    found = rows(points)
    console.print(table(found))
    result = {**figures(found), "steps": wanted, "quick": quick}
    result["rows"] = [row.facts() for row in found]
    if plot is not None:
        from benchmarks.pruning_plot import plot_rows

        plot_rows(found, plot)
    if as_json is not None:
        as_json.write_text(json.dumps(result, indent=1))
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
