"""A plan as a Core ML program (MIL), and that as a model package.

    luma ──┬─ x - 128 ─┬─ conv ─ codes ─ … ─ conv ─┐
    previous, plate ───┘                           add ─ round ─ pixel shuffle ─ hr
           └──────── border repeated, conv ────────┘

Inputs and output are planes of codes 0…255, [1, 1, h, w], as grey images or as arrays of fp16; the
plate is HR and unshuffled inside. An image comes out rounded as the runtime rounds, an array as it
is, for the app to round and clamp. Arithmetic is fp16 throughout. Every value is counted in steps
of its own codes (1/128 where it has none): codes are then whole numbers, which fp16 holds exactly,
and need no factor between the layers.

Weights are constant expressions that Core ML unpacks when it loads: where taps are missing, sparse
(a bit mask and what is not zero); on iOS 18 these are the plan's own integers with a scale for each
channel, before it fp16. Codes between layers are what the plan says: on iOS 18 by `quantize` and
`dequantize`, which newer chips run in int8, before it by `round` and `clip`.
Ops: the MIL documentation of coremltools 9, opsets iOS 16 to 18.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

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
from mobile_export.coreml_tools import coremltools, quietly
from mobile_export.selection import Size

Half = npt.NDArray[np.float16]
_FEW = 16
"""Weights of a layer below which they are plain: smaller ones stand in the program itself."""


class Target(Enum):
    """The oldest system that a model runs on, by its coremltools name."""

    IOS16 = "iOS16"
    IOS18 = "iOS18"


@dataclass(frozen=True)
class Form:
    """How models are written. `image`: features are grey images, else arrays. `sparse`: as above;
    without it all weights are dense fp16, to compare with.
    """

    target: Target
    image: bool = True
    sparse: bool = True


def model_of(plan: PlanIR, shapes: tuple[Size, ...], form: Form) -> Any:
    """The coremltools MLModel of a plan for LR frames of these sizes; several are enumerated.

    Before iOS 18 one input only may have several: raises ValueError for more.
    """
    ct = coremltools()
    program = _Builder(plan, shapes, form).program()
    inputs = [_feature(name, _sides(plan, name, shapes), form) for name in plan.inputs]
    program.functions["main"].set_output_types(
        [
            ct.ImageType(name="hr", color_layout=ct.colorlayout.GRAYSCALE)
            if form.image
            else ct.TensorType(name="hr", dtype=np.float16)
        ]
    )
    # No pass: the program is what is written here, and says so to whoever reads it back.
    with quietly():
        return ct.convert(
            program,
            convert_to="mlprogram",
            inputs=inputs,
            minimum_deployment_target=ct.target[form.target.value],
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )


def _sides(plan: PlanIR, name: str, shapes: tuple[Size, ...]) -> list[tuple[int, int, int, int]]:
    factor = plan.scale if name == "plate" else 1
    return [(1, 1, factor * height, factor * width) for width, height in shapes]


def _feature(name: str, sides: list[tuple[int, int, int, int]], form: Form) -> Any:
    ct = coremltools()
    shape = ct.Shape(sides[0])
    if len(sides) > 1:
        shape = ct.EnumeratedShapes(shapes=sides, default=sides[0])
    if form.image:
        return ct.ImageType(name=name, shape=shape, color_layout=ct.colorlayout.GRAYSCALE)
    return ct.TensorType(name=name, shape=shape, dtype=np.float16)


class _Short:
    """The MIL builder with short names and every small constant written once.

    Of a small model they weigh most: the program of a plate network is a third smaller for it.
    """

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        self._count = 0
        self._constants: dict[tuple[str, bytes], Any] = {}

    def __getattr__(self, op: str) -> Any:
        def add(**arguments: Any) -> Any:
            if not op.startswith("constexpr_"):
                arguments = {
                    name: self._shared(value) if name != "name" and _small(value) else value
                    for name, value in arguments.items()
                }
            return getattr(self._builder, op)(**{"name": self._name(), **arguments})

        return add

    def _shared(self, value: Any) -> Any:
        found = np.asarray(value)
        key = (str(found.dtype) + str(found.shape), found.tobytes())
        if key not in self._constants:
            self._constants[key] = self._builder.const(val=value, name=self._name())
        return self._constants[key]

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _small(value: Any) -> bool:
    """Whether a value is a number, a word, or an axis, size or padding."""
    if isinstance(value, np.ndarray):
        return value.dtype == np.int32 and value.size <= 4
    return isinstance(value, (np.generic, str))


class _Builder:
    """Writes the ops of one plan.

    Values, by value id, are in steps of their `units`: `exact`, and `read`, what convolutions read.
    """

    def __init__(self, plan: PlanIR, shapes: tuple[Size, ...], form: Form) -> None:
        from coremltools.converters.mil import Builder

        self._mb: Any = _Short(Builder)
        self._plan = plan
        self._shapes = shapes
        self._form = form
        self._exact: list[Any] = []
        self._read: list[Any] = []
        self._units: list[np.float32] = []
        residuals = {layer.residual for layer in plan.table.layers}
        self._residuals = {value for value in residuals if value is not None}

    def program(self) -> Any:
        from coremltools.converters.mil.mil import Builder, Function, Program, get_new_symbol, types

        fixed = len(self._shapes) == 1
        width, height = self._shapes[0] if fixed else (get_new_symbol(), get_new_symbol())
        inputs = {}
        for name in self._plan.inputs:
            factor = self._plan.scale if name == "plate" else 1
            shape = (1, 1, factor * height, factor * width)
            if not fixed and factor > 1:
                shape = (1, 1, get_new_symbol(), get_new_symbol())  # a product is no symbol to it
            inputs[name] = Builder.TensorSpec(shape=shape, dtype=types.fp16)
        target = coremltools().target[self._form.target.value]
        with Function(inputs, target) as function:
            function.set_outputs([self._network(function.inputs)])
        program = Program()
        program.add_function("main", function)
        return program

    def _network(self, planes: dict[str, Any]) -> Any:
        mb, plan = self._mb, self._plan
        for name in plan.inputs:
            plane = planes[name]
            if name == "plate" and plan.scale > 1:
                plane = mb.pixel_unshuffle(x=plane, downscale_factor=np.uint32(plan.scale))
            self._keep(mb.add(x=plane, y=np.float16(-128)), INPUT_CODES.unit, None)
        layers = zip(plan.table.layers, plan.numbers, plan.table.live, strict=True)
        for layer, numbers, live in layers:
            if live:
                self._layer(layer, numbers)
            else:
                self._keep(None, INPUT_CODES.unit, None)
        total = self._exact[-1]
        if plan.table.bicubic:
            total = mb.add(x=total, y=self._base(self._exact[0]))
        if self._form.image:
            # floor(128·v + 1/2) + 128 is `kernels.reference.round_codes`; fp16 holds the sum.
            total = mb.floor(x=mb.add(x=total, y=np.float16(0.5)))
            total = mb.clip(x=total, alpha=np.float16(-128), beta=np.float16(127))
        if plan.scale == 1:
            return mb.add(x=total, y=np.float16(128), name="hr")
        codes = mb.add(x=total, y=np.float16(128))
        return mb.pixel_shuffle(x=codes, upscale_factor=np.int32(plan.scale), name="hr")

    def _keep(self, value: Any, unit: np.float32, codes: Codes | None) -> None:
        self._exact.append(value)
        self._read.append(value if codes is None else self._rounded(value, codes))
        self._units.append(unit)

    def _base(self, luma: Any) -> Any:
        pads = np.full(4, REACH, np.int32)
        padded = self._mb.pad(x=luma, pad=pads, mode="replicate", constant_val=np.float16(0))
        kernel = base_kernel(self._plan.scale).astype(np.float16)
        return self._conv(padded, self._mb.const(val=kernel), "valid")

    def _layer(self, layer: LayerSpec, numbers: LayerNumbers) -> None:
        mb, codes = self._mb, layer.codes
        unit = INPUT_CODES.unit if codes is None else codes.unit
        sources = [self._read[value] for value in layer.sources]
        source = (
            sources[0]
            if len(sources) == 1
            else mb.concat(values=sources, axis=np.int32(1), interleave=np.bool_(False))
        )
        scales = scale_values()[numbers.scales] * (self._units[layer.sources[0]] / unit)
        bias = (numbers.bias.astype(np.float32) / unit).astype(np.float16)
        sums = self._conv(source, self._weight(numbers, scales), "same", bias)
        if layer.residual is not None and not layer.residual_after:
            sums = mb.add(x=sums, y=self._residual(layer.residual, unit))
        # Codes without a sign end at 0 as ReLU does; only who adds the exact value sees more.
        implied = codes is not None and not codes.signed and layer.residual is None
        read_only = len(self._exact) not in self._residuals
        if layer.activation is Activation.RELU and not (implied and read_only):
            sums = mb.relu(x=sums)
        elif layer.activation is Activation.PRELU:
            sums = mb.prelu(x=sums, alpha=numbers.activation)
        elif layer.activation is Activation.CLIP:
            low, high = (numbers.activation.astype(np.float32) / unit).astype(np.float16)
            sums = mb.clip(x=sums, alpha=low, beta=high)
        if layer.residual is not None and layer.residual_after:
            sums = mb.add(x=sums, y=self._residual(layer.residual, unit))
        self._keep(sums, unit, codes)

    def _residual(self, value: int, unit: np.float32) -> Any:
        """The exact value, in steps of `unit`."""
        ratio = np.float16(self._units[value] / unit)
        return self._exact[value] if ratio == 1 else self._mb.mul(x=self._exact[value], y=ratio)

    def _rounded(self, steps: Any, codes: Codes) -> Any:
        """The nearest codes, less their zero; halves to even."""
        mb = self._mb
        if self._form.target is Target.IOS18:
            form = {"zero_point": np.uint8(codes.zero), "scale": np.float16(1)}
            whole = mb.quantize(input=steps, output_dtype="uint8", **form)
            return mb.dequantize(input=whole, **form)
        low, high = np.float16(-codes.zero), np.float16(255 - codes.zero)
        return mb.clip(x=mb.round(x=steps), alpha=low, beta=high)

    def _conv(self, source: Any, weight: Any, pad_type: str, bias: Half | None = None) -> Any:
        return self._mb.conv(
            x=source,
            weight=weight,
            pad_type=pad_type,
            strides=np.ones(2, np.int32),
            dilations=np.ones(2, np.int32),
            pad=np.zeros(4, np.int32),
            groups=np.int32(1),
            **({} if bias is None else {"bias": self._mb.const(val=bias)}),
        )

    def _weight(self, numbers: LayerNumbers, scales: Float) -> Any:
        """A layer's integers times `scales` [cout] as a constant expression."""
        whole = numbers.weights
        mb = self._mb
        dense = (whole * scales.reshape(-1, 1, 1, 1)).astype(np.float16)
        mask = whole != 0
        pruned = not numbers.taps.all()
        if not self._form.sparse or (mask.sum() if pruned else mask.size) < _FEW:
            return mb.const(val=dense)
        halves = scales.astype(np.float16)
        if self._form.target is Target.IOS16:
            if not pruned:
                return mb.constexpr_affine_dequantize(
                    quantized_data=whole, zero_point=np.int8(0), scale=halves, axis=np.int32(0)
                )
            return mb.constexpr_sparse_to_dense(
                nonzero_data=dense[mask],
                mask=np.packbits(mask, bitorder="little"),
                shape=np.array(whole.shape, np.uint32),
            )
        by_channel = halves.reshape(-1, 1, 1, 1)
        if not pruned:
            return mb.constexpr_blockwise_shift_scale(data=whole, scale=by_channel)
        from coremltools.converters.mil.mil.types import np_uint1_dtype

        bits, values = mb.constexpr_sparse_blockwise_shift_scale(
            data_mask=mask.astype(np_uint1_dtype), nonzero_data=whole[mask], scale=by_channel
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=bits)
