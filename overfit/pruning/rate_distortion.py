"""How much of each layer is left, by what it costs in quality and in bytes.

Each layer alone is pruned to some densities: the rise of the loss on a calibration batch is the
distortion, the bytes of its part of a plan the rate. Distortions of layers add up (Xu et al. 2023,
arXiv 2308.10438), so dynamic programming over the layers finds the densities of the least sum
within the bytes that uniform pruning would take.

      bytes left ->   0 . . . . . . . budget
      layer 1         best sum of distortions of layers 1..n within so many bytes
      layer 2         = min over its densities of (distortion + best of the layers before
      ...                                          within the bytes that are then left)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from kernels.compiler import weight_bytes
from overfit.pruning.allocation import scaled

STEPS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Densities of a layer that are tried, as multiples of the density of all."""
_BINS = 400


@dataclass(frozen=True)
class Choice:
    """A density of a layer, the bytes of its plan, and how far the loss rises."""

    density: float
    rate: int
    distortion: float


def rate_distortion(
    weights: Sequence[torch.Tensor],
    mask_at: Callable[[int, float], torch.Tensor],
    loss: Callable[[], float],
    density: float,
    bits: int,
) -> list[float]:
    """Of each of `weights` (the network's own, [out, in, k, k]) the fraction that is left.

    `mask_at(layer, density)` is a layer's mask, `loss()` what the network now makes of the
    calibration batch; weights are rounded to `bits` for their rate. The fractions are scaled so
    that a fraction `density` of all weights is left, however their bytes come out.
    """
    tables = [
        _choices(weight, lambda d, i=index: mask_at(i, d), loss, density, bits)  # type: ignore[misc]
        for index, weight in enumerate(weights)
    ]
    budget = sum(
        next(choice.rate for choice in table if choice.density == density) for table in tables
    )
    chosen = cheapest(tables, budget)
    sizes = [weight.numel() for weight in weights]
    return scaled([choice.density for choice in chosen], sizes, density)


@torch.no_grad()
def _choices(
    weight: torch.Tensor,
    mask_at: Callable[[float], torch.Tensor],
    loss: Callable[[], float],
    density: float,
    bits: int,
) -> list[Choice]:
    whole, before = weight.clone(), loss()
    choices = []
    for tried in sorted({min(1.0, step * density) for step in STEPS}):
        weight.copy_(whole * mask_at(tried))
        rate = weight_bytes(weight.detach().cpu().numpy(), bits)
        choices.append(Choice(tried, rate, loss() - before))
        weight.copy_(whole)
    return choices


def cheapest(tables: Sequence[Sequence[Choice]], budget: int) -> list[Choice]:
    """One choice of each table: the least sum of distortions whose rates are within `budget`.

    Where nothing is, each table's smallest rate.
    """
    unit = max(1.0, budget / _BINS)
    bins = int(budget / unit)
    best = np.zeros(bins + 1)
    taken: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for table in tables:
        sums = np.full((len(table), bins + 1), np.inf)
        for row, choice in enumerate(table):
            cost = int(np.ceil(choice.rate / unit))
            if cost <= bins:
                sums[row, cost:] = best[: bins + 1 - cost] + choice.distortion
        taken.append(sums.argmin(0))
        best = sums.min(0)
    if not np.isfinite(best[bins]):
        return [min(table, key=lambda choice: choice.rate) for table in tables]
    chosen, left = [], bins
    for table, rows in zip(reversed(tables), reversed(taken), strict=True):
        choice = table[int(rows[left])]
        chosen.append(choice)
        left -= int(np.ceil(choice.rate / unit))
    return chosen[::-1]
