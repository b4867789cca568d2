"""The weights of a network that are pruned, and their masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from kernels.errors import CrispcastError
from overfit.pruning.allocation import erk, ranked
from overfit.pruning.config import PruningConfig
from overfit.pruning.layout import Group, Layout, weight_name
from overfit.pruning.patterns import pattern_of
from overfit.pruning.rate_distortion import rate_distortion

Masks = dict[str, torch.Tensor]
"""By name of the parameter: 1 where a weight is left, 0 where it is cut."""


class PrunedWeights:
    """What schedules work on: parameters by name, and masks of the pattern and the allocation.

    Raises CrispcastError where the network has nothing to prune, or the pattern does not fit it.
    """

    def __init__(self, network: nn.Module, config: PruningConfig) -> None:
        self.config = config
        layout = Layout(network)
        self._pattern = pattern_of(config)
        for name in layout.prunable:
            self._pattern.check(name, layout.layers[name].weight.shape)
        self._groups = self._pattern.groups(layout)
        every = dict(network.named_parameters())
        self._layers = [weight_name(name) for name in layout.prunable]
        members = [member.name for group in self._groups for member in group.members]
        self.parameters = {name: every[name] for name in dict.fromkeys(self._layers + members)}
        self.masks: Masks = {
            name: torch.ones_like(parameter) for name, parameter in self.parameters.items()
        }
        self.shares: dict[str, float] = {}
        """Of each layer, what is left at the end; empty where the allocation needs no measuring."""

    @torch.no_grad()
    def measure(self, loss: Callable[[], float], bits: int) -> None:
        """Find out how much of each layer shall be left, where the allocation measures that."""
        if self.config.allots != "rate-distortion" or self.shares:
            return
        weights = [self.parameters[name] for name in self._layers]

        def mask_at(index: int, density: float) -> torch.Tensor:
            return self._masks_at(self.parameters, {self._layers[index]: density})[
                self._layers[index]
            ]

        shares = rate_distortion(weights, mask_at, loss, self.config.density, bits)
        self.shares = dict(zip(self._layers, shares, strict=True))

    @torch.no_grad()
    def masks_at(self, density: float, values: Mapping[str, torch.Tensor] | None = None) -> Masks:
        """Masks that leave a fraction `density`, by the size of the weights, or of `values`."""
        values = self.parameters if values is None else values
        return self._masks_at(values, self._densities(values, density))

    @torch.no_grad()
    def scores(self, values: Mapping[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
        """How much each weight counts, or each of `values`; see `Pattern.scores`."""
        values = self.parameters if values is None else values
        found: dict[str, torch.Tensor] = {}
        for group in self._groups:
            names = [member.name for member in group.members]
            scores = self._pattern.scores(group, [values[name] for name in names])
            for name, score in zip(names, scores, strict=True):
                # Of channels that are written and channels that are read: it dies with either.
                found[name] = torch.minimum(found[name], score) if name in found else score
        return found

    def tighten(self, density: float) -> None:
        """Leave the largest weights, a fraction `density` of all.

        What was cut is zero, so it stays cut, but where the shape of what is left asks for it.
        """
        self.replace(self.masks_at(density))

    def replace(self, masks: Masks) -> None:
        """Leave what `masks` say, and have no memory of those before."""
        for name, mask in self.masks.items():
            mask.copy_(masks[name])
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Zero the weights that are cut."""
        for name, parameter in self.parameters.items():
            parameter.mul_(self.masks[name])

    def density(self) -> float:
        """Fraction of the weights of the prunable layers that are left."""
        alive = sum(float(self.masks[name].sum()) for name in self._layers)
        return alive / sum(self.masks[name].numel() for name in self._layers)

    def _densities(self, values: Mapping[str, torch.Tensor], density: float) -> dict[str, float]:
        """Of each layer, where `density` of all is left."""
        allocation, target = self.config.allots, self.config.density
        if allocation == "uniform":
            return dict.fromkeys(self._layers, density)
        if allocation == "ranked":
            found = self.scores(values)
            names = list(found)
            scores, weights = [found[n] for n in names], [values[n] for n in names]
            return dict(zip(names, ranked(scores, weights, density), strict=True))
        if allocation == "erk":
            shapes = [values[name].shape for name in self._layers]
            final = dict(zip(self._layers, erk(shapes, target), strict=True))
        else:
            if not self.shares:
                raise CrispcastError("rate-distortion allocation was not measured; measure first")
            final = self.shares
        # On the way there, every layer has lost the same part of what it will have lost.
        lost = (1 - density) / (1 - target)
        return {name: 1 - (1 - share) * lost for name, share in final.items()}

    def _masks_at(
        self, values: Mapping[str, torch.Tensor], densities: Mapping[str, float]
    ) -> Masks:
        """Masks at densities by layer; a layer that has none is left whole."""
        masks = {name: torch.ones_like(mask) for name, mask in self.masks.items()}
        for group in self._groups:
            if not self._has_density(group, densities):
                continue
            names = [member.name for member in group.members]
            # Of channels, which have no density by layer, all layers have the same.
            same = next(iter(densities.values()))
            asked = [densities.get(name, same) for name in names]
            found = self._pattern.masks(group, [values[name] for name in names], asked)
            for name, mask in zip(names, found, strict=True):
                masks[name].mul_(mask)
        return masks

    def _has_density(self, group: Group, densities: Mapping[str, float]) -> bool:
        return any(member.name in densities for member in group.members)
