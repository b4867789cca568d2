"""What all networks share: planes in, details out, added to the interpolation.

    luma, previous[, plate] --concat--> features (one file a kind) --> pixel shuffle --(+)--> HR
    luma ------------------------- bicubic -------------------------------------------^

Values are (u8 - 128) / 128; those between layers can be rounded to 8-bit codes (rounding.py).
Convolutions pad with zeros at the borders of the frame and see true neighbours everywhere else.
Luma only: a video is I420, and chroma is interpolated, so a plan makes one plane.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import nn

from overfit.networks.config import NetworkConfig
from overfit.networks.interpolation import Interpolation


class Expert(nn.Module, ABC):
    """Base of all networks. A kind gives `features`, a choice of inputs gives `forward`.

    The layers called `head` and `tail` are the first and the last, which no pruning touches.
    """

    head: nn.Conv2d
    body: nn.Sequential
    tail: nn.Conv2d

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.base = Interpolation(config.scale)
        self.shuffle = nn.PixelShuffle(config.scale)

    @abstractmethod
    def features(self, planes: torch.Tensor) -> torch.Tensor:
        """[N, planes, h, w] -> [N, s*s, h, w]."""

    def detail(self, luma: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """HR luma [N, 1, s*h, s*w] from the luma and all input planes [N, planes, h, w]."""
        return cast(torch.Tensor, self.shuffle(self.features(planes)) + self.base(luma))


class LumaInput(Expert):
    """Reads the decoded LR luma."""

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        """luma [N, 1, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, luma)


class TwoFrameInput(Expert):
    """Reads the decoded LR luma and the one before: worth 0.15 dB for 144 weights."""

    def forward(self, luma: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """luma, previous [N, 1, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, torch.cat((luma, previous), 1))


class LumaPlateInput(Expert):
    """Reads the decoded LR luma and the plate's pixel-unshuffled planes."""

    def forward(self, luma: torch.Tensor, plate: torch.Tensor) -> torch.Tensor:
        """luma [N, 1, h, w], plate [N, s*s, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, torch.cat((luma, plate), 1))


class PlateInput(Expert):
    """Reads the decoded LR luma, the one before and the plate's planes."""

    def forward(
        self, luma: torch.Tensor, previous: torch.Tensor, plate: torch.Tensor
    ) -> torch.Tensor:
        """luma, previous [N, 1, h, w], plate [N, s*s, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, torch.cat((luma, previous, plate), 1))
