"""The default network: a small WDSR on the luma (Yu et al. 2018, arXiv 1808.08718).

    luma, previous[, plate] --concat--> head 3x3 --> blocks x (3x3 widen, ReLU, 3x3, + skip)
        --> tail 3x3 --> pixel shuffle --(+)--> HR luma
    luma ------------------ bicubic -------^

Values are (u8 - 128) / 128; those between layers can be rounded to 8-bit codes (rounding.py).
Convolutions pad with zeros at the borders of the frame and see true neighbours everywhere else. No
weight normalisation: with warm-up and clipping it gains nothing at these sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from kernels.errors import CrispcastError
from overfit.networks.interpolation import Interpolation
from overfit.networks.rounding import Rounding

_INPUTS = (("luma",), ("luma", "previous"), ("luma", "plate"), ("luma", "previous", "plate"))


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of an expert.

    `units` are channels between blocks, `expansion` how much wider a block is inside, `inputs` the
    planes it reads, in this order: luma and previous are one plane each, plate scale**2.
    """

    scale: int = 2
    units: int = 16
    expansion: int = 2
    blocks: int = 3
    inputs: tuple[str, ...] = ("luma", "previous")

    def __post_init__(self) -> None:
        if self.scale not in (1, 2, 3, 4):
            raise CrispcastError(f"scale {self.scale} is not supported; choose 1, 2, 3 or 4")
        if self.inputs not in _INPUTS:
            raise CrispcastError(f"inputs {self.inputs} are not luma[, previous][, plate]")
        if self.units % 4 or not 4 <= self.units <= 128:
            raise CrispcastError(f"units {self.units}: choose a multiple of 4 from 4 to 128")
        if not 1 <= self.expansion <= 6:
            raise CrispcastError(f"expansion {self.expansion}: choose 1 to 6")
        if not 1 <= self.blocks <= 32:
            raise CrispcastError(f"blocks {self.blocks}: choose 1 to 32")

    @property
    def radius(self) -> int:
        """How far, in LR pixels, an output pixel sees: the halo a patch needs."""
        return 2 + 2 * self.blocks

    @property
    def planes(self) -> int:
        """Number of input planes."""
        return len(self.inputs) + ("plate" in self.inputs) * (self.scale**2 - 1)


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


class Expert(nn.Module):
    """Base of the four networks, which differ in the planes their `forward` names."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.base = Interpolation(config.scale)
        self.head = nn.Conv2d(config.planes, config.units, 3, padding=1)
        self.round_last = Rounding(signed=True)
        inner = config.units * config.expansion
        self.body = nn.Sequential(*(Block(config.units, inner) for _ in range(config.blocks)))
        self.tail = nn.Conv2d(config.units, config.scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(config.scale)
        for block in self.body:
            # A network that starts near the interpolation needs no steps to get there.
            nn.init.normal_(cast(Block, block).narrow.weight, std=0.01)
        nn.init.normal_(self.tail.weight, std=0.01)

    def detail(self, luma: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        """HR luma [N, 1, s*h, s*w] from the luma and all input planes [N, planes, h, w]."""
        detail = self.shuffle(self.tail(self.round_last(self.body(self.head(planes)))))
        return cast(torch.Tensor, detail + self.base(luma))


class LumaExpert(Expert):
    """Reads the decoded LR luma."""

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        """luma [N, 1, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, luma)


class TwoFrameExpert(Expert):
    """Reads the decoded LR luma and the one before: worth 0.15 dB for 144 weights."""

    def forward(self, luma: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """luma, previous [N, 1, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, torch.cat((luma, previous), 1))


class LumaPlateExpert(Expert):
    """Reads the decoded LR luma and the plate's pixel-unshuffled planes."""

    def forward(self, luma: torch.Tensor, plate: torch.Tensor) -> torch.Tensor:
        """luma [N, 1, h, w], plate [N, s*s, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, torch.cat((luma, plate), 1))


class PlateExpert(Expert):
    """Reads the decoded LR luma, the one before and the plate's planes."""

    def forward(
        self, luma: torch.Tensor, previous: torch.Tensor, plate: torch.Tensor
    ) -> torch.Tensor:
        """luma, previous [N, 1, h, w], plate [N, s*s, h, w] -> [N, 1, s*h, s*w]."""
        return self.detail(luma, torch.cat((luma, previous, plate), 1))


def build(config: NetworkConfig) -> Expert:
    """A fresh network of this shape, from torch's current random state."""
    kinds = (LumaExpert, TwoFrameExpert, LumaPlateExpert, PlateExpert)
    return kinds[_INPUTS.index(config.inputs)](config)
