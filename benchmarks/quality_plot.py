"""How far stdo is above nas, over the steps of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernels.errors import CrispcastError

TARGET = 0.3
"""dB that the papers' gain is asked to be, at least."""


def plot_curve(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the points of `quality_figures.curve`: a line a network, steps by their logarithm.

    Raises CrispcastError where matplotlib is missing or there are no points.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise CrispcastError("plots need matplotlib: pip install matplotlib") from error
    if not points:
        raise CrispcastError("there is no pair of stdo and nas to draw: run --part papers")

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for network in dict.fromkeys(point["network"] for point in points):
        own = [point for point in points if point["network"] == network]
        steps = [point["steps"] for point in own]
        [line] = axes.plot(steps, [point["db"] for point in own], "-o", label=network)
        for scale in sorted({scale for point in own for scale in point["by_scale"]}):
            each = [(p["steps"], p["by_scale"][scale]) for p in own if scale in p["by_scale"]]
            axes.plot(*zip(*each, strict=True), ":", lw=1, color=line.get_color())
            axes.annotate(f"x{scale}", each[-1], fontsize=7, color=line.get_color())
    axes.axhline(0, color="k", lw=0.5)
    axes.axhline(TARGET, color="k", lw=0.5, ls="--")
    axes.set_xscale("log")
    axes.set_xlabel("steps of all experts together")
    axes.set_ylabel("stdo over nas, dB, luma, protocol stdo")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
