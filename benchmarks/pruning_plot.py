"""PSNR-Y over bytes of pruned and of small dense networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.pruning import UNITS, Row
from kernels.errors import CrispcastError


def plot_rows(rows: Sequence[Row], path: Path) -> None:
    """Write the means of the clips, bytes of a plan on a logarithmic axis."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise CrispcastError("plots need matplotlib: pip install matplotlib") from error

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    dense = sorted((row for row in rows if row.case.pruning.dense), key=lambda row: row.bytes)
    axes.plot([row.bytes for row in dense], [row.psnr_y for row in dense], "k-o", label="dense")
    for row in dense:
        axes.annotate(f"{row.case.units} units", (row.bytes, row.psnr_y), fontsize=7)
    marks = {"taps": "o", "unstructured": "v", "bcr": "s", "n:m": "P", "kernels": "*"}
    marks |= {"channels": "X", "regrouped": "D"}
    for row in rows:
        pruning = row.case.pruning
        if pruning.dense:
            continue
        parts = (pruning.pattern, pruning.schedule, pruning.allots)
        usual = ("taps", "cubic", "uniform" if pruning.allots == "uniform" else "ranked")
        told = [part for part, common in zip(parts, usual, strict=True) if part != common]
        if pruning.pattern == "taps" and pruning.allots == "uniform":
            told.append("uniform")
        if row.case.units != UNITS:
            told.append(f"{row.case.units} units")
        mark = marks[pruning.pattern]
        axes.plot(row.bytes, row.psnr_y, mark, ms=6, color=_colour(pruning.density))
        name = " ".join(told) or f"taps cubic {pruning.density:g}"
        axes.annotate(
            name, (row.bytes, row.psnr_y), fontsize=6, xytext=(4, -2), textcoords="offset points"
        )
    axes.set_xscale("log")
    axes.set_xlabel("bytes of a plan")
    axes.set_ylabel("PSNR-Y, dB, mean of the clips")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _colour(density: float) -> str:
    return "#1c7ed6" if density < 0.2 else "#d6336c" if density < 0.4 else "#2f9e44"
