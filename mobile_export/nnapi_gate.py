"""What NNAPI takes, so that a model runs there whole: our own check, and ONNX Runtime's.

ONNX Runtime leaves to the CPU whatever its NNAPI execution provider does not take, silently, and
every border between the two costs a copy. Its list of ops is in its own package
(`tools/mobile_helpers/nnapi_supported_ops.md`), of the version that is installed; the notes of that
list, and what the provider's sources refuse besides, are rules here: Clip to 0…6 and -1…1 only
(`clip_op_builder.cc`), DepthToSpace in DCR mode only (`depthtospace_op_builder.cc`), constant
weights, constant scales and zero points, constant limits of Slice, and shapes that are fixed.
`check_onnx_model_mobile_usability` reads the same list, but not the notes: it finds nothing wrong
with DepthToSpace in CRD mode.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx

from kernels.errors import CrispcastError

MAX_RANK = 4
_CONSTANT = {
    "Conv": (1, 2),
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "Slice": (1, 2, 3, 4),
}
"""Inputs, by place, that must be constant."""
_CLIPS = ((0.0, 6.0), (-1.0, 1.0))


@cache
def supported_ops() -> frozenset[str]:
    """The ops of the default domain that ONNX Runtime's NNAPI provider takes.

    Raises CrispcastError where ONNX Runtime is missing or does not say.
    """
    found = find_spec("onnxruntime")
    if found is None or found.origin is None:
        raise CrispcastError("NNAPI export needs onnxruntime: pip install 'crispcast[export]'")
    page = Path(found.origin).parent / "tools" / "mobile_helpers" / "nnapi_supported_ops.md"
    try:
        text = page.read_text(encoding="utf-8")
    except OSError:
        raise CrispcastError(
            f"this onnxruntime ({version('onnxruntime')}) has no list of NNAPI's ops: install "
            "one of 1.18 or later"
        ) from None
    return frozenset(re.findall(r"^\|ai\.onnx:(\w+)\|", text, re.MULTILINE))


def check_nnapi(model: Any) -> None:
    """Raise CrispcastError, naming the node, where NNAPI would not take all of a model."""
    for problem in problems(model):
        raise CrispcastError(
            f"NNAPI of ONNX Runtime {version('onnxruntime')} does not take this network: {problem}"
        )


def problems(model: Any) -> list[str]:
    """What NNAPI would not take of a model, in the order of its nodes."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    weights = constants.keys() | {
        node.output[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    found = []
    shapes = {v.name: v.type for v in (*graph.input, *graph.output, *graph.value_info)}
    for name, kind in shapes.items():
        dims = kind.tensor_type.shape.dim
        if not all(dim.WhichOneof("value") == "dim_value" and dim.dim_value > 0 for dim in dims):
            found.append(f"{name} has no fixed shape")
        if len(dims) > MAX_RANK:
            found.append(f"{name} has {len(dims)} dimensions")
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in supported_ops():
            found.append(f"it has no {node.op_type}")
            continue
        for place in _CONSTANT.get(node.op_type, ()):
            if place < len(node.input) and node.input[place] not in weights:
                found.append(f"input {place} of a {node.op_type} is not constant")
        if any(output not in shapes for output in node.output):
            found.append(f"the shape of a {node.op_type} is not known")
        rule = _RULES.get(node.op_type)
        wrong = rule(node, constants) if rule else None
        if wrong:
            found.append(wrong)
    return found


def _depth_to_space(node: Any, constants: dict[str, Any]) -> str | None:
    modes = [a.s.decode() for a in node.attribute if a.name == "mode"]
    return f"DepthToSpace in {modes[0]} mode, not DCR" if modes and modes[0] != "DCR" else None


def _clip(node: Any, constants: dict[str, Any]) -> str | None:
    limits = [
        float(onnx.numpy_helper.to_array(constants[name])) if name in constants else None
        for name in node.input[1:]
    ]
    if tuple(limits) in _CLIPS:
        return None
    return "Clip to other limits than 0…6 and -1…1"


def _conv(node: Any, constants: dict[str, Any]) -> str | None:
    kernel = next((list(a.ints) for a in node.attribute if a.name == "kernel_shape"), [0, 0])
    return None if len(kernel) == 2 else f"Conv over {len(kernel)} dimensions, not 2"


_RULES = {"DepthToSpace": _depth_to_space, "Clip": _clip, "Conv": _conv}


def usability(model: Path) -> bool:
    """Whether ONNX Runtime's own checker would try NNAPI or Core ML on a model's file."""
    from onnxruntime.tools.mobile_helpers.usability_checker import analyze_model

    quiet = logging.getLogger("crispcast.usability")
    quiet.setLevel(logging.ERROR)
    quiet.propagate = False
    return bool(analyze_model(model, skip_optimize=False, logger=quiet))
