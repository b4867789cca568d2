"""Bjøntegaard deltas of curves whose distance is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from overfit.metrics import RatePoint, bd_quality, bd_rate, pareto, quality_at
from overfit.metrics.bd_rate import _mean

CURVE = [RatePoint(100, 30.0), RatePoint(180, 32.7), RatePoint(420, 35.1), RatePoint(900, 36.9)]


def moved(factor: float, decibels: float = 0.0) -> list[RatePoint]:
    return [RatePoint(p.rate * factor, p.quality + decibels) for p in CURVE]


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.37])
def test_a_constant_factor_of_rate_is_the_bd_rate(factor: float) -> None:
    assert bd_rate(CURVE, moved(factor)) == pytest.approx(100 * (factor - 1), abs=1e-9)


def test_a_constant_difference_of_quality_is_the_bd_quality() -> None:
    assert bd_quality(CURVE, moved(1, 0.8)) == pytest.approx(0.8, abs=1e-12)
    assert bd_quality(CURVE, CURVE) == pytest.approx(0, abs=1e-12)


def test_lines_over_the_logarithm_of_rate() -> None:
    # 6 and 5 dB a decade, from 30 dB at rate 1: over rates 1 … 100 1 dB apart on average.
    steep = [RatePoint(10**x, 30 + 6 * x) for x in (0, 0.5, 1, 1.5, 2)]
    flat = [RatePoint(10**x, 30 + 5 * x) for x in (0, 0.7, 1.1, 2)]
    assert bd_quality(flat, steep) == pytest.approx(1, abs=1e-9)
    # Over 30 … 40 dB: log10 of rate is (q − 30)/6 and (q − 30)/5, 1/6 apart on average.
    assert bd_rate(flat, steep) == pytest.approx(100 * (10 ** (-1 / 6) - 1), abs=1e-9)


def test_only_the_common_range_counts() -> None:
    low, high = moved(0.5)[:3], moved(1)[1:]
    assert bd_rate(high, low) == pytest.approx(-50, abs=3)  # the ends' slopes differ a little
    assert bd_rate(moved(1), [RatePoint(10, 10), RatePoint(20, 20)]) is None
    assert bd_quality(moved(1), moved(100)) is None


def test_a_highest_rate_cuts_both_curves() -> None:
    # Equal up to rate 180, far apart above: only what is below counts.
    other = [*CURVE[:3], RatePoint(900, 50.0)]
    assert bd_quality(CURVE, other, max_rate=180) == pytest.approx(0, abs=1e-9)
    assert (bd_quality(CURVE, other) or 0) > 1
    assert bd_rate(CURVE, moved(0.5), max_rate=400) == pytest.approx(-50, abs=1e-9)
    assert bd_rate(CURVE, moved(2), max_rate=150) is None
    assert bd_rate(CURVE, moved(0.5), max_rate=20) is None


def test_points_that_others_beat_are_left_out() -> None:
    worse = RatePoint(300, 31.0)
    assert pareto([*CURVE[::-1], worse, RatePoint(100, 29.0)]) == CURVE
    assert bd_rate([*CURVE, worse], moved(0.8)) == pytest.approx(-20, abs=1e-9)


def test_what_is_no_curve() -> None:
    with pytest.raises(ValueError, match="two points"):
        bd_rate(CURVE, [RatePoint(100, 30), RatePoint(200, 29)])
    for broken in (RatePoint(0, 30), RatePoint(10, math.nan), RatePoint(math.inf, 30)):
        with pytest.raises(ValueError, match="no operating point"):
            bd_quality(CURVE, [*CURVE, broken])


def test_reading_a_curve() -> None:
    assert quality_at(CURVE, 420) == pytest.approx(35.1)
    assert quality_at(CURVE, 99) is None
    between = quality_at(CURVE, 300)
    assert between is not None
    assert 32.7 < between < 35.1


def test_the_interpolant_keeps_between_its_points() -> None:
    # Any other cubic would overshoot the plateau: its mean would leave the range of the values.
    x, y = [0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0, 1.0]
    assert _mean(x, y, 2.0, 4.0) == pytest.approx(1.0)
    assert _mean(x, y, 0.0, 1.0) == pytest.approx(0.0)
    assert _mean(x, y, 1.0, 2.0) == pytest.approx(0.5)


def test_the_integral_is_that_of_the_interpolant() -> None:
    x = [math.log(p.rate) for p in CURVE]
    y = [p.quality for p in CURVE]
    rates = np.exp(np.linspace(x[0], x[-1], 20001))
    values = [quality_at(CURVE, min(float(r), CURVE[-1].rate)) or 0 for r in rates[1:]]
    assert _mean(x, y, x[0], x[-1]) == pytest.approx(np.mean(values), abs=1e-3)
