"""Kernel patterns and connectivity: four entries of a 3x3 kernel in one of eight shapes, or none.

Each layer has a dictionary of eight patterns, those that the largest entries of its kernels form
most often; a kernel has the one that keeps most of it. Connectivity then cuts whole kernels. On the
way to four entries of nine, single entries outside of the patterns go first. PatDNN (Niu et al.
2020, arXiv 2001.00138); there is a patent application on such patterns, so know your ground before
you ship them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import torch

from kernels.errors import CrispcastError
from overfit.pruning.config import KERNEL_ENTRIES
from overfit.pruning.layout import Group, Tensors
from overfit.pruning.patterns.contract import Pattern

DICTIONARY = 8
"""Patterns of a layer."""


@cache
def _possible() -> torch.Tensor:
    """All patterns of the centre and three others, [56, 9] of 0 and 1."""
    others = [place for place in range(9) if place != 4]
    rows = torch.zeros(56, 9)
    for row, places in enumerate(itertools.combinations(others, KERNEL_ENTRIES - 1)):
        rows[row, [4, *places]] = 1
    return rows


class KernelPatterns(Pattern):
    """Entries of a pattern live or die with their kernel; the others have died before."""

    def check(self, name: str, shape: torch.Size) -> None:
        if shape[2:] != (3, 3):
            raise CrispcastError(
                f"pattern kernels is for 3x3 convolutions, and layer {name} is "
                f"{shape[2]}x{shape[3]}; choose another pattern"
            )

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        return [_scores(weight) for weight in weights]


def _scores(weight: torch.Tensor) -> torch.Tensor:
    squares = weight.square().reshape(-1, 9)
    possible = _possible().to(squares)
    kept = squares @ possible.T
    often = torch.bincount(kept.argmax(1), minlength=len(possible))
    # By how often it is the best, then by what it would keep of the layer.
    order = often + kept.sum(0) / kept.sum().clamp_min(1e-30)
    dictionary = order.topk(DICTIONARY).indices
    best = kept[:, dictionary].max(1)
    inside = possible[dictionary[best.indices]] > 0
    # Every kernel in its pattern comes before any entry outside of one.
    kernels = best.values[:, None] + squares.max() + 1e-30
    return torch.where(inside, kernels, squares).reshape(weight.shape)
