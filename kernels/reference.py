"""The reference executor: numpy code that defines what every op computes, on whole frames.

Runs a `Graph` or a decoded `PlanIR` on u8 planes. The runtime must agree with it to one code value.
Sums are in single precision and in no particular order, which is all that may differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kernels import graph as ir
from kernels.errors import PlanError
from kernels.plan import PLANES, Activation, Codes, Float, PlanIR, Uint8, scale_values

# Samples of a plane that one matrix product covers: few products, but not all taps of a whole frame
# in memory at once.
_STRETCH = 16384


def run_plan(
    plan: PlanIR, luma: Uint8, previous: Uint8 | None = None, plate: Uint8 | None = None
) -> Uint8:
    """The HR luma, u8 [scale·h, scale·w], that `plan` makes of a frame.

    luma, previous: u8 [h, w]; an absent previous is the luma. plate: u8 [scale·h, scale·w]; an
    absent one is 128 everywhere. Planes that the plan does not declare are ignored.
    Raises PlanError where sizes do not agree.
    """
    return round_codes(run_plan_float(plan, luma, previous, plate))


def run_plan_float(
    plan: PlanIR, luma: Uint8, previous: Uint8 | None = None, plate: Uint8 | None = None
) -> Float:
    """As `run_plan`, before rounding: f32 [scale·h, scale·w], (code - 128) / 128."""
    planes = _planes(plan.scale, luma, previous, plate)
    if plan.table.coded:
        return _run_codes(plan, planes)
    values = [planes[name] for name in plan.inputs]
    for spec, numbers in zip(plan.table.layers, plan.numbers, strict=True):
        source = np.concatenate([values[value] for value in spec.sources])
        sums = convolve(source, numbers.dequantised())
        sums += numbers.bias.astype(np.float32).reshape(-1, 1, 1)
        if spec.residual is not None and not spec.residual_after:
            sums += values[spec.residual]
        sums = _activate(spec.activation, numbers.activation.astype(np.float32), sums)
        if spec.residual is not None and spec.residual_after:
            sums = sums + values[spec.residual]
        values.append(sums)
    return _finish(plan, values[-1], planes)


def _run_codes(plan: PlanIR, planes: Mapping[str, Float]) -> Float:
    """A plan whose values are codes, here less their zero: whole numbers in single precision.

    Sums over codes are exact, and what follows is rounded after each step in this order, so that
    every runtime gives the same bits up to the last layer. Residuals are what was not yet rounded.
    """
    exact = [planes[name] for name in plan.inputs]
    values = [planes[name] * np.float32(128) for name in plan.inputs]
    for spec, numbers in zip(plan.table.layers, plan.numbers, strict=True):
        source = np.concatenate([values[value] for value in spec.sources])
        codes = plan.table.codes_of(spec.sources[0])
        assert codes is not None
        units = (scale_values()[numbers.scales] * codes.unit).reshape(-1, 1, 1)
        sums = convolve(source, numbers.weights.astype(np.float32)) * units
        sums += numbers.bias.astype(np.float32).reshape(-1, 1, 1)
        if spec.residual is not None and not spec.residual_after:
            sums += exact[spec.residual]
        sums = _activate(spec.activation, numbers.activation.astype(np.float32), sums)
        if spec.residual is not None and spec.residual_after:
            sums = sums + exact[spec.residual]
        exact.append(sums)
        values.append(sums if spec.codes is None else _steps(sums, spec.codes))
    return _finish(plan, values[-1], planes)


def _finish(plan: PlanIR, values: Float, planes: Mapping[str, Float]) -> Float:
    out = shuffle(values, plan.scale)
    if plan.table.bicubic:
        out = out + enlarge(planes["luma"], plan.scale)
    return np.asarray(out[0])


def _steps(values: Float, codes: Codes) -> Float:
    """The codes nearest to `values`, halves to even, less their zero."""
    steps = np.rint(values * (np.float32(1) / codes.unit))
    return np.asarray(np.clip(steps, -codes.zero, 255 - codes.zero), dtype=np.float32)


def run_graph(
    graph: ir.Graph, luma: Uint8, previous: Uint8 | None = None, plate: Uint8 | None = None
) -> Uint8:
    """As `run_plan`, of a graph."""
    return round_codes(run_graph_float(graph, luma, previous, plate))


def run_graph_float(
    graph: ir.Graph, luma: Uint8, previous: Uint8 | None = None, plate: Uint8 | None = None
) -> Float:
    """As `run_plan_float`, of a graph."""
    planes = _planes(graph.scale, luma, previous, plate)
    values: list[Float] = []
    read: list[Float] = []  # as convolutions read them
    for node in graph.nodes:
        inputs = [(read if place == 0 else values)[v] for place, v in enumerate(node.inputs)]
        if isinstance(node.op, ir.Concat):
            inputs = [read[value] for value in node.inputs]
        elif isinstance(node.op, ir.Add):
            inputs = [values[value] for value in node.inputs]
        found = _run_op(node.op, inputs, planes)
        values.append(found)
        codes = node.op.codes if isinstance(node.op, ir.FusedConv) else None
        read.append(found if codes is None else _steps(found, codes) * codes.unit)
    return np.asarray(values[-1][0])


def interpolate(plane: Uint8, scale: int) -> Uint8:
    """What expert 0 and chroma get: `plane` u8 [h, w] enlarged to u8 [scale·h, scale·w]."""
    return round_codes(enlarge(to_values(plane)[None], scale)[0])


def to_values(plane: Uint8) -> Float:
    """(u8 - 128) / 128."""
    return (plane.astype(np.float32) - np.float32(128)) / np.float32(128)


def round_codes(values: Float) -> Uint8:
    """clamp(floor(128·v + 128 + 0.5), 0, 255)."""
    codes = np.floor(np.float32(128) * values + np.float32(128.5))
    return np.asarray(np.clip(codes, 0, 255), dtype=np.uint8)


def unshuffle(plate: Uint8, scale: int) -> Float:
    """A plate u8 [scale·h, scale·w] as f32 [scale², h, w]; channel dy·scale + dx."""
    height, width = plate.shape[0] // scale, plate.shape[1] // scale
    split = to_values(plate).reshape(height, scale, width, scale)
    return np.ascontiguousarray(split.transpose(1, 3, 0, 2).reshape(scale**2, height, width))


def shuffle(values: Float, factor: int) -> Float:
    """[c·factor², h, w] to [c, factor·h, factor·w]; channel c·factor² + dy·factor + dx."""
    channels, height, width = values.shape
    split = values.reshape(channels // factor**2, factor, factor, height, width)
    out = split.transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(out.reshape(-1, factor * height, factor * width))


def convolve(source: Float, weight: Float) -> Float:
    """Cross-correlation of [cin, h, w] with [cout, cin, k, k], zero padding, f32 [cout, h, w]."""
    kernel = weight.shape[-1]
    radius = kernel // 2
    channels, height, width = source.shape
    padded = np.pad(source, ((0, 0), (radius, radius), (radius, radius)))
    # Rows of the padded planes laid end to end: a tap is then one shift of the whole plane, and
    # what wraps around lands in the 2·radius columns that are cut off at the end.
    pitch = width + 2 * radius
    flat = padded.reshape(channels, -1)
    length = height * pitch - 2 * radius
    sums = np.zeros((len(weight), height * pitch), np.float32)
    shifts = [y * pitch + x for y in range(kernel) for x in range(kernel)]
    matrix = np.ascontiguousarray(weight.transpose(0, 2, 3, 1).reshape(len(weight), -1))
    for start in range(0, length, _STRETCH):
        stop = min(start + _STRETCH, length)
        columns = np.concatenate([flat[:, start + shift : stop + shift] for shift in shifts])
        sums[:, start:stop] = matrix @ columns
    return np.ascontiguousarray(sums.reshape(len(weight), height, pitch)[:, :, :width])


def enlarge(values: Float, scale: int) -> Float:
    """Bicubic interpolation of [c, h, w] to [c, scale·h, scale·w] (Keys 1981, a = -0.5)."""
    return _enlarge_axis(_enlarge_axis(values, scale, 2), scale, 1)


def _enlarge_axis(values: Float, scale: int, axis: int) -> Float:
    size = values.shape[axis]
    place = (np.arange(scale * size) + 0.5) / scale - 0.5
    whole = np.floor(place).astype(np.int64)
    shape = [1, 1, 1]
    shape[axis] = -1
    out = np.zeros((), np.float32)
    for tap in range(-1, 3):
        weight = _keys(place - whole - tap).astype(np.float32).reshape(shape)
        out = out + np.take(values, np.clip(whole + tap, 0, size - 1), axis) * weight
    return np.asarray(out, dtype=np.float32)


def _keys(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _planes(
    scale: int, luma: Uint8, previous: Uint8 | None, plate: Uint8 | None
) -> dict[str, Float]:
    if luma.ndim != 2 or 0 in luma.shape:
        raise PlanError(f"a luma plane of shape {luma.shape}, not (h, w): give one plane")
    if previous is None:
        previous = luma
    if plate is None:
        plate = np.full((scale * luma.shape[0], scale * luma.shape[1]), 128, np.uint8)
    if previous.shape != luma.shape:
        raise PlanError(f"a previous luma of shape {previous.shape} beside {luma.shape}")
    if plate.shape != (scale * luma.shape[0], scale * luma.shape[1]):
        raise PlanError(
            f"a plate of shape {plate.shape} beside a luma of {luma.shape} at scale {scale}: "
            "it must be scale times as large"
        )
    found = (to_values(luma)[None], to_values(previous)[None], unshuffle(plate, scale))
    return dict(zip(PLANES, found, strict=True))


def _activate(kind: Activation, numbers: Float, values: Float) -> Float:
    if kind is Activation.RELU:
        return np.asarray(np.maximum(values, np.float32(0)))
    if kind is Activation.PRELU:
        return np.where(values >= 0, values, values * numbers.reshape(-1, 1, 1))
    if kind is Activation.CLIP:
        return np.asarray(np.minimum(np.maximum(values, numbers[0]), numbers[1]))
    return values


def _run_op(op: ir.Op, inputs: list[Float], planes: Mapping[str, Float]) -> Float:
    match op:
        case ir.Input():
            return planes[op.plane]
        case ir.Conv():
            return convolve(inputs[0], ir.conv_weight(op))
        case ir.Bias():
            return inputs[0] + op.bias.reshape(-1, 1, 1)
        case ir.ReLU() | ir.PReLU() | ir.Clip():
            return _run_activation(op, inputs[0])
        case ir.Round():
            return _steps(inputs[0], op.codes) * op.codes.unit
        case ir.Add():
            return inputs[0] + inputs[1]
        case ir.Concat():
            return np.concatenate(inputs)
        case ir.PixelShuffle():
            return shuffle(inputs[0], op.factor)
        case ir.Interpolation():
            return enlarge(inputs[0], op.factor)
        case ir.FusedConv():
            return _run_fused(op, inputs)
        case ir.Output():
            return inputs[0]


def _run_activation(op: ir.ReLU | ir.PReLU | ir.Clip | None, values: Float) -> Float:
    match op:
        case ir.ReLU():
            return _activate(Activation.RELU, np.zeros(0, np.float32), values)
        case ir.PReLU():
            return _activate(Activation.PRELU, op.slope, values)
        case ir.Clip():
            return _activate(Activation.CLIP, np.array([op.low, op.high], np.float32), values)
        case None:
            return values


def _run_fused(op: ir.FusedConv, inputs: list[Float]) -> Float:
    sums = convolve(inputs[0], op.weight) + op.bias.reshape(-1, 1, 1)
    if op.residual == "before":
        sums = sums + inputs[1]
    sums = _run_activation(op.activation, sums)
    return sums + inputs[1] if op.residual == "after" else sums
