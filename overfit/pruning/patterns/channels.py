"""Whole channels, across residuals: what is left is a smaller dense network.

A channel is what layers write and what others read: it dies in all of them at once, also where the
blocks of a residual network write the same channels (CHEX, Hou et al. 2022, arXiv 2203.15794; ties
as SPA finds them, arXiv 2403.18955). A weight lies between a channel that is read and one that is
written, so a density d leaves the square root of d of the channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from kernels.errors import CrispcastError
from overfit.pruning.layout import Group, Layout, Member, Tensors, weight_name
from overfit.pruning.patterns.contract import Pattern


class Channels(Pattern):
    """A group is all the tensors that share channels, those of dense layers too."""

    def groups(self, layout: Layout) -> tuple[Group, ...]:
        members: dict[int, list[Member]] = {}
        for name, ends in layout.ends.items():
            if ends.writes is not None:
                members.setdefault(ends.writes, []).append(Member(weight_name(name), 0))
                if layout.layers[name].bias is not None:
                    members[ends.writes].append(Member(f"{name}.bias", 0))
            if ends.reads is not None:
                members.setdefault(ends.reads, []).append(Member(weight_name(name), 1))
        if not members:
            raise CrispcastError(
                "pattern channels fits no layer: all channels are joined to the network's inputs "
                "or its output; choose another pattern"
            )
        return tuple(Group(tuple(found)) for found in members.values())

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        channels = _channels(group, weights)
        return [
            _along(channels, member.axis, weight)
            for member, weight in zip(group.members, weights, strict=True)
        ]

    def masks(
        self, group: Group, weights: Sequence[torch.Tensor], densities: Sequence[float]
    ) -> Tensors:
        channels = _channels(group, weights)
        count = max(1, round(math.sqrt(densities[0]) * len(channels)))
        left = channels >= channels.topk(count).values[-1]
        return [
            _along(left, member.axis, weight)
            for member, weight in zip(group.members, weights, strict=True)
        ]


def _channels(group: Group, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """How much each channel counts [channels]: the sum over layers; biases follow."""
    total = torch.zeros(1, device=weights[0].device)
    for member, weight in zip(group.members, weights, strict=True):
        if weight.dim() > 1:
            squares = weight.square()
            others = [axis for axis in range(weight.dim()) if axis != member.axis]
            total = total + squares.mean(others) / squares.mean().clamp_min(1e-12)
    return total


def _along(channels: torch.Tensor, axis: int, weight: torch.Tensor) -> torch.Tensor:
    """A value a channel, spread over a weight whose channels lie along `axis`."""
    shape = [-1 if other == axis else 1 for other in range(weight.dim())]
    return channels.reshape(shape).expand_as(weight).clone()
