"""Plots as SVG: PSNR over time, rate and distortion; and bytes as a bar."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overfit.rd_curves import OURS, PLAIN, Curve
from overfit.report_page.markup import escape, scrolling

COLOURS = {"network": "#c2255c", "bicubic": "#1971c2", "lanczos": "#868e96"}
_RIVALS = ("#1971c2", "#2f9e44", "#7048e8", "#e8590c", "#0c8599", "#5c940d")
_BYTES = {
    "video": "#1971c2",
    "plans": "#c2255c",
    "plates": "#f08c00",
    "chroma": "#e599f7",
    "maps": "#2f9e44",
    "motion": "#7048e8",
    "manifest": "#868e96",
}
_POINTS = 1000
"""Of a line over time, at most; a point is then the mean of some frames."""
_BEYOND = 1.5
"""How far past our own rates rivals are drawn."""

Line = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Axes:
    """From values to the picture; `low` and `high` are the corners' (x, y)."""

    low: tuple[float, float]
    high: tuple[float, float]
    logarithmic: bool = False
    width: int = 960
    height: int = 320
    left: int = 46
    bottom: int = 40

    def x(self, value: float) -> float:
        low, high = self.low[0], self.high[0]
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.left + (value - low) / (high - low) * (self.width - self.left - 12)

    def y(self, value: float) -> float:
        share = (self.high[1] - value) / (self.high[1] - self.low[1])
        return 8 + share * (self.height - self.bottom - 8)

    def frame(self, columns: Mapping[float, str], unit: str) -> str:
        """The grid: rows of dB, columns as they are given."""
        floor = self.height - self.bottom
        parts = [
            f'<clipPath id="plot{self.width}x{self.height}"><rect x="{self.left}" y="0" '
            f'width="{self.width - self.left - 10}" height="{floor}"/></clipPath>'
        ]
        step = _step(self.high[1] - self.low[1])
        for level in np.arange(math.ceil(self.low[1] / step), self.high[1] / step + 1e-6) * step:
            parts.append(
                f'<path class="grid" d="M{self.left} {self.y(level):.1f}H{self.width - 10}"/>'
                f'<text x="{self.left - 6}" y="{self.y(level) + 4:.1f}" text-anchor="end">'
                f"{level:g}</text>"
            )
        for value, label in columns.items():
            parts.append(
                f'<path class="column" d="M{self.x(value):.1f} 8V{floor}"/>'
                f'<text x="{self.x(value):.1f}" y="{floor + 16}" text-anchor="middle">'
                f"{escape(label)}</text>"
            )
        parts.append(f'<text x="4" y="{self.height - 6}">{escape(unit)}</text>')
        return "".join(parts)

    def line(self, points: Line, colour: str, *, dots: bool = False) -> str:
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        marks = "".join(
            f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.5" fill="{colour}">'
            f"<title>{x:.4g} kb/s, {y:.2f} dB</title></circle>"
            for x, y in points
            if dots
        )
        clip = f'clip-path="url(#plot{self.width}x{self.height})"'
        return f'<g {clip}><polyline points="{path}" stroke="{colour}"/>{marks}</g>'

    def svg(self, parts: Sequence[str], what: str) -> str:
        return scrolling(
            f'<svg class="chart" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(what)}">{"".join(parts)}</svg>',
            what,
        )


