"""How several experts share one network while it trains, and how each comes out of it.

    join: network ──► the same with what its experts do not share; returns who chooses among them
    part: trained network, index ──► that expert as a network of its own, of the plain kind

So the compiler and the runtime know nothing of sharing: what comes out are ordinary networks.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from kernels.errors import CrispcastError
from overfit.networks.build import build
from overfit.networks.expert import Expert

Choose = Callable[[int], None]
"""From now on the network is the expert of this index, from 0."""


class Sharing(ABC):
    """What experts have in common, and what each has of its own."""

    experts: int

    @abstractmethod
    def join(self, network: Expert) -> Choose:
        """Give `network` what each expert has of its own; its parameters are the network's then."""

    @abstractmethod
    def part(self, network: Expert, index: int) -> Expert:
        """One expert of a trained, rounded network that was joined, as a plain network."""


@dataclass(frozen=True)
class Modulation(Sharing):
    """One network whose channels each expert scales and shifts.

    Content-aware feature modulation (Liu et al., "Overfitting the Data: Compact Neural Video
    Delivery via Content-aware Feature Modulation", ICCV 2021, arXiv 2108.08202), less than a
    hundredth of the weights for each expert. As a scale of a convolution's output is one of its
    kernel, it is folded away. Scales are eighths of an octave, as those of a plan's weights: so the
    integers of the weights are the same in all experts.
    """

    experts: int

    def join(self, network: Expert) -> Choose:
        """See `Sharing`."""
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
        scales = [_Scale(self.experts, layer.out_channels) for layer in layers]
        for layer, scale in zip(layers, scales, strict=True):
            layer.register_forward_hook(scale.applied)
        network.modulation = nn.ModuleList(scales).to(layers[0].weight.device)

        def choose(index: int) -> None:
            for scale in scales:
                scale.chosen = index

        return choose

    @torch.no_grad()
    def part(self, network: Expert, index: int) -> Expert:
        """See `Sharing`."""
        single = build(network.config)
        state = {k: v for k, v in network.state_dict().items() if not k.startswith("modulation.")}
        single.load_state_dict(state)
        layers = [layer for layer in single.modules() if isinstance(layer, nn.Conv2d)]
        for layer, scale in zip(layers, cast(nn.ModuleList, network.modulation), strict=True):
            assert isinstance(scale, _Scale)
            assert layer.bias is not None
            gain, shift = scale.gain(index).cpu(), scale.shift[index].cpu()
            layer.weight.mul_(gain[:, None, None, None])
            layer.bias.mul_(gain).add_(shift)
        return single.eval().requires_grad_(False)


class _Scale(nn.Module):
    """Scales and shifts of a convolution's channels, for each expert."""

    def __init__(self, experts: int, channels: int) -> None:
        super().__init__()
        self.octaves = nn.Parameter(torch.zeros(experts, channels))
        self.shift = nn.Parameter(torch.zeros(experts, channels))
        self.chosen = 0

    def gain(self, index: int) -> torch.Tensor:
        """Scales [channels] of an expert; the gradient passes straight through their rounding."""
        octaves = self.octaves[index].clamp(-2, 2)
        return torch.exp2(octaves + (torch.round(8 * octaves) / 8 - octaves).detach())

    def applied(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """A forward hook of the convolution."""
        shape = (1, -1, 1, 1)
        return output * self.gain(self.chosen).view(shape) + self.shift[self.chosen].view(shape)


@dataclass(frozen=True)
class Paths(Sharing):
    """Paths of different depth through one network: path i passes its first `depths[i]` blocks.

    Head, blocks and tail are shared, so the deepest path's weights are all there are (Dy-DCA, ECCV
    2024, arXiv 2407.02813). `depths` fall, the first is that of the whole network.
    """

    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        if list(self.depths) != sorted(set(self.depths), reverse=True) or self.depths[-1] < 1:
            raise CrispcastError(f"paths of {self.depths} blocks: each must be shorter, down to 1")

    @property
    def experts(self) -> int:  # type: ignore[override]
        """How many paths there are."""
        return len(self.depths)

    def join(self, network: Expert) -> Choose:
        """See `Sharing`. Raises CrispcastError where the network is not made of blocks."""
        body = network.body
        if network.config.kind not in ("wdsr", "edsr") or len(body) != self.depths[0]:
            raise CrispcastError(
                f"{network.config.kind} has no {self.depths[0]} blocks to leave out; paths need a "
                "network of wdsr or edsr"
            )
        paths = _Body(body)
        network.body = paths

        def choose(index: int) -> None:
            paths.depth = self.depths[index]

        return choose

    @torch.no_grad()
    def part(self, network: Expert, index: int) -> Expert:
        """See `Sharing`."""
        depth = self.depths[index]
        single = build(replace(network.config, blocks=depth))
        wanted = single.state_dict().keys()
        state = {k: copy.deepcopy(v) for k, v in network.state_dict().items() if k in wanted}
        single.load_state_dict(state)
        return single.eval().requires_grad_(False)


class _Body(nn.Sequential):
    """Blocks of which only the first `depth` are passed."""

    def __init__(self, blocks: nn.Sequential) -> None:
        super().__init__(*blocks)
        self.depth = len(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape that a block takes."""
        for block in list(self)[: self.depth]:
            x = block(x)
        return x
