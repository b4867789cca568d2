"""Gradual magnitude pruning of taps shared by blocks of output channels.

The unit is what the kernels skip: for a block of 4 output channels, one (input channel, ky, kx)
with its 4 weights. The schedule is the cubic one of Zhu and Gupta, "To prune, or not to prune"
(2017, arXiv 1710.01878, eq. 1): fast while there is redundancy, slow near the target.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from kernels.errors import CrispcastError

BLOCK = 4
"""Output channels that share a tap, as in the plan format."""


def cubic_density(progress: float, begin: float, end: float, target: float) -> float:
    """Fraction of taps that survive at `progress`: 1 up to `begin`, `target` from `end` on."""
    if progress >= end:
        return target
    if progress <= begin:
        return 1.0
    left = 1 - (progress - begin) / (end - begin)
    return target + (1 - target) * left**3


class TapPruner:
    """Masks over the convolutions of `module`, tightened step by step.

    Taps of all prunable layers are ranked together by the root mean square of their weights, each
    layer measured against its own mean, so that no layer dies of a small scale. Layers in `keep`
    stay dense: the first and the last hold 3 % of the taps and see everything.
    """

    def __init__(self, module: nn.Module, keep: tuple[str, ...] = ("head", "tail")) -> None:
        self._layers = {
            name: layer
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Conv2d) and name not in keep
        }
        if not self._layers:
            raise CrispcastError("the network has no layer to prune")
        self.masks = {name: torch.ones_like(layer.weight) for name, layer in self._layers.items()}

    @torch.no_grad()
    def tighten(self, density: float) -> None:
        """Keeps the largest taps, a fraction `density` of all. What was cut stays cut."""
        scores = {name: self._scores(name) for name in self._layers}
        joined = torch.cat([score.flatten() for score in scores.values()])
        survivors = max(1, math.ceil(density * joined.numel()))
        threshold = joined.topk(survivors).values[-1]
        for name, score in scores.items():
            alive = (score >= threshold) & (score > 0)
            mask = self.masks[name]
            mask.mul_(alive.repeat_interleave(BLOCK, 0)[: mask.shape[0]].to(mask.dtype))
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Zeroes the weights that were cut."""
        for name, layer in self._layers.items():
            layer.weight.mul_(self.masks[name])

    def density(self) -> float:
        """Fraction of the weights of the prunable layers that are alive."""
        alive = sum(float(mask.sum()) for mask in self.masks.values())
        return alive / sum(mask.numel() for mask in self.masks.values())

    def _scores(self, name: str) -> torch.Tensor:
        """Tap scores [ceil(out / BLOCK), in, ky, kx]; a cut tap scores 0."""
        weight = self._layers[name].weight.detach() * self.masks[name]
        missing = -weight.shape[0] % BLOCK
        padded = torch.cat((weight, weight.new_zeros(missing, *weight.shape[1:])))
        squares = padded.square().reshape(-1, BLOCK, *weight.shape[1:]).mean(1)
        norm = self._layers[name].weight.detach().square().mean().clamp_min(1e-12)
        return (squares / norm).sqrt()
