"""Lowering: from a fused graph to a plan's op table and quantised numbers."""

from __future__ import annotations

import numpy as np

from kernels.compiler.choice import choose_taps
from kernels.compiler.passes.tail import hr_end, tail_of
from kernels.compiler.payload import layer_bytes_alone
from kernels.compiler.quantise import quantise_weights, to_half
from kernels.errors import PlanError
from kernels.graph import Clip, Concat, FusedConv, Graph, Input, PReLU, ReLU
from kernels.plan import (
    MAX_SOURCES,
    PLANES,
    Activation,
    Float,
    Half,
    LayerNumbers,
    LayerSpec,
    PlanIR,
    PlanTable,
)


def lower_graph(graph: Graph, bits: int = 8, block: int = 4) -> PlanIR:
    """The plan of a graph that `passes.fuse_layers` made.

    block: what taps were pruned by; each layer's is chosen by predicted time (`choice`).

    Raises PlanError where the graph is not fused or is beyond a limit of the format.
    """
    used = {node.op.plane for node in graph.nodes if isinstance(node.op, Input)} | {"luma"}
    inputs = tuple(plane for plane in PLANES if plane in used)
    values: dict[int, tuple[int, ...]] = {}  # value ids that a node stands for
    layers: list[LayerSpec] = []
    numbers: list[LayerNumbers] = []
    coded = any(isinstance(n.op, FusedConv) and n.op.codes is not None for n in graph.nodes)
    end = hr_end(graph)
    for number, node in enumerate(graph.nodes):
        if isinstance(node.op, Input):
            values[number] = (inputs.index(node.op.plane),)
        elif isinstance(node.op, Concat):
            values[number] = tuple(value for part in node.inputs for value in values[part])
        elif isinstance(node.op, FusedConv):
            sources = values[node.inputs[0]]
            residual = values[node.inputs[1]] if len(node.inputs) == 2 else ()
            layer, found = _lower_layer(node.op, sources, residual, bits, block, coded=coded)
            values[number] = (len(inputs) + len(layers),)
            layers.append(layer)
            numbers.append(found)
        elif number not in end:
            raise PlanError(f"node {number} ({type(node.op).__name__}) is not fused: fuse it first")
    _, bicubic = tail_of(graph)
    return PlanIR(PlanTable(graph.scale, inputs, bicubic, tuple(layers)), tuple(numbers))


def _lower_layer(
    op: FusedConv,
    sources: tuple[int, ...],
    residual: tuple[int, ...],
    bits: int,
    block: int,
    *,
    coded: bool,
) -> tuple[LayerSpec, LayerNumbers]:
    if len(sources) > MAX_SOURCES or len(residual) > 1:
        raise PlanError(
            f"a convolution of {len(sources)} concatenated values with a residual of "
            f"{len(residual)}: at most {MAX_SOURCES} and 1 are possible, merge some by a 1×1 "
            "convolution"
        )
    weights, codes = quantise_weights(op.weight, bits)
    chosen = choose_taps(weights, block, coded=coded)
    activation, numbers = _activation(op)
    spec = LayerSpec(
        kernel=weights.shape[-1],
        sources=sources,
        cout=len(weights),
        block=chosen.block,
        activation=activation,
        residual=residual[0] if residual else None,
        residual_after=op.residual == "after",
        dense=chosen.dense,
        bits=bits,
        codes=op.codes,
    )
    return spec, LayerNumbers(codes, to_half(op.bias, "bias"), numbers, chosen.taps, weights)


def weight_bytes(weight: Float, bits: int, block: int = 4) -> int:
    """Bytes that weights f32 [cout, cin, k, k] take in a plan, taps, scales and biases of 0 too."""
    weights, codes = quantise_weights(weight, bits)
    chosen = choose_taps(weights, block, coded=True)
    spec = LayerSpec(
        kernel=weights.shape[-1],
        sources=(0,),
        cout=len(weights),
        block=chosen.block,
        activation=Activation.NONE,
        residual=None,
        residual_after=False,
        dense=chosen.dense,
        bits=bits,
    )
    zeros = np.zeros(len(weights), np.float16)
    numbers = LayerNumbers(codes, zeros, np.zeros(0, np.float16), chosen.taps, weights)
    return layer_bytes_alone(spec, numbers)


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
