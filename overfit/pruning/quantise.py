"""Int8 weights while training: the network learns around the rounding it will be sent with.

Symmetric, one scale per output channel, on the plan format's grid of eight scales per octave
(docs/plan-format.md): the smallest that reaches the channel's largest weight.
The gradient passes straight through the rounding (Bengio et al. 2013, arXiv 1308.3432).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize


def quantise(weight: torch.Tensor, bits: int = 8) -> torch.Tensor:
    """`weight` [out, in, ky, kx] rounded to the values that `bits` bits can hold."""
    top = 2 ** (bits - 1) - 1
    largest = weight.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(2.0**-23)
    # The margin keeps a weight that sits on the grid there, whatever the logarithm's last bit.
    step = torch.exp2(torch.ceil(8 * torch.log2(largest / top) - 1e-4) / 8)
    return torch.clamp(torch.round(weight / step), -top, top) * step


class _Rounded(nn.Module):
    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (quantise(weight.detach(), self.bits) - weight.detach())


def begin_rounding(module: nn.Module, bits: int = 8) -> None:
    """From now on every convolution of `module` computes with rounded weights."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            parametrize.register_parametrization(layer, "weight", _Rounded(bits))


def end_rounding(module: nn.Module) -> None:
    """Makes the rounded weights the weights, and the network a plain one again."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
