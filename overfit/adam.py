"""Adam (Kingma and Ba, ICLR 2015, arXiv 1412.6980, algorithm 1): for all but kernels.

The same to the last bit as `torch.optim.Adam` with its defaults, whose constructor imports torch's
compiler, which nothing here uses: a second or two of every process that trains.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_FIRST, _SECOND = 0.9, 0.999
"""How much of the running moments a step keeps: β₁ and β₂ of the paper."""
_EPSILON = 1e-8


class Adam:
    """The running moments of some weights' gradients, and the steps that follow from them."""

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        self._weights: list[Tensor] = list(weights)
        self._means: list[Tensor] = [torch.zeros_like(weight) for weight in self._weights]
        self._squares: list[Tensor] = [torch.zeros_like(weight) for weight in self._weights]
        self._steps: list[int] = [0] * len(self._weights)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves every weight that has a gradient by about `rate` against it; others stay."""
        moved = [place for place, weight in enumerate(self._weights) if weight.grad is not None]
        if not moved:
            return
        gradients = [gradient for w in self._weights if (gradient := w.grad) is not None]
        weights, means, squares = (
            [of[place] for place in moved] for of in (self._weights, self._means, self._squares)
        )
        for place in moved:
            self._steps[place] += 1
        steps = [self._steps[place] for place in moved]
        torch._foreach_lerp_(means, gradients, 1 - _FIRST)
        torch._foreach_mul_(squares, _SECOND)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - _SECOND)
        # Both moments begin at 0, which their first steps make up for.
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, [(1 - _SECOND**count) ** 0.5 for count in steps])
        torch._foreach_add_(roots, _EPSILON)
        rates = [-rate / (1 - _FIRST**count) for count in steps]
        torch._foreach_addcdiv_(weights, means, roots, rates)

    def keep(self, weights: Iterable[nn.Parameter]) -> None:
        """Goes on with those of its weights that are among `weights`, in the order it has them."""
        kept = {id(weight) for weight in weights}
        places = [place for place, weight in enumerate(self._weights) if id(weight) in kept]
        self._weights = [self._weights[place] for place in places]
        self._means = [self._means[place] for place in places]
        self._squares = [self._squares[place] for place in places]
        self._steps = [self._steps[place] for place in places]

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"means": self._means, "squares": self._squares, "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, of equal weights."""
        for mine, theirs in zip(self._means, state["means"], strict=True):
            mine.copy_(theirs)
        for mine, theirs in zip(self._squares, state["squares"], strict=True):
            mine.copy_(theirs)
        self._steps = list(state["steps"])
