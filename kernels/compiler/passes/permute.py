"""Output channels that need the same taps are put into the same block.

In the spirit of PatDNN's filter-kernel reorder (Niu et al. 2020), for taps shared by a block: a
block pays for the union of its channels' taps. Values that meet in an addition are reordered alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kernels.compiler.passes.rewrite import replace_nodes, take_channels
from kernels.graph import (
    Add,
    Concat,
    Conv,
    Elementwise,
    Graph,
    Node,
)
from kernels.plan import Bool

Order = npt.NDArray[np.int64]


def permute_channels(graph: Graph, block: int = 4) -> Graph:
    """Channels reordered where that makes blocks of `block` need fewer taps.

    Expects plain weights. The channels of planes and of the shuffled output keep their order.
    """
    orders: list[Order] = []
    chosen: dict[int, Order] = {}
    group_of, fixed = _groups(graph)
    for number, node in enumerate(graph.nodes):
        group, channels = group_of[number], graph.shapes[number].channels
        if group in fixed:
            orders.append(np.arange(channels))
        elif isinstance(node.op, Concat):
            orders.append(_joined(graph, node, orders))
        else:
            if group not in chosen:
                members = [n for n, found in enumerate(group_of) if found == group]
                chosen[group] = _order_of(graph, members, block)
            orders.append(chosen[group])
    changed = {}
    for number, node in enumerate(graph.nodes):
        inputs = [orders[value] for value in node.inputs]
        changed[number] = Node(take_channels(node.op, orders[number], inputs), node.inputs)
    return replace_nodes(graph, changed)


def _groups(graph: Graph) -> tuple[list[int], set[int]]:
    """(the group of each value, groups that keep their order); a group is reordered as one."""
    group = list(range(len(graph.nodes)))

    def root(number: int) -> int:
        while group[number] != number:
            number = group[number]
        return number

    for number, node in enumerate(graph.nodes):
        if isinstance(node.op, Add | Elementwise):
            for value in node.inputs:
                group[root(value)] = root(number)
    found = [root(number) for number in range(len(graph.nodes))]
    fixed = set()
    for number, node in enumerate(graph.nodes):
        if not isinstance(node.op, Conv | Add | Concat | Elementwise):
            fixed |= {found[value] for value in (number, *node.inputs)}
        # A concatenation's order follows from its parts; where it is tied to others, all stay.
        tied = sum(other == found[number] for other in found) > 1
        if isinstance(node.op, Concat) and tied:
            fixed |= {found[value] for value in (number, *node.inputs)}
    return found, _spread_fixed(graph, found, fixed)


def _spread_fixed(graph: Graph, group: list[int], fixed: set[int]) -> set[int]:
    """A concatenation that keeps its order needs parts that do, down to the first one."""
    for number in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[number]
        if isinstance(node.op, Concat) and group[number] in fixed:
            fixed |= {group[value] for value in node.inputs}
    return fixed


def _joined(graph: Graph, node: Node, orders: list[Order]) -> Order:
    start, parts = 0, []
    for value in node.inputs:
        parts.append(orders[value] + start)
        start += graph.shapes[value].channels
    return np.concatenate(parts)


def _order_of(graph: Graph, members: list[int], block: int) -> Order:
    """The greedy order, or the one there is where that is as good; i64 [channels]."""
    convs = [op for n in members if isinstance(op := graph.nodes[n].op, Conv)]
    channels = graph.shapes[members[0]].channels
    if not convs:
        return np.arange(channels)
    support = [(op.weight != 0).reshape(channels, -1) for op in convs]
    return best_order(np.concatenate(support, axis=1), block)


def best_order(support: Bool, block: int) -> Order:
    """An order of channels i64 [channels] in which blocks of `block` need few taps.

    `support`: bool [channels, taps], which taps each channel needs. A greedy search; the order
    there is, where that is as good.
    """
    as_it_is = np.arange(len(support))
    if block == 1 or len(support) <= block:
        return as_it_is
    greedy = _greedy_order(support, block)
    return greedy if _taps(support[greedy], block) < _taps(support, block) else as_it_is


def _greedy_order(support: Bool, block: int) -> Order:
    """Start each block with the channel of most taps; add those that add the fewest."""
    left = list(range(len(support)))
    order: list[int] = []
    while left:
        first = max(left, key=lambda channel: int(support[channel].sum()))
        union = support[first].copy()
        left.remove(first)
        order.append(first)
        for _ in range(min(block - 1, len(left))):
            candidates = np.array(left)
            added = (support[candidates] & ~union).sum(axis=1)
            shared = (support[candidates] & union).sum(axis=1)
            best = left[int(np.lexsort((-shared, added))[0])]
            union |= support[best]
            left.remove(best)
            order.append(best)
    return np.array(order)


def _taps(support: Bool, block: int) -> int:
    starts = range(0, len(support), block)
    return sum(int(support[start : start + block].any(axis=0).sum()) for start in starts)
