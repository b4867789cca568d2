"""Sparse-refined straight-through estimation: dense weights learn behind a sparse network.

The network computes with masked weights; its gradients go to the dense weights behind them, of
which those that are cut decay. The mask is made anew in every update. Zhou et al. 2021 (arXiv
2102.04010).

    dense weights --mask of the largest--> weights of the network --> loss
          ^---------- gradient of all + strength x what is cut ---------'
"""

from __future__ import annotations

import torch

from overfit.pruning.schedules.contract import Schedule, State


class StraightThrough(Schedule):
    """`strength`: of the decay, as a gradient for each unit of weight."""

    strength = 2e-4

    @torch.no_grad()
    def begin(self) -> None:
        parameters = self.weights.parameters.items()
        self._dense = {name: parameter.clone() for name, parameter in parameters}

    @torch.no_grad()
    def before_update(self, share: float) -> None:
        for name, parameter in self.weights.parameters.items():
            dense, cut = self._dense[name], 1 - self.weights.masks[name]
            if parameter.grad is not None:
                parameter.grad.add_(cut * dense, alpha=self.strength)
            parameter.copy_(dense)

    @torch.no_grad()
    def after_update(self, share: float, *, due: bool) -> None:
        for name, parameter in self.weights.parameters.items():
            self._dense[name].copy_(parameter)
        self.weights.tighten(self.target)

    def state(self) -> State:
        return {"dense": self._dense}

    def restore(self, state: State) -> None:
        self._dense = state["dense"]
