"""What a layer takes for one column of one row, by measured constants of an instruction set.

    taps, channels ──work──► how often each step of the kernels is done ──× costs.json──► ns

The kernels (docs/runtime.md) do few things: a tap for a block of 1, 4 or 8 channels; or, over
codes, the weaving of a quad of taps for a part of a block and a dot product for each of its
channels; the beginning of each, and a store for each channel. So a layer's time is a sum of counts
times constants. `python -m benchmarks.kernel_costs` measures those of the processor at hand and
writes them into costs.json; NEON's are llvm-mca's cycles (Neoverse N1) of the inner loops alone, as
if of 1 GHz: good for comparing lists of taps with each other.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from kernels.plan import Bool, PlanIR

TARGETS = ("avx512vnni", "avxvnni", "neondot")
"""The instruction sets that plans are made for: what is chosen is best for them on the average."""

FLOATS = ("tap1", "tap4", "tap8", "block", "store", "residual", "layer")
"""Steps of the kernels of floats: a tap for so many channels, a block's beginning, a channel's
store and its residual, what each layer takes besides."""

CODES = ("weave", "dot", "part", "store", "residual", "layer")
"""Steps of the kernels of codes: a quad of taps woven for a part of a block, and multiplied for one
channel of it, a part's beginning, and the last three as above."""

_MOST_CHANNELS = 6
"""Channels that share a weaving: `Dots::kMostChannels`."""

_DOTS = ("avx512vnni", "avxvnni", "neondot", "neoni8mm")
"""Where coded plans run on dot products."""

Work = dict[str, float]


@functools.cache
def costs() -> dict[str, dict[str, Any]]:
    """costs.json: by instruction set and "fp32" or "int8" (coded plans), ns of each step."""
    text = (files("kernels.compiler") / "costs.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def work(taps: Bool, block: int, cout: int, residuals: int, isa: str, *, coded: bool) -> Work:
    """Steps for one column of one row of a layer.

    taps: bool [blocks, cin, k, k] as in `LayerNumbers`. residuals: channels that are added, or kept
    as they were before rounding.
    """
    if not coded or isa not in _DOTS:
        return {
            f"tap{block}": float(taps.sum()),
            "block": float(len(taps)),
            "store": float(cout),
            "residual": float(residuals),
            "layer": 1.0,
        }
    lists = taps.reshape(len(taps), -1)
    # Neighbouring blocks with the same taps are one (kernels/runtime/src/code_plan.cpp).
    new = np.flatnonzero([True, *(lists[1:] != lists[:-1]).any(axis=1)])
    channels = np.minimum([*new[1:] * block, cout], cout) - new * block
    parts = -(-channels // _MOST_CHANNELS)
    quads = -(-lists[new].sum(axis=1) // 4)
    return {
        "weave": float((quads * parts).sum()),
        "dot": float((quads * channels).sum()),
        "part": float(parts.sum()),
        "store": float(cout),
        "residual": float(residuals),
        "layer": 1.0,
    }


def layers_work(plan: PlanIR, isa: str, *, coded: bool | None = None) -> list[Work]:
    """`work` of each layer of a plan, none of those that nothing reads; coded: as if it were."""
    table = plan.table
    as_codes = table.coded if coded is None else coded
    read = {layer.residual for layer in table.layers}
    found: list[Work] = []
    for index, (spec, numbers) in enumerate(zip(table.layers, plan.numbers, strict=True)):
        if not table.live[index]:
            found.append({})
            continue
        kept = as_codes and len(table.inputs) + index in read
        residuals = spec.cout * (int(spec.residual is not None) + int(kept))
        found.append(work(numbers.taps, spec.block, spec.cout, residuals, isa, coded=as_codes))
    return found


def nanoseconds(done: Mapping[str, float], isa: str, *, coded: bool) -> float:
    """What `work` takes by the table; of other Arm processors, by the one that it has."""
    entry = costs().get(isa, costs()["neondot"])
    kind = "int8" if coded and (isa in _DOTS or isa in costs()) else "fp32"
    return float(sum(count * entry[kind][step] for step, count in done.items()))


def relative(taps: Bool, block: int, cout: int, *, coded: bool) -> float:
    """A layer's cost over that of all its taps in blocks of 4, the mean over TARGETS."""
    dense = np.ones((-(-cout // 4), *taps.shape[1:]), np.bool_)
    shares = []
    for isa in TARGETS:
        this, whole = (
            nanoseconds(work(t, b, cout, 0, isa, coded=coded), isa, coded=coded)
            for t, b in ((taps, block), (dense, 4))
        )
        shares.append(this / whole)
    return sum(shares) / len(shares)
