"""N of every M weights along the input channels, as sparse tensor cores have it.

Learning N:M (Zhou et al. 2021, arXiv 2102.04010). Balanced, so no group of M is much longer than
another; our kernels, which skip whole taps, gain the least from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kernels.errors import CrispcastError
from overfit.pruning.layout import Group, Tensors
from overfit.pruning.patterns.contract import Pattern


class NOfM(Pattern):
    """A weight's score is its rank among the M that share its output channel and its place."""

    def check(self, name: str, shape: torch.Size) -> None:
        if shape[1] % self.config.group:
            raise CrispcastError(
                f"pattern n:{self.config.group} does not fit layer {name}, whose {shape[1]} input "
                f"channels are no multiple of {self.config.group}; choose another group"
            )

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        return [self._ranks(weight) for weight in weights]

    def _ranks(self, weight: torch.Tensor) -> torch.Tensor:
        """1 for the smallest of a group to M for the largest."""
        out, inputs, *kernel = weight.shape
        split = weight.abs().reshape(out, inputs // self.config.group, self.config.group, *kernel)
        ranks = split.argsort(dim=2, stable=True).argsort(dim=2) + 1
        return ranks.reshape(weight.shape).to(weight.dtype)
