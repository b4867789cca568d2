"""An unstructured mask, regrouped: output channels that want the same taps are put into one block.

The order is the one that the compiler's permute pass finds (`kernels.compiler.passes.permute`);
taps are then shared by blocks of four in that order, and the compiler finds it again in the plan.
Layers whose outputs meet in an addition have one order. Regrouping of unstructured lottery tickets:
Chen et al. 2022 (arXiv 2202.04736).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kernels.compiler.passes.permute import best_order
from overfit.pruning.layout import Group, Layout, Member, Tensors, weight_name
from overfit.pruning.patterns.contract import Pattern, keep, spread_blocks
from overfit.pruning.patterns.taps import BLOCK


class Regrouped(Pattern):
    """Taps of blocks of four, whose channels need not be neighbours."""

    def groups(self, layout: Layout) -> tuple[Group, ...]:
        tied: dict[int, list[Member]] = {}
        groups = []
        for name in layout.prunable:
            writes, member = layout.ends[name].writes, Member(weight_name(name))
            if writes is None:
                groups.append(Group((member,), fixed=True))
            else:
                tied.setdefault(writes, []).append(member)
        return (*groups, *(Group(tuple(members)) for members in tied.values()))

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        if group.fixed:
            return [spread_blocks(weight, BLOCK) for weight in weights]
        wanted = [keep(weight.square(), self.config.density) for weight in weights]
        support = torch.cat([mask.flatten(1) for mask in wanted], 1).cpu().numpy()
        order = torch.from_numpy(best_order(support, BLOCK)).to(weights[0].device)
        back = order.argsort()
        return [spread_blocks(weight[order], BLOCK)[back] for weight in weights]
