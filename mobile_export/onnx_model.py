"""A plan as an ONNX model of one fixed shape, for NNAPI through ONNX Runtime.

    luma ──┬─ v = (x - 128)/128 ─┬─ Conv ─ Q ─ DQ ─ … ─ Conv ─┐
    previous, plate likewise ────┘                            Add ─ DepthToSpace ─ hr
           └─ border repeated: Slice, Concat ─ Conv ──────────┘

Inputs are planes of codes 0…255, [1, 1, h, w], of the plate its scale² planes [1, scale², h, w]
(channel `dy·scale + dx`, docs/plan-format.md: NNAPI has no op that unshuffles). `hr` is [1, 1,
scale·h, scale·w] in codes, neither rounded nor clamped: who stores it as bytes does both.

DepthToSpace is in DCR mode, the only one of NNAPI. A plan's last layer has CRD's order of channels;
for the one plane that comes out both orders are the same (`dcr_order`).

Two forms: fp32 arithmetic, with codes between the layers where the plan has them; and int8, which
is QDQ: where a plan has codes, its own integers and its own steps, so nothing is calibrated. There
convolutions give 8 bits too, and what is added to them is what convolutions read, not the exact
value. Convolutions whose activation is not ReLU, and the last one, stay in fp32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from kernels.errors import CrispcastError
from kernels.plan import (
    INPUT_CODES,
    Activation,
    Codes,
    Float,
    LayerNumbers,
    LayerSpec,
    PlanIR,
    scale_values,
)
from mobile_export.base import REACH, base_kernel
from mobile_export.selection import Size

OPSET = 17
IR_VERSION = 8
"""Of ONNX 1.12: what ONNX Runtime 1.13 and all later ones for Android read."""


def onnx_model(plan: PlanIR, size: Size, *, int8: bool, facts: dict[str, str]) -> Any:
    """The checked ModelProto; `facts` become its metadata.

    Raises CrispcastError for int8 where the plan has no codes.
    """
    if int8 and not plan.table.coded:
        raise CrispcastError("a plan without codes has no int8 form: encode with --precision int8")
    return (_Int8 if int8 else _Model)(plan, size).build(facts)


def dcr_order(scale: int, planes: int) -> list[int]:
    """Which channel of a CRD shuffle of `planes` planes each channel of a DCR one is."""
    crd = np.arange(planes * scale**2).reshape(planes, scale**2)
    return [int(channel) for channel in crd.T.reshape(-1)]


class _Model:
    """Collects nodes. By value id: `exact` names, and `read`, what convolutions read."""

    def __init__(self, plan: PlanIR, size: Size) -> None:
        self._plan = plan
        self._width, self._height = size
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._exact: list[str] = []
        self._read: list[str] = []
        self._unit: dict[str, np.float32] = {}  # what a step of a value is worth, where not 1

    input_type = TensorProto.FLOAT

    def build(self, facts: dict[str, str]) -> Any:
        plan, scale = self._plan, self._plan.scale
        for name in plan.inputs:
            value, read = self._input(name)
            self._exact.append(value)
            self._read.append(read)
        layers = zip(plan.table.layers, plan.numbers, plan.table.live, strict=True)
        last = len(plan.table.layers) - 1
        for index, (layer, numbers, live) in enumerate(layers):
            if live:
                self._layer(index, layer, numbers, index == last)
            else:
                self._exact.append("")
                self._read.append("")
        total = self._exact[-1]
        if plan.table.bicubic:
            total = self._node("Add", total, self._base(self._exact[0]))
        if scale == 1:
            self._nodes.append(helper.make_node("Identity", [total], ["hr"]))
        else:
            self._nodes.append(
                helper.make_node("DepthToSpace", [total], ["hr"], blocksize=scale, mode="DCR")
            )
        return self._checked(facts)

    def _checked(self, facts: dict[str, str]) -> Any:
        plan, scale = self._plan, self._plan.scale
        width, height = self._width, self._height
        shapes = {n: [1, scale**2 if n == "plate" else 1, height, width] for n in plan.inputs}
        out = [1, 1, scale * height, scale * width]
        graph = helper.make_graph(
            self._used(),
            "crispcast",
            [helper.make_tensor_value_info(n, self.input_type, s) for n, s in shapes.items()],
            [helper.make_tensor_value_info("hr", TensorProto.FLOAT, out)],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        model.producer_name = "crispcast"
        helper.set_model_props(model, facts)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
        return model

    def _used(self) -> list[Any]:
        """The nodes that `hr` depends on; constants that only others read are dropped."""
        wanted, kept = {"hr"}, []
        for node in reversed(self._nodes):
            if node.output[0] in wanted:
                wanted.update(node.input)
                kept.append(node)
        self._constants = {k: c for k, c in self._constants.items() if c.name in wanted}
        return kept[::-1]

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def _constant(self, value: Any) -> str:
        array = np.asarray(value)
        key = f"{array.dtype}{array.shape}{hash(array.tobytes())}"
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"c{len(self._constants)}")
        return str(self._constants[key].name)

    def _input(self, name: str) -> tuple[str, str]:
        """An input plane: its values (code - 128)/128, and what convolutions read."""
        steps = self._node("Sub", name, self._constant(np.float32(128)))
        value = self._node("Mul", steps, self._constant(INPUT_CODES.unit))
        if not self._plan.table.coded:
            return value, value
        self._unit[steps] = INPUT_CODES.unit
        return value, steps

    def _layer(self, index: int, layer: LayerSpec, numbers: LayerNumbers, last: bool) -> None:
        source = self._joined([self._read[value] for value in layer.sources])
        factor = 128 if last else 1
        weight = numbers.dequantised() * (self._unit.get(source, np.float32(1)) * factor)
        bias = numbers.bias.astype(np.float32) * factor
        residual = None if layer.residual is None else self._exact[layer.residual]
        if last:
            weight, bias = weight[self._order], bias[self._order]
            if residual is not None:
                residual = self._node("Mul", residual, self._constant(np.float32(factor)))
            if not self._plan.table.bicubic and not self._bent(layer):
                bias = bias + np.float32(128)
        sums = self._conv(source, weight, bias)
        if residual is not None and not layer.residual_after:
            sums = self._node("Add", sums, residual)
        sums = self._activated(sums, layer, numbers, factor)
        if residual is not None and layer.residual_after:
            sums = self._node("Add", sums, residual)
        if last and not self._plan.table.bicubic and self._bent(layer):
            sums = self._node("Add", sums, self._constant(np.float32(128)))
        self._exact.append(sums)
        self._read.append(sums if layer.codes is None else self._stepped(sums, layer.codes))

    @property
    def _order(self) -> list[int]:
        """Of the last layer's channels; see `dcr_order`."""
        return dcr_order(self._plan.scale, 1)

    def _bent(self, layer: LayerSpec) -> bool:
        """Whether something that is not linear comes after the bias."""
        return layer.activation is not Activation.NONE

    def _joined(self, sources: list[str]) -> str:
        if len(sources) == 1:
            return sources[0]
        joined = self._node("Concat", *sources, axis=1)
        if sources[0] in self._unit:
            self._unit[joined] = self._unit[sources[0]]
        return joined

    def _conv(self, source: str, weight: Float, bias: Float, pads: int | None = None) -> str:
        pad = weight.shape[-1] // 2 if pads is None else pads
        return self._node(
            "Conv",
            source,
            self._constant(np.ascontiguousarray(weight, np.float32)),
            self._constant(np.asarray(bias, np.float32)),
            kernel_shape=list(weight.shape[2:]),
            pads=[pad] * 4,
        )

    def _activated(self, sums: str, layer: LayerSpec, numbers: LayerNumbers, factor: int) -> str:
        if layer.activation is Activation.RELU:
            return self._node("Relu", sums)
        if layer.activation is Activation.PRELU:
            slopes = numbers.activation.astype(np.float32).reshape(1, -1, 1, 1)
            return self._node("PRelu", sums, self._constant(slopes))
        if layer.activation is Activation.CLIP:
            # NNAPI clips to 0…6 and -1…1 only; the smaller and the larger of two it has.
            low, high = numbers.activation.astype(np.float32).reshape(2, 1, 1, 1, 1) * factor
            return self._node(
                "Max", self._node("Min", sums, self._constant(high)), self._constant(low)
            )
        return sums

    def _stepped(self, value: str, codes: Codes) -> str:
        """A value at the nearest of the codes, less their zero and in steps of them.

        The steps are a product of their own: ONNX Runtime makes a convolution between
        DequantizeLinear and QuantizeLinear an int8 one, and rounds its weights for that.
        """
        steps = self._node("Mul", value, self._constant(np.float32(1) / codes.unit))
        grid = self._constant(np.float32(1)), self._constant(np.uint8(codes.zero))
        whole = self._node("QuantizeLinear", steps, *grid)
        read = self._node("DequantizeLinear", whole, *grid)
        self._unit[read] = codes.unit
        return read

    def _base(self, luma: str) -> str:
        """The interpolation base in codes, [1, scale², h, w]."""
        for axis, size in ((2, self._height), (3, self._width)):
            first = self._slice(luma, axis, 0, 1)
            last = self._slice(luma, axis, size - 1, size)
            parts = [first] * REACH + [luma] + [last] * REACH
            luma = self._node("Concat", *parts, axis=axis)
        kernel = base_kernel(self._plan.scale)[self._order] * np.float32(128)
        return self._conv(luma, kernel, np.full(len(kernel), 128, np.float32), 0)

    def _slice(self, value: str, axis: int, start: int, end: int) -> str:
        limits = [self._constant(np.array([limit], np.int64)) for limit in (start, end, axis)]
        return self._node("Slice", value, *limits)


