"""Kernels that are sums of branches while they train, and plain 3x3 ones afterwards.

    W = W3 + W3'∘W1 + a·Sobel_x·W1x + b·Sobel_y·W1y + c·Laplace·W1l (+ identity)

The branches of ECB (Zhang et al., "Edge-oriented Convolution Block for Real-time Super Resolution
on Mobile Devices", ACM MM 2021); RepSR (arXiv 2205.05671) trains so too. All of them are linear,
so they are summed as kernels and not as pictures: a step costs next to nothing more than without.
Inner convolutions have no bias, so that the sum is exact at the borders of the frame too.

Every branch but the plain kernel begins at zero: a base, or a start near interpolation, stays one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize

_EDGES = torch.tensor(
    [
        [[1.0, 0, -1], [2, 0, -2], [1, 0, -1]],
        [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
        [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    ]
)
"""Sobel along x and along y, and Laplace: [3, 3, 3]."""


class Branches(nn.Module):
    """Adds to a kernel [out, in, 3, 3] what its branches are worth."""

    edges: torch.Tensor

    def __init__(self, cout: int, cin: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(cout, cin) * cin**-0.5)
        self.second = nn.Parameter(torch.zeros(cout, cout, 3, 3))
        self.edge_first = nn.Parameter(torch.randn(3, cout, cin) * cin**-0.5)
        self.edge_gain = nn.Parameter(torch.zeros(3, cout))
        self.through = nn.Parameter(torch.zeros(min(cout, cin))) if cout == cin else None
        self.register_buffer("edges", _EDGES / 4, persistent=False)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The kernel that all branches are together."""
        total = weight + torch.einsum("omyx,mi->oiyx", self.second, self.first)
        total = total + torch.einsum(
            "eo,eoi,eyx->oiyx", self.edge_gain, self.edge_first, self.edges
        )
        if self.through is not None:
            centre = torch.zeros_like(weight)
            centre[:, :, 1, 1] = torch.diag(self.through)
            total = total + centre
        return total


def add_branches(network: nn.Module) -> None:
    """Train every 3x3 convolution of `network` as a sum of branches from now on."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            branches = Branches(layer.out_channels, layer.in_channels).to(layer.weight.device)
            parametrize.register_parametrization(layer, "weight", branches)


def fold_branches(network: nn.Module) -> None:
    """Make every sum one kernel, from now on the parameter that its plain branch was.

    The gradient of the sum is that of its plain branch, so an optimiser's state stays right.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
