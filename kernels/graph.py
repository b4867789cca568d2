"""The small IR of networks: what the importer makes, the passes rewrite and the compiler lowers.

A `Graph` is a list of nodes in the order they are computed; a node's number is its place, and its
inputs are smaller numbers. Shapes are symbolic: a value has a number of channels and a size that is
a multiple of the (width, height) of the patch at hand, so one graph serves every patch size.

    Input("luma") ─┬─ Concat ─ Conv ─ Bias ─ ReLU ─ … ─ Conv ─ PixelShuffle ─ Add ─ Output
                   └──────────────── Interpolation ───────────────────────────┘

A graph that exists is valid: it verifies itself when made and raises PlanError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kernels.errors import PlanError
from kernels.plan import KERNELS, PLANES, SCALES, Codes, Float


@dataclass(frozen=True)
class Input:
    """A plane of LR size, or the plate's scale² planes; values are (u8 - 128) / 128."""

    plane: str


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation, stride 1, zero padding of k//2 at the frame's borders.

    weight: f32 [cout, cin, k, k]. gain: f32 [cout] where weights are stored normalised: the weight
    of channel o is then `gain[o] * weight[o] / |weight[o]|` (Salimans & Kingma 2016).
    """

    weight: Float
    gain: Float | None = None


@dataclass(frozen=True, eq=False)
class Bias:
    """Adds `bias`, f32 [channels]."""

    bias: Float


@dataclass(frozen=True)
class ReLU:
    """max(v, 0)."""


@dataclass(frozen=True, eq=False)
class PReLU:
    """v where v >= 0, else `slope`·v; f32 [channels]."""

    slope: Float


@dataclass(frozen=True)
class Clip:
    """min(max(v, low), high)."""

    low: float
    high: float


@dataclass(frozen=True)
class Round:
    """The nearest value that 8-bit codes hold: a multiple of a step, at most 255 of them."""

    codes: Codes


@dataclass(frozen=True)
class Add:
    """The sum of two values of the same shape."""


@dataclass(frozen=True)
class Concat:
    """All inputs' channels, one after the other."""


@dataclass(frozen=True)
class PixelShuffle:
    """Channel c·factor² + dy·factor + dx goes to (factor·x + dx, factor·y + dy) of channel c."""

    factor: int


@dataclass(frozen=True)
class Interpolation:
    """Bicubic enlargement: Keys, a = -0.5, half-pixel centres, edges clamped."""

    factor: int


@dataclass(frozen=True, eq=False)
class FusedConv:
    """What one layer of a plan does: act(conv + bias (+ residual)) (+ residual).

    Its inputs are the source and, unless `residual` is "none", the residual, which is added
    "before" or "after" the activation. weight: f32 [cout, cin, k, k], bias: f32 [cout]. codes: what
    convolutions that read its value round it to; who adds it as a residual gets it unrounded.
    """

    weight: Float
    bias: Float
    activation: ReLU | PReLU | Clip | None
    residual: str = "none"
    codes: Codes | None = None


@dataclass(frozen=True)
class Output:
    """The HR luma; nothing comes after it."""


Op = (
    Input
    | Conv
    | Bias
    | ReLU
    | PReLU
    | Clip
    | Round
    | Add
    | Concat
    | PixelShuffle
    | Interpolation
    | FusedConv
    | Output
)
Elementwise = Bias | ReLU | PReLU | Clip | Round


@dataclass(frozen=True)
class Shape:
    """`channels` planes of (magnify·width, magnify·height) for a patch of (width, height)."""

    channels: int
    magnify: int = 1

    def size(self, width: int, height: int) -> tuple[int, int, int]:
        """(channels, rows, columns) for a patch of `width` by `height`."""
        return self.channels, self.magnify * height, self.magnify * width

    def __str__(self) -> str:
        factor = "" if self.magnify == 1 else f"{self.magnify}·"
        return f"{self.channels} × ({factor}width, {factor}height)"


@dataclass(frozen=True)
class Node:
    """An operation and the numbers of the nodes it reads."""

    op: Op
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of `scale`; raises PlanError where it is not a valid one."""

    scale: int
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise PlanError(f"scale {self.scale} of the network is not one of {SCALES}: choose one")
        if not self.nodes or not isinstance(self.nodes[-1].op, Output):
            raise PlanError("the network's graph does not end in an output: add one")
        if sum(isinstance(node.op, Output) for node in self.nodes) > 1:
            raise PlanError("the network's graph has several outputs: keep one")
        planes = [node.op.plane for node in self.nodes if isinstance(node.op, Input)]
        if len(set(planes)) != len(planes):
            raise PlanError(f"the network's graph names an input plane twice ({planes}): name once")
        _ = self.shapes

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of every node's value."""
        shapes: list[Shape] = []
        for node in self.nodes:
            append_shape(shapes, node, self.scale)
        return tuple(shapes)

    @cached_property
    def users(self) -> tuple[tuple[int, ...], ...]:
        """The nodes that read each node's value; twice where they read it twice."""
        users: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            for value in node.inputs:
                users[value].append(number)
        return tuple(tuple(found) for found in users)


