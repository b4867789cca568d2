"""Taps shared by blocks of output channels: what the kernels skip, and the default.

For a block of 4 output channels, one (input channel, ky, kx) with its 4 weights. Column-wise
pruning of rows of 4, in the terms of GRIM (Niu et al. 2021, arXiv 2108.11033).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from overfit.pruning.layout import Group, Tensors
from overfit.pruning.patterns.contract import Pattern, spread_blocks

BLOCK = 4
"""Output channels that share a tap, as in the plan format."""


class Taps(Pattern):
    """A tap lives or dies for four output channels together."""

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        return [spread_blocks(weight, BLOCK) for weight in weights]
