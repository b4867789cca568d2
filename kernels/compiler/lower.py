"""Lowering: from a fused graph to a plan's op table and quantised numbers."""

from __future__ import annotations

import numpy as np

from kernels.compiler.passes.tail import tail_of
from kernels.compiler.quantise import quantise_weights, to_half
from kernels.errors import PlanError
from kernels.graph import Clip, Concat, FusedConv, Graph, Input, PReLU, ReLU
from kernels.plan import (
    MAX_SOURCES,
    PLANES,
    Activation,
    Bool,
    Half,
    Int8,
    LayerNumbers,
    LayerSpec,
    PlanIR,
    PlanTable,
)


def lower_graph(graph: Graph, bits: int = 8, block: int = 4) -> PlanIR:
    """The plan of a graph that `passes.fuse_layers` made.

    Raises PlanError where the graph is not fused or is beyond a limit of the format.
    """
    used = {node.op.plane for node in graph.nodes if isinstance(node.op, Input)} | {"luma"}
    inputs = tuple(plane for plane in PLANES if plane in used)
    values: dict[int, tuple[int, ...]] = {}  # value ids that a node stands for
    layers: list[LayerSpec] = []
    numbers: list[LayerNumbers] = []
    for number, node in enumerate(graph.nodes):
        if isinstance(node.op, Input):
            values[number] = (inputs.index(node.op.plane),)
        elif isinstance(node.op, Concat):
            values[number] = tuple(value for part in node.inputs for value in values[part])
        elif isinstance(node.op, FusedConv):
            sources = values[node.inputs[0]]
            residual = values[node.inputs[1]] if len(node.inputs) == 2 else ()
            layer, found = _lower_layer(node.op, sources, residual, bits, block)
            values[number] = (len(inputs) + len(layers),)
            layers.append(layer)
            numbers.append(found)
        elif graph.shapes[number].magnify == 1:
            raise PlanError(f"node {number} ({type(node.op).__name__}) is not fused: fuse it first")
    _, bicubic = tail_of(graph)
    return PlanIR(PlanTable(graph.scale, inputs, bicubic, tuple(layers)), tuple(numbers))


def _lower_layer(
    op: FusedConv, sources: tuple[int, ...], residual: tuple[int, ...], bits: int, block: int
) -> tuple[LayerSpec, LayerNumbers]:
    if len(sources) > MAX_SOURCES or len(residual) > 1:
        raise PlanError(
            f"a convolution of {len(sources)} concatenated values with a residual of "
            f"{len(residual)}: at most {MAX_SOURCES} and 1 are possible, merge some by a 1×1 "
            "convolution"
        )
    weights, codes = quantise_weights(op.weight, bits)
    block = _fitting_block(weights, block)
    taps = shared_taps(weights, block)
    activation, numbers = _activation(op)
    spec = LayerSpec(
        kernel=weights.shape[-1],
        sources=sources,
        cout=len(weights),
        block=block,
        activation=activation,
        residual=residual[0] if residual else None,
        residual_after=op.residual == "after",
        dense=bool(taps.all()),
        bits=bits,
        codes=op.codes,
    )
    return spec, LayerNumbers(codes, to_half(op.bias, "bias"), numbers, taps, weights)


def shared_taps(weights: Int8, block: int) -> Bool:
    """bool [blocks, cin, k, k]: taps at which any channel of the block has a weight."""
    cout = len(weights)
    starts = range(0, cout, block)
    return np.array([(weights[start : start + block] != 0).any(axis=0) for start in starts])


def _fitting_block(weights: Int8, block: int) -> int:
    """`block`, or 1 where taps are so little shared that single channels cost less.

    A tap of one channel costs about as much as half a tap of four (unshared taps lose to dense
    ones until about 60 % of them are gone), which copying and depthwise convolutions reach.
    """
    if block == 1:
        return 1
    shared = int(shared_taps(weights, block).sum()) * block
    return 1 if shared > 2 * int((weights != 0).sum()) > 0 else block


def _activation(op: FusedConv) -> tuple[Activation, Half]:
    match op.activation:
        case None:
            return Activation.NONE, np.zeros(0, np.float16)
        case ReLU():
            return Activation.RELU, np.zeros(0, np.float16)
        case PReLU(slope):
            return Activation.PRELU, to_half(slope, "slope")
        case Clip(low, high):
            # Bounds beyond half precision bound nothing that a plan can reach.
            largest = float(np.finfo(np.float16).max)
            bounds = np.clip(np.array([low, high], np.float32), -largest, largest)
            return Activation.CLIP, to_half(bounds, "bound")
