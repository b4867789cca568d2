"""A plan as a dense ONNX model, for the rivals that read ONNX.

The model takes `planes` [1, channels, h, w] and gives `hr` [1, 1, scale·h, scale·w]: the plan
without its interpolation base.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.rivals import reads_single_planes
from kernels.plan import Activation, PlanIR


def to_onnx(network: PlanIR, width: int, height: int) -> onnx.ModelProto:
    """The dense float model of `network` for LR frames of `width` × `height`."""
    table = network.table
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    values: list[str] = []
    channels = [table.channels[index] for index in range(len(table.inputs))]
    if len(channels) == 1:
        values.append("planes")
    elif not reads_single_planes(network):
        values += [""] * len(channels)
    else:
        sizes = constant("input_channels", np.array(channels, np.int64))
        values += [f"plane_{name}" for name in table.inputs]
        nodes.append(helper.make_node("Split", ["planes", sizes], values, axis=1))
    all_inputs = tuple(range(len(channels)))
    for index, (layer, numbers) in enumerate(zip(table.layers, network.numbers, strict=True)):
        if layer.sources == all_inputs:
            source = "planes"
        elif len(layer.sources) == 1:
            source = values[layer.sources[0]]
        else:
            source = f"concat_{index}"
            names = [values[value] for value in layer.sources]
            nodes.append(helper.make_node("Concat", names, [source], axis=1))
        pad = layer.kernel // 2
        current = f"conv_{index}"
        weights = [
            constant(f"weight_{index}", numbers.dequantised()),
            constant(f"bias_{index}", numbers.bias.astype(np.float32)),
        ]
        nodes.append(
            helper.make_node(
                "Conv",
                [source, *weights],
                [current],
                kernel_shape=[layer.kernel, layer.kernel],
                pads=[pad] * 4,
            )
        )

        def add_residual(current: str, index: int = index, residual: int | None = None) -> str:
            if residual is None:
                return current
            nodes.append(helper.make_node("Add", [current, values[residual]], [f"sum_{index}"]))
            return f"sum_{index}"

        if not layer.residual_after:
            current = add_residual(current, residual=layer.residual)
        if layer.activation is not Activation.NONE:
            inputs = [current]
            kind = {Activation.RELU: "Relu", Activation.PRELU: "PRelu", Activation.CLIP: "Clip"}
            if layer.activation is Activation.PRELU:
                slopes = numbers.activation.astype(np.float32).reshape(-1, 1, 1)
                inputs.append(constant(f"slope_{index}", slopes))
            elif layer.activation is Activation.CLIP:
                low, high = numbers.activation.astype(np.float32)
                inputs += [constant(f"low_{index}", np.array(low)),
                           constant(f"high_{index}", np.array(high))]  # fmt: skip
            current = f"act_{index}"
            nodes.append(helper.make_node(kind[layer.activation], inputs, [current]))
        if layer.residual_after:
            current = add_residual(current, residual=layer.residual)
        values.append(current)
    nodes.append(
        helper.make_node("DepthToSpace", [values[-1]], ["hr"], blocksize=table.scale, mode="CRD")
    )
    planes_in = helper.make_tensor_value_info(
        "planes", TensorProto.FLOAT, [1, sum(channels), height, width]
    )
    hr_out = helper.make_tensor_value_info(
        "hr", TensorProto.FLOAT, [1, 1, height * table.scale, width * table.scale]
    )
    graph = helper.make_graph(nodes, "crispcast", [planes_in], [hr_out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def to_onnx_int8(network: PlanIR, planes: np.ndarray, folder: str) -> str:
    """The same model quantised to int8 (QDQ, per channel), calibrated on `planes`; its path."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class OneFrame(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.frames = iter([{"planes": planes[None]}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.frames, None)

    source, target = f"{folder}/fp32.onnx", f"{folder}/int8.onnx"
    onnx.save(to_onnx(network, planes.shape[2], planes.shape[1]), source)
    quantize_static(
        source,
        target,
        OneFrame(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return target
