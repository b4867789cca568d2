"""Bjøntegaard deltas: the mean distance of two rate-distortion curves.

Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33 (2001), with
piecewise cubic Hermite interpolation as in JCTVC-L1100 and later common test conditions: slopes by
Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants", 1984.
Logarithm of rate over quality for the rate, quality over the logarithm of rate for the dB.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from overfit.metrics.psnr import F64


@dataclass(frozen=True)
class RatePoint:
    """One operating point: a rate (any unit, above 0) and a quality (dB, or any score)."""

    rate: float
    quality: float


def pareto(points: Sequence[RatePoint]) -> list[RatePoint]:
    """The points that no other one beats, by rising rate: quality rises strictly with it."""
    best: list[RatePoint] = []
    for point in sorted(points, key=lambda p: (p.rate, -p.quality)):
        if not math.isfinite(point.quality) or not 0 < point.rate < math.inf:
            raise ValueError(f"{point} is no operating point")
        if not best or point.quality > best[-1].quality:
            best.append(point)
    return best


def bd_rate(
    reference: Sequence[RatePoint],
    tested: Sequence[RatePoint],
    *,
    max_rate: float = math.inf,
) -> float | None:
    """Mean difference of rate at equal quality, in percent: negative where `tested` needs less.

    Only the part of the curves at or below `max_rate` counts. None where the curves share no
    range of quality. Raises ValueError with fewer than two points on either curve.
    """
    curves = [_curve(points) for points in (reference, tested)]
    low = max(curve[0].quality for curve in curves)
    high = (
        min(
            _read(curve, max_rate) if max_rate < curve[-1].rate else curve[-1].quality
            for curve in curves
            if curve[0].rate <= max_rate
        )
        if all(curve[0].rate <= max_rate for curve in curves)
        else -math.inf
    )
    if not low < high:
        return None
    means = [
        _mean([p.quality for p in curve], [math.log(p.rate) for p in curve], low, high)
        for curve in curves
    ]
    return 100 * (math.exp(means[1] - means[0]) - 1)


def bd_quality(
    reference: Sequence[RatePoint],
    tested: Sequence[RatePoint],
    *,
    max_rate: float = math.inf,
) -> float | None:
    """Mean difference of quality at equal rate: positive where `tested` is better.

    In the unit of quality (BD-PSNR: dB), over the logarithm of the rates that both have, up to
    `max_rate`. None where they share none. Raises ValueError with fewer than two points on either.
    """
    curves = [_curve(points) for points in (reference, tested)]
    low = max(curve[0].rate for curve in curves)
    high = min(max_rate, *(curve[-1].rate for curve in curves))
    if not low < high:
        return None
    means = [
        _mean(
            [math.log(p.rate) for p in curve],
            [p.quality for p in curve],
            math.log(low),
            math.log(high),
        )
        for curve in curves
    ]
    return float(means[1] - means[0])


def quality_at(points: Sequence[RatePoint], rate: float) -> float | None:
    """The quality of a curve at a rate; None outside the rates it has."""
    curve = _curve(points)
    if not curve[0].rate <= rate <= curve[-1].rate:
        return None
    return _read(curve, rate)


def _curve(points: Sequence[RatePoint]) -> list[RatePoint]:
    curve = pareto(points)
    if len(curve) < 2:
        raise ValueError("a curve needs at least two points of which none is beaten by another")
    return curve


def _read(curve: list[RatePoint], rate: float) -> float:
    x = np.log([point.rate for point in curve])
    y = np.array([point.quality for point in curve])
    slopes = _slopes(x, y)
    at = math.log(rate)
    piece = int(np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2))
    width = x[piece + 1] - x[piece]
    t = (at - x[piece]) / width
    return float(
        (1 + 2 * t) * (1 - t) ** 2 * y[piece]
        + t * (1 - t) ** 2 * width * slopes[piece]
        + t * t * (3 - 2 * t) * y[piece + 1]
        + t * t * (t - 1) * width * slopes[piece + 1]
    )


def _mean(xs: Sequence[float], ys: Sequence[float], low: float, high: float) -> float:
    """Mean of the interpolant through (xs, ys) between low and high, exact."""
    x, y = np.array(xs), np.array(ys)
    slopes = _slopes(x, y)
    total = 0.0
    for piece in range(len(x) - 1):
        begin, end = max(low, x[piece]), min(high, x[piece + 1])
        if begin < end:
            width = x[piece + 1] - x[piece]
            a, b = (begin - x[piece]) / width, (end - x[piece]) / width
            values = (y[piece], width * slopes[piece], y[piece + 1], width * slopes[piece + 1])
            total += width * float(np.dot(values, _basis_integral(b) - _basis_integral(a)))
    return total / (high - low)


def _basis_integral(t: float) -> F64:
    """Integrals from 0 to t of the four Hermite basis functions (value, slope; left, right)."""
    return np.array(
        [
            t - t**3 + t**4 / 2,
            t**2 / 2 - 2 * t**3 / 3 + t**4 / 4,
            t**3 - t**4 / 2,
            t**4 / 4 - t**3 / 3,
        ]
    )


def _slopes(x: F64, y: F64) -> F64:
    """Slopes at the points: weighted harmonic means of the neighbouring secants."""
    width = np.diff(x)
    secant = np.diff(y) / width
    if len(x) == 2:
        return np.array([secant[0], secant[0]])
    slopes = np.zeros_like(y)
    for k in range(1, len(x) - 1):
        left, right = secant[k - 1], secant[k]
        if left * right > 0:
            w1, w2 = 2 * width[k] + width[k - 1], width[k] + 2 * width[k - 1]
            slopes[k] = (w1 + w2) / (w1 / left + w2 / right)
    slopes[0] = _end_slope(width[0], width[1], secant[0], secant[1])
    slopes[-1] = _end_slope(width[-1], width[-2], secant[-1], secant[-2])
    return slopes


def _end_slope(h0: float, h1: float, s0: float, s1: float) -> float:
    """One-sided three-point slope, limited so that the end piece stays monotone."""
    slope = ((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    if slope * s0 <= 0:
        return 0.0
    if s0 * s1 <= 0 and abs(slope) > 3 * abs(s0):
        return 3 * s0
    return slope
