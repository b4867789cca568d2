"""How much of each layer is left, where a fraction of all weights shall be.

- `ranked`: weights of all layers are ranked together, each layer measured against its own mean.
- `uniform`: every layer alike.
- `erk`: Erdős-Rényi-kernel (Evci et al. 2020, arXiv 1911.11134): in proportion to the sum of a
  layer's dimensions by their product, so that small layers stay denser. Random pruning at these
  ratios is the baseline that others must beat (Liu et al. 2022, arXiv 2202.02643).
- `rate-distortion`: see `rate_distortion`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def ranked(
    scores: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], density: float
) -> list[float]:
    """Of each layer the fraction among the highest scores of all, a fraction `density` of them."""
    relative = [
        (score / weight.square().mean().clamp_min(1e-12)).sqrt()
        for score, weight in zip(scores, weights, strict=True)
    ]
    joined = torch.cat([score.flatten() for score in relative])
    threshold = joined.topk(math.ceil(density * joined.numel())).values[-1]
    return [float(((r >= threshold) & (r > 0)).sum()) / r.numel() for r in relative]


def erk(shapes: Sequence[torch.Size], density: float) -> list[float]:
    """Fractions that grow with the sum of a layer's dimensions by their product, 1 at most."""
    sizes = [shape.numel() for shape in shapes]
    return scaled([sum(shape) / shape.numel() for shape in shapes], sizes, density)


def scaled(ratios: Sequence[float], sizes: Sequence[int], density: float) -> list[float]:
    """`ratios` times a factor, 1 at most, such that a fraction `density` of all weights is left."""
    pairs = list(zip(ratios, sizes, strict=True))
    # One layer after the other reaches 1, the one of the largest ratio first.
    factor, left = 0.0, density * sum(sizes)
    for ratio, size in sorted(pairs, reverse=True):
        factor = left / sum(r * s for r, s in pairs if r <= ratio)
        if factor * ratio <= 1:
            break
        left -= size
        pairs.remove((ratio, size))
    return [min(1.0, factor * ratio) for ratio in ratios]
