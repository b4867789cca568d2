"""Iterative soft shrinkage: after each update, the weights that would be cut become smaller.

They shrink in proportion to their size and may grow back, until the mask is frozen at the end. Made
for super-resolution, from random weights: Wang et al. 2023 (ISS-P, arXiv 2303.09650).
"""

from __future__ import annotations

import torch

from overfit.pruning.schedules.contract import Schedule


class SoftShrinkage(Schedule):
    """`strength`: the part of a weight that it loses in an update."""

    strength = 0.01

    @torch.no_grad()
    def after_update(self, share: float, *, due: bool) -> None:
        masks = self.weights.masks_at(self.target)
        for name, parameter in self.weights.parameters.items():
            parameter.mul_(1 - self.strength * (1 - masks[name]))