def over_time(
    series: Mapping[str, Sequence[float]], starts: Sequence[int], seconds_per_frame: float
) -> str:
    """PSNR-Y of every frame; a dashed line where a segment starts."""
    frames = max(len(values) for values in series.values())
    lines = {name: _thinned(values, seconds_per_frame) for name, values in series.items()}
    levels = [y for line in lines.values() for _, y in line]
    low, high = _around(levels)
    axes = _Axes((0, low), (max(frames, 2) * seconds_per_frame, high))
    every = -(-len(starts) // 12)
    columns = {
        start * seconds_per_frame: f"{start * seconds_per_frame:.1f}" if n % every == 0 else ""
        for n, start in enumerate(starts)
    }
    means = ", ".join(f"{name} {np.mean(values):.2f} dB" for name, values in series.items())
    parts = [axes.frame(columns, "PSNR-Y in dB over seconds; dashed: a segment starts")]
    parts += [axes.line(line, COLOURS[name]) for name, line in lines.items()]
    return legend({name: COLOURS[name] for name in series}) + axes.svg(
        parts, f"PSNR-Y of every frame; means: {means}"
    )


def _thinned(values: Sequence[float], seconds_per_frame: float) -> Line:
    if len(values) == 1:  # of one point no line is drawn
        return [(0.0, values[0]), (seconds_per_frame, values[0])]
    parts = np.array_split(np.asarray(values, np.float64), min(_POINTS, len(values)))
    first = np.cumsum([0, *(len(part) for part in parts[:-1])])
    return [
        ((int(n) + (len(part) - 1) / 2) * seconds_per_frame, float(part.mean()))
        for n, part in zip(first, parts, strict=True)
    ]


def rate_distortion(curves: Sequence[Curve], kbps: float, psnr: float) -> str:
    """The curves of a clip, and where the package at hand (kb/s, dB) lies among them."""
    named = {curve.name for curve in curves}
    ours = [x for c in curves if c.name == OURS or OURS not in named for x, _ in c.points]
    left, right = min([*ours, kbps]) / _BEYOND, max([*ours, kbps]) * _BEYOND
    seen = [y for curve in curves for x, y in curve.points if left <= x <= right]
    low, high = _around([*seen, psnr])
    axes = _Axes((left, low), (right, high), logarithmic=True, height=400)
    rates = [m * 10**e for e in range(-1, 6) for m in (1, 1.5, 2, 2.5, 3, 4, 5, 7)]
    columns = {rate: f"{rate:g}" for rate in rates if left <= rate <= right}
    others = [curve.name for curve in curves if curve.name not in (OURS, PLAIN)]
    colours = {OURS: COLOURS["network"], PLAIN: COLOURS["lanczos"]}
    colours |= {name: _RIVALS[n % len(_RIVALS)] for n, name in enumerate(others)}
    parts = [axes.frame(columns, "PSNR-Y in dB over kb/s, all that is downloaded")]
    parts += [axes.line(curve.points, colours[curve.name], dots=True) for curve in curves]
    parts.append(
        f'<circle cx="{axes.x(kbps):.1f}" cy="{axes.y(psnr):.1f}" r="7" fill="none" '
        f'stroke="#212529" stroke-width="2.5"/>'
    )
    shown = {curve.name: colours[curve.name] for curve in curves}
    return legend({**shown, "this package (ring)": "#212529"}) + axes.svg(
        parts,
        f"Rate and distortion of {', '.join(shown)}; this package: {kbps:.1f} kb/s, {psnr:.2f} dB",
    )


def bytes_bar(sizes: Mapping[str, int]) -> str:
    """What the bytes of the picture are made of, as one bar."""
    total = sum(sizes[name] for name in _BYTES)
    shares = {name: 100 * sizes[name] / total for name in _BYTES if sizes[name]}
    what = ", ".join(f"{name} {share:.1f} %" for name, share in shares.items())
    spans = "".join(
        f'<span style="width:{share:.3f}%;background:{_BYTES[name]}"></span>'
        for name, share in shares.items()
    )
    named = {f"{name} {share:.1f} %": _BYTES[name] for name, share in shares.items()}
    return f'<div class="bar" role="img" aria-label="{what}">{spans}</div>{legend(named)}'


def legend(colours: Mapping[str, str]) -> str:
    """What the colours mean."""
    items = "".join(
        f'<li><i style="background:{colour}"></i>{escape(name)}</li>'
        for name, colour in colours.items()
    )
    return f'<ul class="legend">{items}</ul>'


def _around(levels: Sequence[float]) -> tuple[float, float]:
    low, high = math.floor(min(levels)), math.ceil(max(levels))
    return low, max(high, low + 1)


def _step(span: float) -> float:
    """Between rows: about six of them."""
    return next((step for step in (0.2, 0.5, 1, 2, 5) if span / step <= 8), 10.0)