class _Int8(_Model):
    """The QDQ form. `bytes` are names of what is stored, by value id; `codes` what it is."""

    input_type = TensorProto.UINT8

    def __init__(self, plan: PlanIR, size: Size) -> None:
        super().__init__(plan, size)
        self._bytes: dict[str, tuple[str, Codes]] = {}

    def _input(self, name: str) -> tuple[str, str]:
        value = self._known(name, INPUT_CODES)
        return value, value

    def _stepped(self, value: str, codes: Codes) -> str:
        return self._coded(value, codes)

    def _known(self, stored: str, codes: Codes) -> str:
        """The values of stored codes, which a later convolution may read as they are stored."""
        value = self._node("DequantizeLinear", stored, *self._grid(codes))
        self._bytes[value] = (stored, codes)
        return value

    def _coded(self, value: str, codes: Codes) -> str:
        stored = self._node("QuantizeLinear", value, *self._grid(codes))
        return self._known(stored, codes)

    def _grid(self, codes: Codes) -> tuple[str, str]:
        return self._constant(codes.unit), self._constant(np.uint8(codes.zero))

    def _again(self, value: str) -> str:
        """The same values by a DequantizeLinear of their own: each QDQ unit wants one."""
        return self._known(*self._bytes[value]) if value in self._bytes else value

    def _joined(self, sources: list[str]) -> str:
        fresh = [self._again(source) for source in sources]
        if len(fresh) == 1:
            return fresh[0]
        _, codes = self._bytes[sources[0]]
        return self._coded(self._node("Concat", *fresh, axis=1), codes)

    def _layer(self, index: int, layer: LayerSpec, numbers: LayerNumbers, last: bool) -> None:
        if last or layer.codes is None or not self._fits(layer):
            super()._layer(index, layer, numbers, last)
            return
        source = self._joined([self._read[value] for value in layer.sources])
        read = self._plan.table.codes_of(layer.sources[0])
        assert read is not None
        sums = self._byte_conv(source, numbers, read)
        relu = layer.activation is Activation.RELU
        if layer.residual is not None:
            signed = Codes(layer.codes.step, True)
            sums = self._coded(sums, signed)
            sums = self._node("Add", sums, self._again(self._exact[layer.residual]))
        # Codes without a sign end at 0, as ReLU does.
        if relu and layer.codes.signed:
            sums = self._node("Relu", sums)
        value = self._coded(sums, layer.codes)
        self._exact.append(value)
        self._read.append(value)

    def _fits(self, layer: LayerSpec) -> bool:
        """Whether bytes hold all that is wanted of a layer on the way."""
        relu = layer.activation is Activation.RELU
        if layer.residual_after or not (relu or layer.activation is Activation.NONE):
            return False
        added = {later.residual for later in self._plan.table.layers}
        cut = layer.codes is not None and not layer.codes.signed and not relu
        return not (cut and len(self._exact) in added)

    def _byte_conv(self, source: str, numbers: LayerNumbers, read: Codes) -> str:
        scales = scale_values()[numbers.scales]
        units = scales * read.unit
        whole = np.rint(numbers.bias.astype(np.float64) / units)
        bias = np.clip(whole, -(2**31), 2**31 - 1).astype(np.int32)
        pad = numbers.weights.shape[-1] // 2
        return self._node(
            "Conv",
            source,
            self._by_channel(numbers.weights, scales),
            self._by_channel(bias, units),
            kernel_shape=list(numbers.weights.shape[2:]),
            pads=[pad] * 4,
        )

    def _by_channel(self, whole: npt.NDArray[Any], scales: Float) -> str:
        zeros = np.zeros(len(scales), whole.dtype)
        parts = [self._constant(part) for part in (whole, scales.astype(np.float32), zeros)]
        return self._node("DequantizeLinear", *parts, axis=0)
