"""ADMM: weights are drawn towards the nearest weights that the mask allows.

    minimise loss(W) where W is sparse:  W follows loss + strength/2 |W - Z + U|^2
                                         Z = the sparse weights nearest to W + U, from time to time
                                         U = U + W - Z: where they disagree for long, harder

Zhang et al. 2018 (arXiv 1804.03294); PatDNN prunes its patterns so (arXiv 2001.00138). The pull
grows from nothing to `strength`.
"""

from __future__ import annotations

import torch

from overfit.pruning.schedules.contract import Schedule, State


class Admm(Schedule):
    """`strength`: of the pull, as a gradient for each unit of distance."""

    strength = 1e-4

    @torch.no_grad()
    def begin(self) -> None:
        parameters = self.weights.parameters.items()
        self._dual = {name: torch.zeros_like(parameter) for name, parameter in parameters}
        self._sparse = self._nearest()

    @torch.no_grad()
    def before_update(self, share: float) -> None:
        for name, parameter in self.weights.parameters.items():
            if parameter.grad is not None:
                apart = parameter - self._sparse[name] + self._dual[name]
                parameter.grad.add_(apart, alpha=self.strength * share)

    @torch.no_grad()
    def after_update(self, share: float, *, due: bool) -> None:
        if not due:
            return
        self._sparse = self._nearest()
        for name, parameter in self.weights.parameters.items():
            self._dual[name].add_(parameter - self._sparse[name])

    def state(self) -> State:
        return {"sparse": self._sparse, "dual": self._dual}

    def restore(self, state: State) -> None:
        self._sparse, self._dual = state["sparse"], state["dual"]

    def _nearest(self) -> dict[str, torch.Tensor]:
        parameters = self.weights.parameters.items()
        wanted = {name: parameter.detach() + self._dual[name] for name, parameter in parameters}
        masks = self.weights.masks_at(self.target, wanted)
        return {name: wanted[name] * mask for name, mask in masks.items()}
