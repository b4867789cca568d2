"""How each torch operation becomes nodes of a `Graph`. Imports torch, so only while importing."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kernels import graph as ir
from kernels.errors import PlanError
from kernels.plan import KERNELS, Codes, Float

if TYPE_CHECKING:
    import torch
    from torch import fx, nn

LEAVES = (
    "Conv2d",
    "ReLU",
    "ReLU6",
    "PReLU",
    "LeakyReLU",
    "Hardtanh",
    "PixelShuffle",
    "Identity",
    "Dropout",
    "Dropout2d",
)
"""Names of the torch.nn modules that are taken as one operation."""

_LARGEST = float(np.finfo(np.float16).max)


class Importer:
    """Adds the nodes of a traced network to a graph, one fx node at a time."""

    def __init__(self, root: nn.Module, builder: ir.GraphBuilder) -> None:
        self._root = root
        self._builder = builder
        self._values: Mapping[fx.Node, int] = {}

    def add(self, node: fx.Node, values: Mapping[fx.Node, int]) -> int:
        """The number of the graph's node for `node`; `values` has those of the nodes before it.

        Raises PlanError naming the module and the operation where it is not supported.
        """
        self._values = values
        if node.op == "call_module":
            return self._module(node, self._root.get_submodule(str(node.target)))
        if node.op in ("call_function", "call_method"):
            return self._function(node)
        raise self._refuse(node, "parameters used outside of a supported module")

    def _module(self, node: fx.Node, module: nn.Module) -> int:
        from torch import nn

        if getattr(module, "crispcast_op", None) == "interpolation":
            return self._builder.add(
                ir.Interpolation(self._builder.scale), self._value(node, node.args[0])
            )
        source = self._value(node, node.args[0])
        if getattr(module, "crispcast_op", None) == "round":
            codes = getattr(module, "codes", None)
            if codes is None:
                return source
            return self._builder.add(ir.Round(cast(Codes, codes)), source)
        match module:
            case nn.Conv2d():
                return self._conv(node, module, source)
            case nn.ReLU6():  # a Hardtanh as well, and its bounds say all
                return self._builder.add(ir.Clip(0.0, 6.0), source)
            case nn.ReLU():
                return self._builder.add(ir.ReLU(), source)
            case nn.PReLU():
                return self._prelu(source, _numpy(module.weight))
            case nn.LeakyReLU():
                return self._prelu(source, np.array([module.negative_slope], np.float32))
            case nn.Hardtanh():
                return self._builder.add(ir.Clip(module.min_val, module.max_val), source)
            case nn.PixelShuffle():
                return self._shuffled(module.upscale_factor, source)
            case nn.Identity() | nn.Dropout() | nn.Dropout2d():
                return source
        raise self._refuse(node, type(module).__name__)

    def _function(self, node: fx.Node) -> int:
        name = _function_name(node.target)
        arguments = dict(node.kwargs)
        first = arguments.pop("input", None) if not node.args else node.args[0]
        rest = list(node.args[1:])
        if name in ("add", "add_"):
            other = rest.pop(0) if rest else arguments.pop("other", None)
            if rest or arguments.pop("alpha", 1) != 1:
                raise self._refuse(node, "an addition with a factor")
            return self._builder.add(ir.Add(), self._value(node, first), self._value(node, other))
        if name in ("cat", "concat", "concatenate"):
            return self._concat(node, arguments, rest)
        source = self._value(node, first)
        if name in ("relu", "relu_"):
            return self._builder.add(ir.ReLU(), source)
        if name == "relu6":
            return self._builder.add(ir.Clip(0.0, 6.0), source)
        if name in ("clamp", "clamp_", "clip", "clip_", "hardtanh", "hardtanh_"):
            default = (-1.0, 1.0) if name.startswith("hardtanh") else (None, None)
            names = ("min_val", "max_val") if name.startswith("hardtanh") else ("min", "max")
            bounds = [
                rest[place] if len(rest) > place else arguments.get(key, default[place])
                for place, key in enumerate(names)
            ]
            return self._clamp(node, source, bounds[0], bounds[1])
        if name == "clamp_min":
            return self._clamp(node, source, rest[0] if rest else arguments.get("min"), None)
        if name in ("leaky_relu", "leaky_relu_"):
            slope = rest[0] if rest else arguments.get("negative_slope", 0.01)
            return self._prelu(source, np.array([slope], np.float32))
        if name == "pixel_shuffle":
            factor = rest[0] if rest else arguments.get("upscale_factor")
            return self._shuffled(int(str(factor)), source)
        raise self._refuse(node, name)

    def _concat(self, node: fx.Node, arguments: dict[str, Any], rest: list[Any]) -> int:
        parts = node.args[0] if node.args else arguments.get("tensors")
        dim = rest[0] if rest else arguments.get("dim", arguments.get("axis", 0))
        if dim not in (1, -3) or not isinstance(parts, list | tuple):
            raise self._refuse(node, f"cat along dimension {dim}; along 1, channels,")
        return self._builder.add(ir.Concat(), *(self._value(node, part) for part in parts))

    def _shuffled(self, factor: int, source: int) -> int:
        return source if factor == 1 else self._builder.add(ir.PixelShuffle(factor), source)

    def _clamp(self, node: fx.Node, source: int, low: object, high: object) -> int:
        bounds = []
        for bound, default in ((low, -_LARGEST), (high, _LARGEST)):
            if bound is not None and not isinstance(bound, int | float):
                raise self._refuse(node, "a clamp to anything but numbers")
            bounds.append(default if bound is None or math.isinf(bound) else float(bound))
        if bounds == [0.0, _LARGEST]:
            return self._builder.add(ir.ReLU(), source)
        return self._builder.add(ir.Clip(*bounds), source)

    def _prelu(self, source: int, slope: Float) -> int:
        if len(slope) == 1:
            slope = np.repeat(slope, self._builder.shapes[source].channels)
        return self._builder.add(ir.PReLU(slope), source)

    def _conv(self, node: fx.Node, conv: nn.Conv2d, source: int) -> int:
        kernel = conv.kernel_size
        same = conv.padding == "same" or conv.padding == tuple(size // 2 for size in kernel)
        plain = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
        if not (same and plain and kernel[0] == kernel[1] and kernel[0] in KERNELS):
            raise self._refuse(
                node,
                f"{conv}; a convolution of kernel 1, 3 or 5, stride 1 and zero padding of half "
                "the kernel",
            )
        weight, gain = _weight_and_gain(conv)
        weight = _dense_groups(weight, conv.groups)
        value = self._builder.add(ir.Conv(weight, gain), source)
        if conv.bias is not None:
            value = self._builder.add(ir.Bias(_numpy(conv.bias)), value)
        return value

    def _value(self, node: fx.Node, argument: object) -> int:
        from torch import fx

        if not isinstance(argument, fx.Node) or argument not in self._values:
            raise self._refuse(node, f"{_function_name(node.target)} with {argument}")
        return self._values[argument]

    def _refuse(self, node: fx.Node, what: str) -> PlanError:
        place = str(node.target) if node.op == "call_module" else _innermost_module(node)
        owner = f"module {place!r} of {type(self._root).__name__}" if place else "the network"
        return PlanError(f"{owner}: {what} ({node.op} {node.name}) cannot be compiled to a plan")


def _function_name(target: object) -> str:
    if target is operator.iadd:
        return "add"
    return str(getattr(target, "__name__", target))


def _innermost_module(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    names = [str(entry[0] if isinstance(entry, tuple) else entry) for entry in stack.values()]
    return names[-1] if names else ""


def _weight_and_gain(conv: nn.Conv2d) -> tuple[Float, Float | None]:
    """Weights f32 [cout, cin/groups, k, k], and the gain where they are stored normalised."""
    from torch.nn.utils import parametrize

    if parametrize.is_parametrized(conv, "weight"):
        chain = conv.get_submodule("parametrizations.weight")
        steps = [(type(step).__name__, getattr(step, "dim", None)) for step in chain.children()]
        if steps == [("_WeightNorm", 0)]:
            originals = dict(chain.named_parameters())
            return _numpy(originals["original1"]), _numpy(originals["original0"]).reshape(-1)
        return _numpy(conv.weight), None
    # The old styles of normalising and pruning refresh `weight` only when the network runs, so it
    # may be stale here: what it is made of is not.
    stored: dict[str, torch.Tensor] = {**dict(conv.named_parameters())}
    stored |= dict(conv.named_buffers())
    if "weight_g" in stored:
        if stored["weight_g"].numel() != len(stored["weight_v"]):
            raise PlanError(f"weight normalisation of {conv} along another axis than 0: use 0")
        return _numpy(stored["weight_v"]), _numpy(stored["weight_g"]).reshape(-1)
    if "weight_orig" in stored:
        return _numpy(stored["weight_orig"] * stored["weight_mask"]), None
    return _numpy(conv.weight), None


def _dense_groups(weight: Float, groups: int) -> Float:
    """Weights of a grouped convolution among the zeros of one that is not."""
    if groups == 1:
        return weight
    cout, each, kernel, _ = weight.shape
    dense = np.zeros((cout, each * groups, kernel, kernel), np.float32)
    rows = cout // groups
    for group in range(groups):
        own = slice(group * rows, (group + 1) * rows)
        dense[own, group * each : (group + 1) * each] = weight[own]
    return dense


def _numpy(tensor: torch.Tensor) -> Float:
    return np.asarray(tensor.detach().float().cpu().numpy(), dtype=np.float32).copy()
