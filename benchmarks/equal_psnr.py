"""At equal PSNR on a real clip: rivals run the small dense network, ours whatever is best for it.

Dense networks of several widths and our pruned ones, in fp32 and int8, are trained alike on the
decoded LR of the clip's first seconds; each is measured on frames spread over them and timed at two
threads. For each of ours, the time of a dense network of the same PSNR is read off the line through
the rivals' (logarithm of time over PSNR), each at its engine's fastest precision.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.contestant import OURS, Contestant, Scene
from benchmarks.footage import footage, quality
from benchmarks.kernel_figures import plan_figures
from benchmarks.rivals import rivals
from kernels.compiler import compile_module, decode_plan, encode_plan
from kernels.plan import PlanIR
from overfit.networks import NetworkConfig
from overfit.pruning import PruningConfig
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData

SCALE, SECONDS, CRF = 2, 4.0, 30.0
STEPS = 1000
ROUNDS = 15
DENSE_UNITS = (4, 8, 12, 16)
PRUNED_UNITS = (8, 16)


@dataclass(frozen=True)
class Entry:
    """A trained network: its plan, its PSNR-Y in dB on the clip, seconds a frame."""

    name: str
    plan: PlanIR
    psnr_y: float
    seconds: float


def equal_psnr(clip: Path, console: Console) -> dict[str, Any]:
    """`speedup_equal_psnr`, `loss_int8_db`, and figures of the trained default plan."""
    data = footage(clip, SCALE, SECONDS, CRF)
    rival_entries = [_rival(data, units) for units in DENSE_UNITS]
    ours = {
        (units, codes): _ours(data, units, codes)
        for units in PRUNED_UNITS
        for codes in (False, True)
    }
    for entry in (*rival_entries, *ours.values()):
        console.print(f"{entry.name:32} {entry.psnr_y:.3f} dB {1000 * entry.seconds:7.2f} ms")
    speedups = {
        entry.name: _time_at(rival_entries, entry.psnr_y) / entry.seconds for entry in ours.values()
    }
    losses = [ours[u, False].psnr_y - ours[u, True].psnr_y for u in PRUNED_UNITS]
    return {
        "speedup_equal_psnr": max(speedups.values()),
        "speedup_equal_psnr_each": speedups,
        "loss_int8_db": max(losses),
        **plan_figures(ours[16, True].plan),
    }


def _time_at(entries: list[Entry], psnr_y: float) -> float:
    """Seconds at which the rivals' line reaches `psnr_y`; beyond its ends it is not drawn on."""
    ordered = sorted(entries, key=lambda entry: entry.psnr_y)
    times = np.log([entry.seconds for entry in ordered])
    return float(np.exp(np.interp(psnr_y, [entry.psnr_y for entry in ordered], times)))


def _train(data: TrainingData, units: int, density: float, codes: bool) -> PlanIR:
    config = TrainingConfig(steps=STEPS, pruning=PruningConfig(density=density), codes=codes)
    trained = train(data, NetworkConfig(scale=SCALE, units=units), config)
    return decode_plan(compile_module(trained.network, SCALE, trained.bits))


def _scene(data: TrainingData, number: int) -> Scene:
    height, width = data.lr.shape[1:]
    half = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    plate = np.zeros((SCALE * height, SCALE * width), np.uint8)
    return Scene((data.lr[number], half, half), data.lr[data.previous[number]], plate)


def _median(contestant: Contestant) -> float:
    return statistics.median(contestant.run() for _ in range(ROUNDS))


def _rival(data: TrainingData, units: int) -> Entry:
    """A dense network at the fastest engine and precision that runs it."""
    plan = _train(data, units, 1.0, codes=False)
    best: tuple[float, str] | None = None
    for module, rival in rivals().items():
        for precision in rival.PRECISIONS:
            contestant = Contestant(module, precision, 2)
            try:
                contestant.prepare(plan, _scene(data, 1))
                seconds = _median(contestant)
                if best is None or seconds < best[0]:
                    best = seconds, f"{rival.NAME} {precision}"
            except RuntimeError:
                continue  # said in the table of the kernels
            finally:
                contestant.close()
    assert best is not None
    return Entry(f"dense {units}, {best[1]}", plan, quality(data, encode_plan(plan)), best[0])


def _ours(data: TrainingData, units: int, codes: bool) -> Entry:
    plan = _train(data, units, 0.25, codes)
    contestant = Contestant(OURS, "int8" if codes else "fp32", 2)
    contestant.prepare(plan, _scene(data, 1))
    seconds = _median(contestant)
    contestant.close()
    precision = "int8" if codes else "fp32"
    return Entry(
        f"ours {units} at 25 %, {precision}", plan, quality(data, encode_plan(plan)), seconds
    )
