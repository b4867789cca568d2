"""What the benchmark of optimisers reads off its trainings."""

from __future__ import annotations

import pytest

from benchmarks.optimisers import Optimiser, Point, figures


def points(optimiser: Optimiser, rate: float, *psnr: float, seconds: float = 1.0) -> list[Point]:
    return [
        Point("a", optimiser, rate, steps, db, seconds)
        for steps, db in zip((100, 1000), psnr, strict=True)
    ]


def test_each_optimiser_counts_at_its_best_rate() -> None:
    measured = [
        *points("adam", 2e-3, 30.0, 32.0),
        *points("adam", 4e-3, 31.0, 31.0),
        *points("muon", 4e-3, 31.0, 33.0, seconds=1.5),
    ]
    found = figures(measured, {"a": 28.0})
    assert found["muon_over_adam_curve"] == {"100": 0.0, "1000": 1.0}
    assert found["muon_over_adam"] == 1.0
    assert found["muon_step_time"] == 1.5
    # 32 dB lie half way between 31 at 100 steps and 33 at 1000, in the logarithm.
    assert found["muon_steps"] == pytest.approx(10**2.5 / 1000)
