"""Networks that are one convolution after the other: VDSR, ESPCN, SRCNN.

    planes --> head, ReLU --> convolutions, each with ReLU --> tail

| | head | between | tail |
|---|---|---|---|
| VDSR (Kim et al. 2016, arXiv 1511.04587) | 3x3, units | blocks x 3x3, units | 3x3 |
| ESPCN (Shi et al. 2016, arXiv 1609.05158) | 5x5, units | 3x3, units / 2 | 3x3 |
| SRCNN (Dong et al. 2014, arXiv 1501.00092) | 5x5, units | 1x1, units / 2 | 5x5 |

VDSR and SRCNN enlarge the picture first and work on HR pixels in their papers; plans have no layers
of HR size, so here both work on LR pixels and enlarge at the end. SRCNN's 9x9 of HR pixels sees
what 5x5 of LR pixels do at scale 2. ESPCN's tanh is ReLU, as plans have it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import nn

from overfit.networks.config import NetworkConfig
from overfit.networks.expert import Expert
from overfit.networks.rounding import Rounding


class Chain(Expert):
    """Convolutions in a row; between `head` and `tail` they are `body`."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        units = config.units
        middle, channels = {
            "vdsr": ([3] * config.blocks, [units] * (config.blocks + 1)),
            "espcn": ([3], [units, units // 2]),
            "srcnn": ([1], [units, units // 2]),
        }[config.kind]
        first, last = {"vdsr": (3, 3), "espcn": (5, 3), "srcnn": (5, 5)}[config.kind]
        self.head = _conv(config.planes, units, first)
        pairs = pairwise(channels)
        layers = (_conv(*pair, kernel) for pair, kernel in zip(pairs, middle, strict=True))
        self.body = nn.Sequential(*layers)
        self.rounds = nn.ModuleList(Rounding(signed=False) for _ in channels)
        self.tail = _conv(channels[-1], config.scale**2, last)
        for layer in (self.head, *self.body):
            nn.init.kaiming_normal_(cast(nn.Conv2d, layer).weight, nonlinearity="relu")
        nn.init.normal_(self.tail.weight, std=0.01)

    def features(self, planes: torch.Tensor) -> torch.Tensor:
        """[N, planes, h, w] -> [N, s*s, h, w]."""
        x = planes
        for layer, rounded in zip((self.head, *self.body), self.rounds, strict=True):
            x = rounded(torch.relu(layer(x)))
        return cast(torch.Tensor, self.tail(x))


def _conv(cin: int, cout: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel, padding=kernel // 2)
