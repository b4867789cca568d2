"""LiteRT (TensorFlow Lite) with its XNNPACK delegate: fp32.

The flatbuffer is written here, NHWC, by the schema that the wheel ships.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.rivals import Float, Run, reads_single_planes
from kernels.plan import Activation, PlanIR

NAME = "LiteRT (XNNPACK)"
PRECISIONS = ("fp32",)


def version() -> str:
    """The installed version."""
    import ai_edge_litert

    return str(ai_edge_litert.__version__)


class _Builder:
    """Collects tensors, buffers and operators of one subgraph."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.model.buffers = [schema.BufferT()]

    def tensor(self, shape: tuple[int, ...], data: Any = None, dtype: str = "FLOAT32") -> int:
        tensor = self.schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(self.schema.TensorType, dtype)
        tensor.name = f"t{len(self.graph.tensors)}"
        tensor.buffer = 0
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self, kind: str, inputs: list[int], outputs: list[int], options: Any = None
    ) -> None:
        code = self.schema.OperatorCodeT()
        builtin = getattr(self.schema.BuiltinOperator, kind)
        code.builtinCode = builtin
        code.deprecatedBuiltinCode = min(builtin, 127)
        code.version = 1
        operator = self.schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(code)
        operator.inputs, operator.outputs = inputs, outputs
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, name)
            operator.builtinOptions = options
        self.graph.operators.append(operator)


def _flatbuffer(network: PlanIR, width: int, height: int) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    table = network.table
    build = _Builder(schema)

    def shape(channels: int) -> tuple[int, ...]:
        return (1, height, width, channels)

    counts = [table.channels[index] for index in range(len(table.inputs))]
    planes = build.tensor(shape(sum(counts)))
    build.graph.inputs = [planes]
    values = [planes]
    if len(counts) > 1:
        values = [build.tensor(shape(count)) for count in counts]
        options = schema.SplitVOptionsT()
        options.numSplits = len(counts)
        sizes = build.tensor((len(counts),), np.array(counts, np.int32), "INT32")
        axis = build.tensor((), np.array(3, np.int32), "INT32")
        if reads_single_planes(network):
            build.operator("SPLIT_V", [planes, sizes, axis], values, options)
    for index, (layer, numbers) in enumerate(zip(table.layers, network.numbers, strict=True)):
        if layer.sources == tuple(range(len(counts))):
            source = planes
        elif len(layer.sources) == 1:
            source = values[layer.sources[0]]
        else:
            source = build.tensor(shape(table.input_channels(index)))
            options = schema.ConcatenationOptionsT()
            options.axis = 3
            build.operator("CONCATENATION", [values[v] for v in layer.sources], [source], options)
        kernel = numbers.dequantised().transpose(0, 2, 3, 1)
        weight = build.tensor(kernel.shape, kernel)
        bias = build.tensor((layer.cout,), numbers.bias.astype(np.float32))
        current = build.tensor(shape(layer.cout))
        conv = schema.Conv2DOptionsT()
        conv.padding, conv.strideW, conv.strideH = schema.Padding.SAME, 1, 1
        conv.dilationWFactor = conv.dilationHFactor = 1
        fused = layer.activation is Activation.RELU and layer.residual is None
        if fused:
            conv.fusedActivationFunction = schema.ActivationFunctionType.RELU
        build.operator("CONV_2D", [source, weight, bias], [current], conv)
        if layer.residual is not None and not layer.residual_after:
            total = build.tensor(shape(layer.cout))
            add = schema.AddOptionsT()
            build.operator("ADD", [current, values[layer.residual]], [total], add)
            current = total
        if layer.activation is not Activation.NONE and not fused:
            target = build.tensor(shape(layer.cout))
            if layer.activation is Activation.RELU:
                build.operator("RELU", [current], [target])
            elif layer.activation is Activation.PRELU:
                slopes = numbers.activation.astype(np.float32).reshape(1, 1, -1)
                build.operator("PRELU", [current, build.tensor(slopes.shape, slopes)], [target])
            else:
                raise RuntimeError("LiteRT has no clip with free bounds")
            current = target
        if layer.residual is not None and layer.residual_after:
            total = build.tensor(shape(layer.cout))
            build.operator("ADD", [current, values[layer.residual]], [total], schema.AddOptionsT())
            current = total
        values.append(current)
    hr = build.tensor((1, height * table.scale, width * table.scale, 1))
    shuffle = schema.DepthToSpaceOptionsT()
    shuffle.blockSize = table.scale
    # One channel comes out, so TensorFlow's depth-to-space order is PixelShuffle's.
    build.operator("DEPTH_TO_SPACE", [values[-1]], [hr], shuffle)
    build.graph.outputs = [hr]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(build.model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def prepare(network: PlanIR, planes: Float, threads: int, precision: str) -> Run:
    """An interpreter with the XNNPACK delegate, which is LiteRT's default on a CPU."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(
        model_content=_flatbuffer(network, planes.shape[2], planes.shape[1]), num_threads=threads
    )
    interpreter.allocate_tensors()
    target = interpreter.get_input_details()[0]["index"]
    output = interpreter.get_output_details()[0]["index"]
    interpreter.set_tensor(target, np.ascontiguousarray(planes.transpose(1, 2, 0)[None]))

    def run() -> Float:
        interpreter.invoke()
        return interpreter.get_tensor(output)[0, :, :, 0]  # type: ignore[no-any-return]

    return run
