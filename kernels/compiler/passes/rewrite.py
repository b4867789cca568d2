"""What passes share: only the nodes that the output needs, only some channels of an op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kernels.graph import Bias, Conv, Graph, Node, Op, PReLU
from kernels.plan import Bool

Channels = npt.NDArray[np.int64] | Bool
"""Channels to take: numbers in the order wanted, or for each whether it stays."""


def drop_unused(graph: Graph) -> Graph:
    """Without the nodes that the output does not depend on."""
    return replace_nodes(graph, {})


def replace_nodes(graph: Graph, changed: Mapping[int, Node]) -> Graph:
    """`graph` with some nodes replaced, only what the output needs, in a computable order.

    `changed` maps numbers to new nodes, whose inputs are numbers as well: of `graph`, or new ones
    (any number beyond it) that `changed` also has. New nodes may read nodes that come later, as
    long as there is no circle.
    """
    nodes = {**dict(enumerate(graph.nodes)), **changed}
    order: list[int] = []
    seen: set[int] = set()
    stack = [(len(graph.nodes) - 1, False)]
    while stack:
        number, inputs_done = stack.pop()
        if inputs_done:
            order.append(number)
        elif number not in seen:
            seen.add(number)
            stack.append((number, True))
            # Popped in reverse, so that the first input is computed first.
            stack.extend((value, False) for value in reversed(nodes[number].inputs))
    place = {number: new for new, number in enumerate(order)}
    return Graph(
        graph.scale,
        tuple(
            Node(nodes[number].op, tuple(place[value] for value in nodes[number].inputs))
            for number in order
        ),
    )


def take_channels(op: Op, outputs: Channels, inputs: Sequence[Channels]) -> Op:
    """`op` with only these output channels, in this order, of values with only these `inputs`.

    What has no number for each channel stays as it is.
    """
    if isinstance(op, Conv):
        return Conv(np.ascontiguousarray(op.weight[outputs][:, inputs[0]]))
    if isinstance(op, Bias):
        return Bias(op.bias[outputs])
    if isinstance(op, PReLU):
        return PReLU(op.slope[outputs])
    return op
