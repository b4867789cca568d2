"""What the benchmark of pruning reads off its points."""

from __future__ import annotations

import math

import pytest

from benchmarks.pruning import LARGER, UNITS, Case, Point, cases, figures, rows
from overfit.pruning import ALLOCATIONS, DENSE, PATTERNS, SCHEDULES, PruningConfig


def point(case: Case, psnr_y: float, survivors: int, multiplied: int = 0, clip: str = "a") -> Point:
    return Point(case, clip, psnr_y, b"plan", survivors, multiplied or survivors, 1.0)


def dense(clip: str = "a", base: float = 30.0) -> list[Point]:
    """1 dB for each doubling of the weights from 1000 on."""
    sizes = {8: 1000, 12: 2000, UNITS: 4000}
    return [
        point(Case(units, DENSE), base + math.log2(size / 1000), size, clip=clip)
        for units, size in sizes.items()
    ]


HALF = Case(pruning=PruningConfig(density=0.5))
QUARTER = Case(pruning=PruningConfig(density=0.25))


def test_a_pruned_network_is_compared_with_dense_ones_of_its_weights_clip_by_clip() -> None:
    single = Case(pruning=PruningConfig("unstructured", density=0.25))
    points = [
        *dense(),
        *dense("b", 40.0),
        point(HALF, 31.9, 2000),
        point(HALF, 42.0, 2000, clip="b"),
        point(QUARTER, 30.3, 1000),
        point(QUARTER, 40.1, 1000, clip="b"),
        point(single, 30.8, 1000, 2000),
        point(single, 41.0, 1000, 2000, clip="b"),
    ]
    found = {row.case: row for row in rows(points)}
    assert found[QUARTER].over_small == pytest.approx(0.2)
    assert found[single].over_small == pytest.approx(0.9)
    assert found[single].over_small_compute == pytest.approx(-0.1)
    told = figures(list(found.values()))
    assert told["sparse_over_small"] == pytest.approx(0.2)
    assert told["sparse_over_small_of"] == "taps cubic ranked"
    assert told["prune_loss_50"] == pytest.approx(0.05)


def test_a_quick_run_has_every_choice_once_and_all_has_every_combination() -> None:
    quick, everything = cases(True, False), cases(False, True)
    for name, choices in (
        ("pattern", PATTERNS),
        ("schedule", SCHEDULES),
        ("allots", ALLOCATIONS),
    ):
        assert {getattr(case.pruning, name) for case in quick} == set(choices)
    assert len(quick) == len(set(quick)) < len(everything) == len(set(everything))
    for units in LARGER:
        [density] = [case.pruning.density for case in quick if case.units == units]
        kept = 9 * units * 6 + density * 3 * 36 * units**2
        assert kept == pytest.approx(9 * UNITS * 6 + 0.25 * 3 * 36 * UNITS**2, rel=0.01)