class GraphBuilder:
    """Collects nodes; `add` gives the number of the new one, `build` the verified graph."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.shapes: list[Shape] = []
        self._nodes: list[Node] = []

    def add(self, op: Op, *inputs: int) -> int:
        """Append a node and return its number; raises PlanError where it does not fit."""
        node = Node(op, inputs)
        append_shape(self.shapes, node, self.scale)
        self._nodes.append(node)
        return len(self._nodes) - 1

    def build(self) -> Graph:
        """The graph; raises PlanError where it is not valid."""
        return Graph(self.scale, tuple(self._nodes))


def append_shape(shapes: list[Shape], node: Node, scale: int) -> None:
    """Append the shape of the next node's value; raises PlanError where the node does not fit."""
    number = len(shapes)
    for value in node.inputs:
        if not 0 <= value < number:
            raise _wrong(number, node.op, f"reads node {value}, which is not before it")
    shapes.append(_infer(number, node.op, [shapes[value] for value in node.inputs], scale))


def conv_weight(op: Conv) -> Float:
    """The weights that `op` multiplies with: with its gain, where it has one."""
    if op.gain is None:
        return op.weight
    rows = op.weight.reshape(len(op.weight), -1)
    # A row of zeros stays one: there is no direction to give a length to.
    norm = np.maximum(np.linalg.norm(rows, axis=1), np.finfo(np.float32).tiny)
    return np.asarray(op.weight * (op.gain / norm).reshape(-1, 1, 1, 1), dtype=np.float32)


def _wrong(number: int, op: Op, wrong: str) -> PlanError:
    return PlanError(f"node {number} ({type(op).__name__}) of the network's graph {wrong}")


def _infer(number: int, op: Op, inputs: Sequence[Shape], scale: int) -> Shape:
    """The shape of `op`'s value; raises PlanError where the op does not fit its inputs."""
    _check_count(number, op, len(inputs))
    if isinstance(op, Input):
        if op.plane not in PLANES:
            raise _wrong(number, op, f"reads plane {op.plane!r}; there are {', '.join(PLANES)}")
        return Shape(scale**2 if op.plane == "plate" else 1)
    first = inputs[0]
    if isinstance(op, Add | Concat):
        return _infer_join(number, op, inputs)
    if isinstance(op, Conv | FusedConv):
        return _infer_conv(number, op, inputs)
    if isinstance(op, PixelShuffle):
        if op.factor < 1 or first.channels % op.factor**2:
            raise _wrong(number, op, f"by {op.factor} does not divide {first.channels} channels")
        return Shape(first.channels // op.factor**2, first.magnify * op.factor)
    if isinstance(op, Interpolation):
        return Shape(first.channels, first.magnify * op.factor)
    if isinstance(op, Output) and first != Shape(1, scale):
        raise _wrong(number, op, f"gets {first}, not {Shape(1, scale)}: plans make the luma only")
    if isinstance(op, Clip) and not op.low <= op.high:
        raise _wrong(number, op, f"clips from {op.low} to {op.high}")
    if isinstance(op, Round) and not 0 <= op.codes.step <= 255:
        raise _wrong(number, op, f"has step {op.codes.step}, not 0 to 255")
    numbers = op.bias if isinstance(op, Bias) else op.slope if isinstance(op, PReLU) else None
    if numbers is not None and numbers.shape != (first.channels,):
        raise _wrong(number, op, f"has numbers {numbers.shape} for {first.channels} channels")
    return first


def _check_count(number: int, op: Op, count: int) -> None:
    if isinstance(op, Concat):
        if not count:
            raise _wrong(number, op, "has no inputs")
        return
    wanted = 0 if isinstance(op, Input) else 2 if isinstance(op, Add) else 1
    if isinstance(op, FusedConv):
        if op.residual not in ("none", "before", "after"):
            raise _wrong(number, op, f"adds its residual {op.residual!r}, not before or after")
        wanted = 1 if op.residual == "none" else 2
    if count != wanted:
        raise _wrong(number, op, f"has {count} inputs, not {wanted}")


def _infer_join(number: int, op: Add | Concat, inputs: Sequence[Shape]) -> Shape:
    if isinstance(op, Add):
        if inputs[0] != inputs[1]:
            raise _wrong(number, op, f"gets {inputs[0]} and {inputs[1]}")
        return inputs[0]
    if len({shape.magnify for shape in inputs}) > 1:
        raise _wrong(number, op, f"gets sizes {', '.join(map(str, inputs))}")
    return Shape(sum(shape.channels for shape in inputs), inputs[0].magnify)


def _infer_conv(number: int, op: Conv | FusedConv, inputs: Sequence[Shape]) -> Shape:
    shape = op.weight.shape
    if len(shape) != 4 or shape[2] != shape[3] or shape[2] not in KERNELS or not shape[0]:
        raise _wrong(number, op, f"has weights {shape}, not (out, in, k, k) with k in {KERNELS}")
    if shape[1] != inputs[0].channels:
        raise _wrong(number, op, f"has weights for {shape[1]} channels and gets {inputs[0]}")
    vector = op.gain if isinstance(op, Conv) else op.bias
    if vector is not None and vector.shape != shape[:1]:
        raise _wrong(number, op, f"has numbers {vector.shape} for {shape[0]} output channels")
    value = Shape(shape[0], inputs[0].magnify)
    if isinstance(op, FusedConv):
        if len(inputs) == 2 and inputs[1] != value:
            raise _wrong(number, op, f"adds {inputs[1]} to {value}")
        if isinstance(op.activation, PReLU) and op.activation.slope.shape != shape[:1]:
            raise _wrong(number, op, f"has {op.activation.slope.shape} slopes on {shape[0]}")
    numbers = (op.weight, vector) if vector is not None else (op.weight,)
    if not all(np.isfinite(each).all() for each in numbers):
        raise _wrong(number, op, "has numbers that are not finite: train it again")
    return value
