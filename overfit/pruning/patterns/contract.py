"""The contract of a pattern: a score for every weight, and a mask that keeps the highest.

Weights that live or die together have the same score. A pattern holds no state: masks follow from
the weights alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from overfit.pruning.config import PruningConfig
from overfit.pruning.layout import Group, Layout, Member, Tensors, weight_name


class Pattern(ABC):
    """Which weights live or die together."""

    def __init__(self, config: PruningConfig) -> None:
        self.config = config

    def groups(self, layout: Layout) -> tuple[Group, ...]:
        """The weights whose masks are made together: by default each layer's alone."""
        return tuple(Group((Member(weight_name(name)),)) for name in layout.prunable)

    def check(self, name: str, shape: torch.Size) -> None:  # noqa: B027, most fit all
        """Raise CrispcastError where the pattern does not fit weights [out, in, k, k]."""

    @abstractmethod
    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        """How much each weight counts, shaped as the weights [out, in, k, k] of the group.

        Mean squares of what lives or dies together, so that layers can be compared; 0 is dead.
        """

    def masks(
        self, group: Group, weights: Sequence[torch.Tensor], densities: Sequence[float]
    ) -> Tensors:
        """Of each of the group's weights a bool mask that keeps a fraction of about its density."""
        scores = self.scores(group, weights)
        return [keep(score, density) for score, density in zip(scores, densities, strict=True)]


def keep(scores: torch.Tensor, density: float) -> torch.Tensor:
    """Bool, shaped as `scores`: the highest, a fraction `density`, and what ties with the last."""
    count = round(density * scores.numel())
    if count < 1:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = scores.flatten().topk(count).values[-1]
    return (scores >= threshold) & (scores > 0)


def spread_blocks(weight: torch.Tensor, rows: int) -> torch.Tensor:
    """`weight` [out, ...] squared, as the mean of every `rows` of it, in its own shape again."""
    missing = -weight.shape[0] % rows
    padded = torch.cat((weight, weight.new_zeros(missing, *weight.shape[1:])))
    means = padded.square().reshape(-1, rows, *weight.shape[1:]).mean(1)
    return means.repeat_interleave(rows, 0)[: weight.shape[0]]
