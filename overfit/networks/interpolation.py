"""The interpolation every expert adds its detail to: bicubic, and the only thing expert 0 does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def keys(distance: float) -> float:
    """Weight of a sample at `distance` pixels: Keys' cubic convolution (1981) with a = -0.5."""
    x = abs(distance)
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    if x < 2:
        return ((-0.5 * x + 2.5) * x - 4) * x + 2
    return 0.0


class Interpolation(nn.Module):
    """Bicubic enlargement [N, 1, h, w] -> [N, 1, s*h, s*w]: half-pixel centres, edges clamped.

    As the phases of an integer scale repeat, it is a fixed 5x5 convolution to s*s planes and a
    pixel shuffle. `torch.nn.functional.interpolate` has a = -0.75 and is another filter.
    """

    crispcast_op = "interpolation"
    """Tells the plan compiler's importer to take this module as one operation."""

    kernel: torch.Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        offsets = [(phase + 0.5) / scale - 0.5 for phase in range(scale)]
        taps = torch.tensor([[keys(tap - o) for tap in range(-2, 3)] for o in offsets])
        kernel = torch.einsum("py,qx->pqyx", taps, taps).reshape(scale * scale, 1, 5, 5)
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        """`luma` in any linear domain."""
        padded = F.pad(luma, (2, 2, 2, 2), mode="replicate")
        return F.pixel_shuffle(F.conv2d(padded, self.kernel), self.scale)
