"""EDSR (Lim et al. 2017, arXiv 1707.02921), its baseline: residual blocks and a long skip.

    planes --> head 3x3 --+--> blocks x (3x3, ReLU, 3x3, + skip) --> 3x3 --(+)--> tail 3x3
                          +-------------------------------------------------^

The paper enlarges between two more convolutions, the last at HR size; here the tail makes the
pixels at once, s**2 times cheaper, as WDSR does.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from overfit.networks.config import NetworkConfig
from overfit.networks.expert import Expert
from overfit.networks.rounding import Rounding
from overfit.networks.wdsr import Block


class Edsr(Expert):
    """`blocks` blocks of `units` channels."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        units = config.units
        self.head = nn.Conv2d(config.planes, units, 3, padding=1)
        self.body = nn.Sequential(*(Block(units, units) for _ in range(config.blocks)))
        self.round_body = Rounding(signed=True)
        self.close = nn.Conv2d(units, units, 3, padding=1)
        self.round_last = Rounding(signed=True)
        self.tail = nn.Conv2d(units, config.scale**2, 3, padding=1)
        for block in self.body:
            nn.init.normal_(cast(Block, block).narrow.weight, std=0.01)
        for layer in (self.close, self.tail):
            nn.init.normal_(layer.weight, std=0.01)

    def features(self, planes: torch.Tensor) -> torch.Tensor:
        """[N, planes, h, w] -> [N, s*s, h, w]."""
        first = self.head(planes)
        long = self.close(self.round_body(self.body(first))) + first
        return cast(torch.Tensor, self.tail(self.round_last(long)))
