"""A reweighted penalty: what is small is pushed harder, what is large is let go.

Each weight is pushed by strength x weight / (mean square of what lives or dies with it), renewed
from time to time, so that the penalty comes near to counting what is left rather than its size
(Candès, Wakin and Boyd 2008, arXiv 0711.1612; for blocks of weights Ma et al. 2020, arXiv
2001.08357).
"""

from __future__ import annotations

import torch

from overfit.pruning.schedules.contract import Schedule, State

_LEAST = 1e-2
"""Mean square, by that of the whole layer, below which nothing is pushed harder."""


class Reweighted(Schedule):
    """`strength`: of the push on a weight of its layer's mean size, as a gradient a unit."""

    strength = 2e-5

    def begin(self) -> None:
        self._push = self._renewed()

    @torch.no_grad()
    def before_update(self, share: float) -> None:
        for name, parameter in self.weights.parameters.items():
            if parameter.grad is not None:
                parameter.grad.add_(self._push[name] * parameter, alpha=self.strength)

    def after_update(self, share: float, *, due: bool) -> None:
        if due:
            self._push = self._renewed()

    def state(self) -> State:
        return {"push": self._push}

    def restore(self, state: State) -> None:
        self._push = state["push"]

    @torch.no_grad()
    def _renewed(self) -> dict[str, torch.Tensor]:
        return {
            name: 1 / (score / score.mean().clamp_min(1e-12) + _LEAST)
            for name, score in self.weights.scores().items()
        }
