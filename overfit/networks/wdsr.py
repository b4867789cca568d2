"""WDSR, wide activations (Yu et al. 2018, arXiv 1808.08718), of which the default is a small one.

    planes --> head 3x3 --> blocks x (3x3 widen, ReLU, 3x3, + skip) --> tail 3x3

Without weight normalisation: with warm-up and clipping it gains nothing at small sizes, and pruning
wants the weights themselves. The paper's 5x5 skip from the picture is the bicubic interpolation,
which is such a convolution, fixed, and free in the runtime.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from overfit.networks.config import NetworkConfig
from overfit.networks.expert import Expert
from overfit.networks.rounding import Rounding


class Block(nn.Module):
    """x + conv(ReLU(conv(x))): wide in the middle, so that more passes through the activation."""

    def __init__(self, units: int, inner: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(units, inner, 3, padding=1)
        self.narrow = nn.Conv2d(inner, units, 3, padding=1)
        self.round_in = Rounding(signed=True)
        self.round_wide = Rounding(signed=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, units, h, w] -> the same."""
        wide = self.round_wide(torch.relu(self.widen(self.round_in(x))))
        return cast(torch.Tensor, x + self.narrow(wide))


class Wdsr(Expert):
    """`blocks` blocks of `units` channels, `expansion` times as many inside."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.head = nn.Conv2d(config.planes, config.units, 3, padding=1)
        self.round_last = Rounding(signed=True)
        inner = config.units * config.expansion
        self.body = nn.Sequential(*(Block(config.units, inner) for _ in range(config.blocks)))
        self.tail = nn.Conv2d(config.units, config.scale**2, 3, padding=1)
        for block in self.body:
            # A network that starts near the interpolation needs no steps to get there.
            nn.init.normal_(cast(Block, block).narrow.weight, std=0.01)
        nn.init.normal_(self.tail.weight, std=0.01)

    def features(self, planes: torch.Tensor) -> torch.Tensor:
        """[N, planes, h, w] -> [N, s*s, h, w]."""
        return cast(torch.Tensor, self.tail(self.round_last(self.body(self.head(planes)))))
