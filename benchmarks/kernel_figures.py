"""What the measured cases come to: the figures by their JSON keys, and the plot."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.networks import DENSITIES, SHAPES, network
from benchmarks.peak import fma_peak
from kernels.compiler.wire import encode_plan
from kernels.plan import PlanIR, spread
from kernels.runtime import Plan

if TYPE_CHECKING:
    from benchmarks.kernels import Case


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """Speed-ups at two threads, shares of peak, scaling, frames and memory.

    speedup_fp32: both in fp32, ours at 25 %; speedup_any: each at its fastest precision;
    speedup_dense: all taps, fp32. peak_fraction: whole frames at one thread.
    """
    two = [case for case in cases if case.threads == 2]
    one = {(c.shape, c.scale): c for c in cases if c.threads == 1}
    best = {id(case): min(s for (d, _), s in case.ours.items() if d == 0.25) for case in cases}
    peak = fma_peak()
    figures: dict[str, Any] = {
        "speedup_fp32": _median(c.fastest("fp32") / c.ours[0.25, "fp32"] for c in two),
        "speedup_any": _median(c.fastest() / best[id(c)] for c in two),
        "speedup_dense": {c.title: c.fastest("fp32") / c.ours[1.0, "fp32"] for c in two},
        "peak_flops": peak,
        "peak_fraction": _median(
            2 * c.weights[0.25] * c.pixels / c.ours[0.25, "fp32"] / peak for c in one.values()
        ),
    }
    for precision in ("fp32", "int8"):
        figures[f"thread_scaling_{precision}"] = _median(
            one[c.shape, c.scale].ours[0.25, precision] / c.ours[0.25, precision] for c in two
        )
    figures["thread_scaling"] = figures["thread_scaling_int8"]
    for case in two:
        if (case.shape.name, case.scale) == ("default 3×16", 4):
            figures["frame_ms_270p_1080p"] = 1000 * best[id(case)]
            figures["activation_bytes"] = case.growth["ours int8 0.25"]
            figures["activation_bytes_fp32"] = case.growth["ours fp32 0.25"]
            rival = case.growth.get("onnxruntime fp32", 0)
            figures["memory_ratio"] = rival / case.growth["ours int8 0.25"]
        if (case.shape.name, case.scale) == ("plate 3×8", 2):
            figures["frame_ms_540p_1080p"] = 1000 * best[id(case)]
    return figures


def plan_figures(plan: PlanIR | None = None) -> dict[str, Any]:
    """How large a plan is on the wire, and how long it takes to prepare.

    Without a plan: the default network at 25 %, with random weights, which compress worse than
    trained ones. coder_gain: zstd -19 of tap masks, surviving int8 weights and scales, by ours.
    """
    import zstandard

    plan = plan or network(SHAPES[1], 4, 0.25, coded=True)
    wire = encode_plan(plan)
    plain = b"".join(
        np.packbits(n.taps).tobytes()
        + n.weights[spread(n.taps, s.block, s.cout)].tobytes()
        + n.scales.tobytes()
        + n.bias.tobytes()
        for s, n in zip(plan.table.layers, plan.numbers, strict=True)
    )
    packed = zstandard.ZstdCompressor(level=19).compress(plain)
    times = []
    for _ in range(21):
        start = time.perf_counter()
        Plan(wire)
        times.append(time.perf_counter() - start)
    return {
        "plan_bytes": len(wire),
        "coder_gain": len(packed) / len(wire),
        "prepare_ms": 1000 * statistics.median(times),
    }


def plot(cases: Sequence[Case], path: Path) -> None:
    """Bars of the fastest rivals and of ours, two threads, one group a network."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    two = [case for case in cases if case.threads == 2]
    series = {
        "fastest rival, fp32": [c.fastest("fp32") for c in two],
        "fastest rival, any": [c.fastest() for c in two],
        **{
            f"ours, {precision}, {density:.0%}": [c.ours[density, precision] for c in two]
            for precision in ("fp32", "int8")
            for density in DENSITIES
            if density in (1.0, 0.25)
        },
    }
    figure, axes = pyplot.subplots(figsize=(11, 4.5))
    width = 0.8 / len(series)
    for index, (name, seconds) in enumerate(series.items()):
        places = np.arange(len(two)) + index * width
        axes.bar(places, [1000 * s for s in seconds], width, label=name)
    axes.set_xticks(np.arange(len(two)) + 0.4 - width / 2)
    axes.set_xticklabels([case.title.replace(" x", "\nx") for case in two], fontsize=7)
    axes.set_yscale("log")
    axes.set_ylabel("ms a frame, two threads")
    axes.legend(fontsize=7, ncols=2)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values))
