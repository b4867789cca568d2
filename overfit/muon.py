"""Muon: momentum whose singular values are made equal, for kernels; Adam for everything else.

    gradient ─► momentum [out, in * k * k] ─► Newton-Schulz: about U Vᵀ of its U S Vᵀ ─► step

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the factor by
which its steps are as large as Adam's of Liu et al., "Muon is Scalable for LLM Training" (2025,
arXiv 2502.16982, section 2.2). A kernel's gradient is mostly of what neighbouring taps and planes
have in common; steps that are as long in all directions learn what tells them apart too. That is
worth 0.04 to 0.2 dB beside Adam at its best rate (docs/benchmarks.md, "Optimisers"), and a step
takes 1 to 2 ms more.

The last layer, whose few outputs are the picture, and all that is no kernel are Adam's.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from overfit.adam import Adam

_MOMENTUM = 0.95
_ROUNDS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration: brings singular values from 0 to 1 to between 0.7 and 1.2."""
_FACTOR = 0.2
"""Root mean square of a step of Adam, by its rate."""
_REST = 0.5
"""Rate of Adam by that of kernels."""
_SPARSEST = 1 / 16
"""Of what is left of a kernel, where fewer go no farther."""
_SIZE = 7 * 288
"""Kernels by the longest side of their matrices, of the default network, which rates are for."""


class Muon:
    """The momenta of a network's kernels, and an Adam of its other weights."""

    def __init__(self, network: nn.Module) -> None:
        self._kernels: list[Tensor] = []
        rest: list[nn.Parameter] = []
        for name, weight in network.named_parameters():
            inner = weight.ndim == 4 and not name.startswith("tail.")
            (self._kernels if inner else rest).append(weight)
        self._momenta = [torch.zeros_like(kernel) for kernel in self._kernels]
        self._rest = Adam(rest)
        # Steps of all kernels add up: 33 wide ones, each moved as far as 7 small ones, are lost.
        longest = max((max(kernel.flatten(1).shape) for kernel in self._kernels), default=1)
        self._share = min(1.0, (_SIZE / (longest * max(1, len(self._kernels)))) ** 0.5)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves every weight that has a gradient against it; others stay.

        A kernel moves by about a fifth of `rate` an entry, less in networks that are larger than
        the default; another weight by about half of it.
        """
        moved = [place for place, kernel in enumerate(self._kernels) if kernel.grad is not None]
        moved.sort(key=lambda place: self._kernels[place].shape)
        # Those of one shape together: what takes time are calls.
        for shape, places in groupby(moved, key=lambda place: self._kernels[place].shape):
            self._move(shape, list(places), rate)
        self._rest.step(rate * _REST)

    def _move(self, shape: torch.Size, places: list[int], rate: float) -> None:
        kernels = [self._kernels[place] for place in places]
        momenta = [self._momenta[place] for place in places]
        gradients = [gradient for kernel in kernels if (gradient := kernel.grad) is not None]
        torch._foreach_lerp_(momenta, gradients, 1 - _MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, _MOMENTUM)
        steps = orthogonal(torch.stack([one.flatten(1) for one in ahead]))
        length = -rate * self._share * _FACTOR * max(shape[0], shape[1:].numel()) ** 0.5
        # Of a pruned kernel those that are left go as much farther, and the whole as far.
        left = torch.stack([(kernel != 0).float().mean() for kernel in kernels])
        left = torch.where(left > 0, left.clamp_min(_SPARSEST), 1.0)
        steps = steps * left.rsqrt()[:, None, None]
        torch._foreach_add_(kernels, [one.reshape(shape) for one in steps], alpha=length)

    def keep(self, weights: Iterable[nn.Parameter]) -> None:
        """Goes on with those of its weights that are among `weights`, in the order it has them."""
        weights = list(weights)
        kept = {id(weight) for weight in weights}
        places = [place for place, kernel in enumerate(self._kernels) if id(kernel) in kept]
        self._kernels = [self._kernels[place] for place in places]
        self._momenta = [self._momenta[place] for place in places]
        self._rest.keep(weights)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"momenta": self._momenta, "rest": self._rest.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, of equal weights."""
        for mine, theirs in zip(self._momenta, state["momenta"], strict=True):
            mine.copy_(theirs)
        self._rest.restore(state["rest"])


def orthogonal(matrices: Tensor) -> Tensor:
    """About the nearest matrices whose singular values are all 1, of matrices [n, rows, columns].

    Those of none but zeros stay so.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    x: Tensor = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-12)
    a, b, c = _QUINTIC
    for _ in range(_ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x
