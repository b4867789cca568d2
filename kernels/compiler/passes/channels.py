"""Channels that carry nothing are taken out, across residuals.

A channel carries nothing where it is always zero, or where nobody that matters reads it. Values
that meet in an addition lose a channel together or not at all.
"""

from __future__ import annotations

import numpy as np

from kernels.compiler.passes.rewrite import replace_nodes, take_channels
from kernels.graph import (
    Add,
    Bias,
    Clip,
    Concat,
    Conv,
    Elementwise,
    Graph,
    Node,
)
from kernels.plan import Bool


def drop_dead_channels(graph: Graph) -> Graph:
    """Without the branches that are all zero and the channels that carry nothing.

    Expects plain weights (`fold_weight_norm`). Every value keeps at least one channel.
    """
    # A zero branch that goes can leave channels dead, and the other way round; two rounds settle
    # all but contrived graphs, and what is left over only costs bytes.
    for _ in range(2):
        graph = _drop_channels(_drop_zero_branches(graph))
    return graph


def _drop_zero_branches(graph: Graph) -> Graph:
    zero = _always_zero(graph)
    stands_for = list(range(len(graph.nodes)))
    changed = {}
    for number, node in enumerate(graph.nodes):
        inputs = tuple(stands_for[value] for value in node.inputs)
        changed[number] = Node(node.op, inputs)
        if isinstance(node.op, Add):
            for empty, other in (node.inputs, node.inputs[::-1]):
                if zero[empty].all():
                    stands_for[number] = stands_for[other]
                    break
    return replace_nodes(graph, changed)


def _drop_channels(graph: Graph) -> Graph:
    zero = _always_zero(graph)
    live = _live(graph, zero)
    keep = [alive & ~empty for alive, empty in zip(live, zero, strict=True)]
    _couple(graph, keep)
    changed = {
        number: Node(
            take_channels(node.op, keep[number], [keep[v] for v in node.inputs]), node.inputs
        )
        for number, node in enumerate(graph.nodes)
    }
    return replace_nodes(graph, changed)


def _always_zero(graph: Graph) -> list[Bool]:
    """For every value, the channels that are zero whatever the frame; bool [channels]."""
    zero: list[Bool] = []
    for number, node in enumerate(graph.nodes):
        inputs = [zero[value] for value in node.inputs]
        op = node.op
        if isinstance(op, Conv):
            found = ~op.weight[:, ~inputs[0]].any(axis=(1, 2, 3))
        elif isinstance(op, Bias):
            found = inputs[0] & (op.bias == 0)
        elif isinstance(op, Add):
            found = inputs[0] & inputs[1]
        elif isinstance(op, Concat):
            found = np.concatenate(inputs)
        elif isinstance(op, Elementwise):
            keeps_zero = not isinstance(op, Clip) or op.low <= 0 <= op.high
            found = inputs[0] & keeps_zero
        else:
            found = np.zeros(graph.shapes[number].channels, np.bool_)
        zero.append(np.asarray(found, np.bool_))
    return zero


def _live(graph: Graph, zero: list[Bool]) -> list[Bool]:
    """For every value, the channels that reach the output; bool [channels]."""
    live = [np.zeros(shape.channels, np.bool_) for shape in graph.shapes]
    live[-1][:] = True
    for number in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[number]
        op, wanted = node.op, live[number]
        if isinstance(op, Conv):
            live[node.inputs[0]] |= op.weight[wanted & ~zero[number]].any(axis=(0, 2, 3))
        elif isinstance(op, Concat):
            start = 0
            for value in node.inputs:
                stop = start + len(live[value])
                live[value] |= wanted[start:stop]
                start = stop
        elif isinstance(op, Add | Elementwise):
            for value in node.inputs:
                live[value] |= wanted
        else:
            # Shuffle, base and output: whole values.
            for value in node.inputs:
                live[value][:] = True
    return live


def _couple(graph: Graph, keep: list[Bool]) -> None:
    """Make `keep` agree wherever channels are tied to each other, always keeping more."""
    for number, node in enumerate(graph.nodes):
        if not isinstance(node.op, Conv | Add | Concat | Elementwise):
            # Planes, shuffles and the output have the channels they have.
            for value in (number, *node.inputs):
                keep[value][:] = True
    before = -1
    while (kept := sum(int(each.sum()) for each in keep)) != before:
        before = kept
        for number, node in enumerate(graph.nodes):
            if not keep[number].any():
                keep[number][0] = True
            if isinstance(node.op, Concat):
                joined = np.concatenate([keep[value] for value in node.inputs]) | keep[number]
                keep[number] = joined
                start = 0
                for value in node.inputs:
                    stop = start + len(keep[value])
                    keep[value] = joined[start:stop].copy()
                    start = stop
            elif isinstance(node.op, Add | Elementwise):
                both = keep[number].copy()
                for value in node.inputs:
                    both |= keep[value]
                for value in (number, *node.inputs):
                    keep[value] = both.copy()
