"""Rate-distortion plots: for each clip, PSNR-Y over all bytes of ours and of its rivals."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.rd_figures import ClipCurves
from kernels.errors import CrispcastError
from overfit.metrics import RatePoint, pareto

_STYLES = {
    "x264": ("#1c7ed6", "-", "s"),
    "x265": ("#2f9e44", "-", "^"),
    "svtav1": ("#7048e8", "-", "D"),
    "x264-free": ("#1c7ed6", ":", "s"),
    "x265-free": ("#2f9e44", ":", "^"),
    "svtav1-free": ("#7048e8", ":", "D"),
}
OURS, PLAIN = "#d6336c", "#868e96"
TICKS = (50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 10000)
BEYOND = 1.5
"""How far past our own rates a rival's curve is drawn."""


def check_plots() -> None:
    """Raises CrispcastError where nothing can be drawn: better before the measuring than after."""
    if find_spec("matplotlib") is None:
        raise CrispcastError("plots need matplotlib: pip install matplotlib")


def plot_clip(curves: ClipCurves, path: Path) -> None:
    """Write one clip's curves, kb/s on a logarithmic axis, as PNG or whatever the suffix says."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    clip = curves.clip
    figure, axes = pyplot.subplots(figsize=(7, 4.6))

    rates = [point.total.kbps for point in curves.ours]
    limits = min(rates) / BEYOND, max(rates) * BEYOND
    seen: list[float] = []

    def draw(points: Sequence[RatePoint], label: str, colour: str, line: str, mark: str) -> None:
        if not points:
            return
        front = pareto(points)
        x = [clip.kbps(round(point.rate)) for point in front]
        y = [point.quality for point in front]
        seen.extend(quality for rate, quality in zip(x, y, strict=True) if _within(rate, limits))
        wide = 2.2 if colour == OURS else 1.3
        axes.plot(x, y, line, marker=mark, ms=4, lw=wide, color=colour, label=label)

    draw(curves.ours_by("psnr_y"), "Crispcast", OURS, "-", "o")
    draw(curves.plain, "LR, interpolated", PLAIN, "--", "x")
    for name in curves.natives:
        label = name.replace("-free", ", unconstrained")
        draw(curves.native_by(name, "psnr_y"), label, *_STYLES[name])
    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(min(seen) - 0.3, max(seen) + 0.3)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([tick for tick in TICKS if _within(tick, limits)])
    axes.set_xlabel("kb/s, all that is downloaded for the picture")
    axes.set_ylabel("PSNR-Y, dB, mean of all frames")
    info = clip.info
    axes.set_title(
        f"{clip.name}, {info.width}×{info.height}, {float(info.duration):.1f} s", size=10
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
