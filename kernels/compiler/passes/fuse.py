"""Bias, activation and residual go into the convolution that makes their value: one layer each.

    conv ─ bias ─ ReLU ─(+)─      becomes      FusedConv(bias, ReLU, residual "after")
                   skip ─┘                        skip ─┘

Rounding goes into the layer that makes the value: convolutions read it rounded, additions do not.
What stays in between (an activation or a sum of values that no convolution makes) gets a 1×1
convolution that copies. The graph that comes out has planes, concatenations, fused convolutions,
one shuffle and the base, and the shuffle reads a fused convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kernels.compiler.passes.rewrite import replace_nodes
from kernels.compiler.passes.tail import hr_end, tail_of
from kernels.errors import PlanError
from kernels.graph import (
    Add,
    Bias,
    Clip,
    Conv,
    Elementwise,
    FusedConv,
    Graph,
    Node,
    Op,
    PixelShuffle,
    PReLU,
    ReLU,
    Round,
    conv_weight,
)
from kernels.plan import Codes, Float


@dataclass(frozen=True)
class _Layer:
    """A layer as it grows: what it computes so far, and what it reads."""

    op: FusedConv
    inputs: tuple[int, ...]


def fuse_layers(graph: Graph) -> Graph:
    """`graph` with layers as the plan has them; expects `sink_shuffles` to have run."""
    graph = _give_the_shuffle_a_layer(graph)
    layers: dict[int, _Layer] = {}  # by the node whose value they make
    codes = _codes_of_values(graph)
    end = hr_end(graph)
    for number, node in enumerate(graph.nodes):
        if number in end or isinstance(node.op, Round):
            continue  # shuffle, base and output stay
        if isinstance(node.op, Conv):
            zeros = np.zeros(len(node.op.weight), np.float32)
            layers[number] = _Layer(FusedConv(conv_weight(node.op), zeros, None), node.inputs)
        elif isinstance(node.op, Add | Elementwise):
            layers[number] = _grown(graph, layers, node)
    # Who read the rounded value reads the layer, which knows of its rounding.
    reads = {n: graph.nodes[n].inputs[0] for n in range(len(graph.nodes)) if _is_round(graph, n)}
    changed = {n: Node(layer.op, layer.inputs) for n, layer in layers.items()}
    for number, found in codes.items():
        if number in layers:
            changed[number] = Node(replace(layers[number].op, codes=found), layers[number].inputs)
    for number in range(len(graph.nodes)):
        node = changed.get(number, graph.nodes[number])
        changed[number] = Node(node.op, tuple(reads.get(value, value) for value in node.inputs))
    return replace_nodes(graph, changed)


def _is_round(graph: Graph, number: int) -> bool:
    return isinstance(graph.nodes[number].op, Round)


def _codes_of_values(graph: Graph) -> dict[int, Codes]:
    """What values are rounded to; raises PlanError where not every convolution reads it so."""
    codes: dict[int, Codes] = {}
    for node in graph.nodes:
        if isinstance(node.op, Round):
            value = node.inputs[0]
            readers = [graph.nodes[user].op for user in graph.users[value]]
            same = all(op == node.op or isinstance(op, Add) for op in readers)
            if not same or isinstance(graph.nodes[value].op, Round):
                raise PlanError(
                    f"node {value} of the network's graph is rounded for some of its readers: "
                    "round it once, for all convolutions that read it"
                )
            codes[value] = node.op.codes
    return codes


def _give_the_shuffle_a_layer(graph: Graph) -> Graph:
    """Copy what the shuffle reads where others read it too or no layer will make it."""
    tail, _ = tail_of(graph)
    node = graph.nodes[tail]
    if len(graph.users[tail]) == 1 and isinstance(node.op, Conv | Add | Elementwise):
        return graph
    fresh = len(graph.nodes)
    changed = {fresh: Node(Conv(_copying(graph.shapes[tail].channels)), (tail,))}
    for user in graph.users[tail]:
        if isinstance(graph.nodes[user].op, PixelShuffle):
            changed[user] = Node(graph.nodes[user].op, (fresh,))
    return replace_nodes(graph, changed)


def _grown(graph: Graph, layers: dict[int, _Layer], node: Node) -> _Layer:
    """The layer that makes `node`'s value: one that makes an input, grown over it, or a copy."""
    # Of two layers that are added, the later one takes the sum: what it adds is there by then.
    for value in sorted(set(node.inputs), reverse=True):
        layer = layers.get(value)
        if layer is None or len(graph.users[value]) > 1:
            continue
        others = tuple(other for other in node.inputs if other != value)
        if (grown := _absorb(layer, node.op, others)) is not None:
            del layers[value]
            return grown
    source, others = node.inputs[0], node.inputs[1:]
    channels = graph.shapes[source].channels
    copy = FusedConv(_copying(channels), np.zeros(channels, np.float32), None)
    grown = _absorb(_Layer(copy, (source,)), node.op, others)
    assert grown is not None  # a layer without activation and residual takes any of these
    return grown


def _absorb(layer: _Layer, op: Op, others: tuple[int, ...]) -> _Layer | None:
    """`layer` with `op` on its value (and `others`, for a sum) inside, if the format has that."""
    fused = layer.op
    if isinstance(op, Bias) and fused.activation is None:
        return replace(layer, op=replace(fused, bias=fused.bias + op.bias))
    if isinstance(op, ReLU | PReLU | Clip) and fused.activation is None:
        return replace(layer, op=replace(fused, activation=op))
    if isinstance(op, Add) and fused.residual == "none":
        place = "before" if fused.activation is None else "after"
        return _Layer(replace(fused, residual=place), (*layer.inputs, *others))
    return None


def _copying(channels: int) -> Float:
    """The weights of a 1×1 convolution that copies."""
    return np.eye(channels, dtype=np.float32).reshape(channels, channels, 1, 1)
