"""Grow and prune: what was cut comes back where its gradient is large, and others make room.

Density falls by the cubic law; with each new mask some of the smallest weights are exchanged for
those that were cut and have the largest gradients, ever fewer, none at the end. Exchange by
gradient: RigL (Evci et al. 2020, arXiv 1911.11134); with gradual pruning: GraNet (Liu et al. 2021,
arXiv 2106.10404). A weight that comes back starts at zero.
"""

from __future__ import annotations

import math

import torch

from overfit.pruning.schedules.contract import Schedule
from overfit.pruning.schedules.cubic import cubic_density

_FIRST = 1e3
"""How much larger what stays counts than what comes back."""


class GrowAndPrune(Schedule):
    """`strength`: the part of what is left that is exchanged at first, below 1."""

    strength = 0.1

    def after_update(self, share: float, *, due: bool) -> None:
        self.weights.apply()
        if due:
            density = cubic_density(share, self.target)
            self.weights.replace(self._exchanged(density, self._part(share)))

    def end(self) -> None:
        self.weights.replace(self._exchanged(self.target, 0.0))

    def _part(self, share: float) -> float:
        return min(self.strength, 0.9) * (1 + math.cos(math.pi * share)) / 2

    @torch.no_grad()
    def _exchanged(self, density: float, part: float) -> dict[str, torch.Tensor]:
        """Masks of `density`, of which a `part` goes by the gradients."""
        parameters = self.weights.parameters
        stays = self.weights.masks_at(density * (1 - part))
        values = {}
        for name, parameter in parameters.items():
            value = parameter * stays[name] / _mean_size(parameter) * _FIRST
            if parameter.grad is not None:
                value = value + parameter.grad * (1 - stays[name]) / _mean_size(parameter.grad)
            values[name] = value
        return self.weights.masks_at(density, values)


def _mean_size(values: torch.Tensor) -> torch.Tensor:
    return values.square().mean().sqrt().clamp_min(1e-12)
