"""What Muon gains over Adam: `python -m benchmarks.optimisers [--quick] [--json FILE]`.

    clip ─► LR at one CRF ─► the default network, by either optimiser, for several numbers of steps
         ─► plans ─► PSNR-Y of frames

A training of n steps has its own schedule, so each length is a training of its own; both optimisers
see the same windows in the same order. Each is tried at several learning rates, and of each length
its best counts. Between lengths PSNR-Y is read off a line over the logarithm of the steps. Results
are kept in `--work`, so a killed run goes on where it was.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.base_speedup import Point as Trained
from benchmarks.base_speedup import steps_to
from benchmarks.footage import STARTS, footage, quality
from benchmarks.pruning import CLIPS, CRF, MADE_BY, SCALE, SECONDS
from benchmarks.rd_cache import Cache, Clip, default_work
from kernels.compiler import compile_module
from overfit.networks import NetworkConfig
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData
from server.encoding.graph import code_hash

Optimiser = Literal["adam", "muon"]

RATES: Mapping[Optimiser, Sequence[float]] = {"adam": (2e-3, 4e-3, 8e-3), "muon": (4e-3, 8e-3)}
STEPS, QUICK_STEPS = (750, 1500, 3000, 6000), (150, 300, 600)


@dataclass(frozen=True)
class Point:
    """One training: PSNR-Y in dB, and the seconds that a step took."""

    clip: str
    optimiser: Optimiser
    rate: float
    steps: int
    psnr_y: float
    step_seconds: float


@dataclass(frozen=True)
class Bench:
    """How networks are trained."""

    cache: Cache
    tile: int
    batch: int
    threads: int

    def point(
        self, clip: Clip, name: str, data: TrainingData, optimiser: Optimiser, rate: float, n: int
    ) -> Point:
        """Train on a clip for n steps, or find it done."""
        config = TrainingConfig(
            steps=n,
            tile=self.tile,
            batch=self.batch,
            threads=self.threads,
            optimiser=optimiser,
            learning_rate=rate,
        )
        facts = {
            "clip": clip.sha256,
            "footage": [SECONDS, CRF, STARTS.get(name, 0.0)],
            "training": [optimiser, rate, n, self.tile, self.batch],
            "code": code_hash((*MADE_BY, "overfit.training_config")),
        }

        def make() -> dict[str, Any]:
            trained = train(data, NetworkConfig(scale=SCALE), config)
            wire = compile_module(trained.network, SCALE, trained.bits)
            return {"psnr_y": quality(data, wire), "seconds": trained.seconds / trained.steps}

        made = self.cache.get("optimisers", facts, make)
        return Point(name, optimiser, rate, n, made["psnr_y"], made["seconds"])


def figures(points: Sequence[Point], interpolated: Mapping[str, float]) -> dict[str, Any]:
    """`muon_over_adam` in dB for every number of steps, means of the clips, and `muon_steps`.

    That is the part of Adam's longest training that Muon needs to its PSNR-Y, the mean of the
    clips. `interpolated`: dB of each clip by interpolation. Rows of fewer rates tell of these.
    """
    by: dict[tuple[str, Optimiser, int], float] = {}
    for point in points:
        key = point.clip, point.optimiser, point.steps
        by[key] = max(by.get(key, -math.inf), point.psnr_y)
    lengths = sorted({point.steps for point in points})
    longest = lengths[-1]
    over = {
        n: statistics.fmean(by[clip, "muon", n] - by[clip, "adam", n] for clip in interpolated)
        for n in lengths
    }
    parts = [
        steps_to(
            by[clip, "adam", longest],
            [Trained(n, by[clip, "muon", n], 0, None) for n in lengths],
            bicubic,
        )
        / longest
        for clip, bicubic in interpolated.items()
    ]
    a_step = {
        optimiser: statistics.median(p.step_seconds for p in points if p.optimiser == optimiser)
        for optimiser in RATES
    }
    return {
        "muon_over_adam": over[longest],
        "muon_over_adam_curve": {str(n): round(db, 4) for n, db in over.items()},
        "muon_steps": statistics.fmean(parts),
        "muon_step_time": a_step["muon"] / a_step["adam"],
    }


def main(
    clips: Annotated[Path | None, typer.Option(help="Folder; CRISPCAST_CLIPS if unset.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One clip, short trainings.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Clips with this in their name.")] = None,
    steps: Annotated[list[int] | None, typer.Option(help="Numbers of steps.")] = None,
    threads: Annotated[int, typer.Option(help="Of training.")] = 2,
    work: Annotated[Path | None, typer.Option(help="Where results are kept.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Muon beside Adam, at equal steps."""
    console = Console(stderr=True)
    folder = clips or Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    bench = Bench(
        Cache(work or default_work().with_name("optimisers")),
        48 if quick else 96,
        2 if quick else 3,
        threads,
    )
    lengths = steps or (QUICK_STEPS if quick else STEPS)
    tried = [(optimiser, rate) for optimiser, rates in RATES.items() for rate in rates]
    points, interpolated = [], {}
    for name in only or CLIPS[: 1 if quick else None]:
        paths = [path for path in sorted(folder.glob("*")) if name in path.name]
        if not paths:
            raise SystemExit(f"crispcast: no clip in {folder} has {name!r} in its name")
        clip = Clip.of(paths[0])
        data = footage(clip.path, SCALE, SECONDS, CRF, STARTS.get(name, 0.0))
        interpolated[name] = quality(data, None)
        shown = Table("steps", *(f"{optimiser} {rate:g}" for optimiser, rate in tried), title=name)
        for n in lengths:
            row = [bench.point(clip, name, data, *one, n) for one in tried]
            shown.add_row(str(n), *(f"{point.psnr_y:.3f}" for point in row))
            points += row
        console.print(shown)
    found = {
        **figures(points, interpolated),
        "quick": quick,
        "points": [vars(point) for point in points],
    }
    if as_json is not None:
        as_json.write_text(json.dumps(found, indent=1))
    print(json.dumps(found))


if __name__ == "__main__":
    typer.run(main)
