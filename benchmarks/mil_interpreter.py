"""Reads a Core ML model package back and runs its program op by op, in numpy.

Core ML runs on Apple's systems only, so what an export holds is proved here: the program is taken
from the package's protobuf, its weights from the package's own blob file (version 2: a header of 64
bytes; at a value's offset a record of 64: sentinel, type, bytes, offset of the data), and every op
does what the MIL documentation says of it. Tensors are stored in fp16 after each op and sums of
convolutions are in single precision before that, as on Apple's GPUs; what the Neural Engine does
inside a sum is not documented.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from kernels.reference import convolve, shuffle
from mobile_export.coreml_tools import coremltools

SENTINEL = 0xDEADBEEF
BLOB_TYPES = {1: np.float16, 2: np.float32, 3: np.uint8, 4: np.int8}
UINT1 = 9
TYPES = {
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "UINT32": np.uint32,
    "UINT1": np.uint8,
    "BOOL": np.bool_,
}


class ModelPackage:
    """An .mlpackage: its spec, and each function of its program as a callable."""

    def __init__(self, path: Path) -> None:
        manifest = json.loads((path / "Manifest.json").read_text())
        root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        self.spec = coremltools().proto.Model_pb2.Model()
        self.spec.ParseFromString((path / "Data" / root).read_bytes())
        self.blob = b""
        weights = path / "Data" / Path(root).parent / "weights" / "weight.bin"
        if weights.exists():
            self.blob = weights.read_bytes()
        self.ops_run: set[str] = set()

    def ops(self) -> set[str]:
        """Kinds of all ops of all functions."""
        program = self.spec.mlProgram
        return {
            operation.type
            for function in program.functions.values()
            for block in function.block_specializations.values()
            for operation in block.operations
        }

    def run(self, planes: dict[str, np.ndarray], function: str = "main") -> np.ndarray:
        """The output of a function for planes of codes [h, w]: f32 [scale·h, scale·w]."""
        program = self.spec.mlProgram.functions[function]
        block = program.block_specializations[program.opset]
        values: dict[str, Any] = {}
        for given in program.inputs:
            values[given.name] = planes[given.name].astype(np.float16)[None, None]
        assert set(planes) == set(values)
        for operation in block.operations:
            arguments = {name: self._argument(a, values) for name, a in operation.inputs.items()}
            for name, value in operation.attributes.items():
                if name != "name":
                    arguments[name] = self._value(value)
            results = run_op(operation.type, arguments)
            self.ops_run.add(operation.type)
            for output, result in zip(operation.outputs, results, strict=True):
                values[output.name] = result
        (name,) = block.outputs
        made: np.ndarray = values[name][0, 0].astype(np.float32)
        return made

    def _argument(self, argument: Any, values: dict[str, Any]) -> Any:
        found = [
            values[b.name] if b.WhichOneof("binding") == "name" else self._value(b.value)
            for b in argument.arguments
        ]
        return found[0] if len(found) == 1 else found

    def _value(self, value: Any) -> Any:
        tensor = value.type.tensorType
        shape = [int(d.constant.size) for d in tensor.dimensions]
        names = coremltools().proto.MIL_pb2.DataType
        kind = names.Name(tensor.dataType)
        if value.WhichOneof("value") == "blobFileValue":
            assert value.blobFileValue.fileName == "@model_path/weights/weight.bin"
            return self._from_blob(value.blobFileValue.offset, kind).reshape(shape)
        plain = value.immediateValue.tensor
        form = plain.WhichOneof("value")
        if form == "strings":
            return plain.strings.values[0]
        found: np.ndarray
        if form == "bytes":
            found = np.frombuffer(plain.bytes.values, TYPES[kind])
        else:
            found = np.array(list(getattr(plain, form).values), TYPES[kind])
        return found.reshape(shape)

    def _from_blob(self, offset: int, kind: str) -> np.ndarray:
        count, version = struct.unpack_from("<II", self.blob)
        assert version == 2
        assert count > 0
        sentinel, code, size, start = struct.unpack_from("<IIQQ", self.blob, offset)
        assert sentinel == SENTINEL
        data = self.blob[start : start + size]
        assert len(data) == size
        if code == UINT1:
            unused = struct.unpack_from("<Q", self.blob, offset + 24)[0]
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return bits[: len(bits) - unused]
        assert BLOB_TYPES[code] == TYPES[kind]
        return np.frombuffer(data, BLOB_TYPES[code])


def half(value: np.ndarray) -> np.ndarray:
    return np.asarray(value).astype(np.float16)


def run_op(kind: str, a: dict[str, Any]) -> list[Any]:
    """The outputs of one op of the MIL opsets iOS 16 to 18."""
    x: Any = a.get("x")
    match kind:
        case "const":
            return [a["val"]]
        case "constexpr_sparse_to_dense" if "shape" in a:
            mask = np.unpackbits(a["mask"], bitorder="little")[: int(np.prod(a["shape"]))]
            return [from_mask(mask.reshape(a["shape"]), a["nonzero_data"])]
        case "constexpr_sparse_to_dense":
            return [from_mask(a["mask"], a["nonzero_data"])]
        case "constexpr_affine_dequantize":
            whole = a["quantized_data"]
            scale = np.reshape(a["scale"], [-1] + [1] * (whole.ndim - 1))
            assert int(a["axis"]) == 0
            return [half(scale * (whole.astype(np.float16) - a["zero_point"].astype(np.float16)))]
        case "constexpr_blockwise_shift_scale":
            return [half(a["data"].astype(np.float16) * a["scale"])]
        case "constexpr_sparse_blockwise_shift_scale":
            whole = from_mask(a["data_mask"], a["nonzero_data"])
            values = half(whole.astype(np.float16) * a["scale"])
            return [a["data_mask"], values[a["data_mask"] != 0]]
        case "linear_activation":
            return [half(x * a["alpha"] + a["beta"])]
        case "add":
            return [half(x + a["y"])]
        case "mul":
            return [half(x * a["y"])]
        case "relu":
            return [np.maximum(x, np.float16(0))]
        case "prelu":
            slope = np.reshape(a["alpha"], (1, -1, 1, 1))
            return [np.where(x >= 0, x, half(x * slope))]
        case "clip":
            return [np.minimum(np.maximum(x, a["alpha"]), a["beta"])]
        case "round":
            return [np.rint(x)]
        case "floor":
            return [np.floor(x)]
        case "quantize":
            steps = np.rint(a["input"].astype(np.float32) / np.float32(a["scale"]))
            assert a["output_dtype"] == "uint8"
            codes = steps + a["zero_point"].astype(np.float32)
            return [np.clip(codes, 0, 255).astype(np.uint8)]
        case "dequantize":
            whole = a["input"].astype(np.float16) - a["zero_point"].astype(np.float16)
            return [half(whole * a["scale"])]
        case "concat":
            assert not a.get("interleave", False)
            return [np.concatenate(a["values"], axis=int(a["axis"]))]
        case "pad":
            assert a["mode"] == "replicate"
            top, bottom, left, right = a["pad"].tolist()
            sides = ((0, 0), (0, 0), (top, bottom), (left, right))
            return [np.pad(x, sides, mode="edge")]
        case "pixel_shuffle":
            return [shuffle(x[0], int(a["upscale_factor"]))[None]]
        case "pixel_unshuffle":
            factor = int(a["downscale_factor"])
            channels, height, width = x[0].shape
            parts = x[0].reshape(channels, height // factor, factor, width // factor, factor)
            moved = parts.transpose(0, 2, 4, 1, 3)
            return [moved.reshape(1, -1, height // factor, width // factor)]
        case "conv":
            return [run_conv(a)]
    raise NotImplementedError(f"no op {kind}")


def from_mask(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask != 0] = values
    return dense


def run_conv(a: dict[str, Any]) -> np.ndarray:
    assert a["strides"].tolist() == [1, 1]
    assert a["dilations"].tolist() == [1, 1]
    assert int(a["groups"]) == 1
    assert a["pad_type"] in ("same", "valid")
    weight = a["weight"].astype(np.float32)
    sums = convolve(a["x"][0].astype(np.float32), weight)
    if a["pad_type"] == "valid":
        cut = weight.shape[-1] // 2
        sums = sums[:, cut : sums.shape[1] - cut, cut : sums.shape[2] - cut]
    if "bias" in a:
        sums = sums + np.reshape(a["bias"].astype(np.float32), (-1, 1, 1))
    return half(sums)[None]
