"""Every weight by itself: the most freedom, and the least that kernels can make of it.

Han et al. 2015 (arXiv 1506.02626). The measure of what a pattern costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from overfit.pruning.layout import Group, Tensors
from overfit.pruning.patterns.contract import Pattern


class Unstructured(Pattern):
    """Each weight lives or dies alone."""

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        return [weight.square() for weight in weights]
