"""How much sooner an expert is good that starts from a base: `python -m benchmarks.base_speedup`.

    clip left out ─► a base of all other clips ─┐
    clip ─► LR at one CRF ─► training of several lengths, from the base and from random weights
         ─► plans ─► PSNR-Y of frames ─► steps to 95 % of the full gain

A training of n steps has its own schedule, so each length is a training of its own. The full gain
is that of the longest from random weights, over interpolation; between lengths the gain is read off
a line over the logarithm of the steps. A step costs the same on both sides, so the ratio of steps
is the ratio of times. Prints one JSON object.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from kernels.compiler import compile_module, decode_plan
from kernels.runtime import Engine, Plan, Plate
from overfit.base import BaseConfig, clips_in, train_base
from overfit.base_footage import FootageConfig, base_footage
from overfit.metrics import psnr_y
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData

SCRATCH, BASED = (300, 750, 1500, 3000, 5000), (60, 150, 300, 750, 1500)
QUICK_SCRATCH, QUICK_BASED = (150, 300, 600), (30, 60, 150, 300, 600)
CASES = (("juggle", 32.0, True), ("juggle", 32.0, False), ("bbb", 30.0, False))
"""Clip, CRF of its LR, and whether experts have its plate."""
FRAMES = 72
BASES = Path.home() / ".cache" / "crispcast" / "bases"


@dataclass(frozen=True)
class Point:
    """One training: its steps, PSNR-Y in dB, and bytes of the plan, whole and as a difference."""

    steps: int
    psnr_y: float
    bytes: int
    difference: int | None


def measure(data: TrainingData, wire: bytes | None, base: bytes | None = None) -> float:
    """PSNR-Y in dB of every tenth frame; without a plan, of interpolation."""
    engine = Engine(1)
    plans = [] if wire is None else [Plan(wire, base)]
    still = [plate for plate in data.plates if isinstance(plate, np.ndarray)]
    plate = Plate(still[0], data.scale) if still else None
    height, width = data.lr.shape[1:]
    half = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    found = []
    for number in range(2, len(data.lr), 10):
        planes = (data.lr[number], half, half)
        previous = data.lr[data.previous[number]]
        made = engine.upscale(planes, data.scale, plans=plans, previous=previous, plate=plate)
        found.append(psnr_y(made[0], data.hr[number]))
    return statistics.fmean(found)


def trained(data: TrainingData, config: BaseConfig, steps: int, base: bytes | None) -> Point:
    """An expert after `steps`, as it would be sent."""
    training = TrainingConfig(steps=steps, threads=config.threads)
    if base is None:
        made = train(data, config.network, training)
        wire = compile_module(made.network, config.scale, made.bits)
        return Point(steps, measure(data, wire), len(wire), None)
    start = decode_plan(base)
    made = train(data, config.network, training.from_base(), base=start)
    whole = compile_module(made.network, config.scale, made.bits)
    difference = compile_module(made.network, config.scale, made.bits, base=base)
    return Point(steps, measure(data, difference, base), len(whole), len(difference))


def steps_to(wanted: float, points: Sequence[Point], bicubic: float) -> float:
    """Steps after which `points` reach `wanted` dB; infinite where they never do."""
    before = Point(1, bicubic, 0, None)
    for point in points:
        if point.psnr_y >= wanted:
            share = (wanted - before.psnr_y) / (point.psnr_y - before.psnr_y)
            return float(before.steps * (point.steps / before.steps) ** share)
        before = point
    return math.inf


def case(
    clips: Sequence[Path], clip: str, crf: float, plate: bool, folder: Path, quick: bool
) -> dict[str, Any]:
    """The figures of one clip, with a base of the others, which `folder` keeps."""
    config = BaseConfig(plate=plate)
    file = folder / f"x2{'-plate' if plate else ''}-without-{clip}.plan"
    if not file.exists():
        others = clips_in(clips, clip)
        material = base_footage(others, config.scale, config.footage, plates=plate)
        file.write_bytes(train_base(material, config))
    base = file.read_bytes()
    [own] = [path for path in clips_in(clips) if clip in path.name]
    data = base_footage([own], config.scale, FootageConfig((crf,), FRAMES), plates=plate)
    if not plate:
        data = replace(data, plates=(), plate_of=None)
    bicubic = measure(data, None)
    scratch = [trained(data, config, n, None) for n in (QUICK_SCRATCH if quick else SCRATCH)]
    based = [trained(data, config, n, base) for n in (QUICK_BASED if quick else BASED)]
    wanted = bicubic + 0.95 * (scratch[-1].psnr_y - bicubic)
    steps = steps_to(wanted, scratch, bicubic), steps_to(wanted, based, bicubic)
    return {
        "clip": clip,
        "plate": plate,
        "psnr_y_bicubic": bicubic,
        "psnr_y_of_the_base": measure(data, base),
        "scratch": [asdict(point) for point in scratch],
        "based": [asdict(point) for point in based],
        "steps_scratch": steps[0],
        "steps_based": steps[1] if math.isfinite(steps[1]) else None,
        "base_speedup": steps[0] / steps[1],
    }


def main(
    clips: Annotated[Path | None, typer.Option(help="Folder; CRISPCAST_CLIPS if unset.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Short trainings.")] = False,
    only: Annotated[int | None, typer.Option(help="Index of the one case to run.")] = None,
    bases: Annotated[Path, typer.Option(help="Keeps the bases it trains.")] = BASES,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Steps to 95 % of the full gain, from random weights and from a base."""
    console = Console(stderr=True)
    folder = clips or Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    bases.mkdir(parents=True, exist_ok=True)
    found = []
    for clip, crf, plate in CASES if only is None else [CASES[only]]:
        found.append(case([folder], clip, crf, plate, bases, quick))
        console.print(f"{clip}{' with plate' if plate else ''}: {found[-1]['base_speedup']:.1f}×")
    figures = {
        "base_speedup": statistics.median(entry["base_speedup"] for entry in found),
        "quick": quick,
        "cases": found,
    }
    if as_json is not None:
        as_json.write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
