"""What of a network can be pruned, and which of its layers share channels.

A layer writes channels and reads channels. Where values meet in an addition, or pass through
something that works on each channel alone, their channels are the same: the blocks of a residual
network all write the channels that the first layer wrote. SPA (arXiv 2403.18955) finds such ties on
the graph, as it is done here, on torch.fx's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import fx, nn

from kernels.compiler.from_torch import trace
from kernels.errors import CrispcastError

KEEP = ("head", "tail")
"""Layers that stay dense: the first and the last hold 3 % of the taps and see everything."""

_EACH_CHANNEL_ALONE = (
    nn.ReLU,
    nn.ReLU6,
    nn.PReLU,
    nn.LeakyReLU,
    nn.Hardtanh,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
)
_SAME_CHANNELS = frozenset(
    ("add", "add_", "iadd", "relu", "relu_", "relu6", "clamp", "clamp_", "clamp_min", "clip")
) | {"hardtanh", "leaky_relu"}


@dataclass(frozen=True)
class Ends:
    """Numbers of the channels a layer reads and writes; None where they must all stay."""

    reads: int | None
    writes: int | None


class Layout:
    """The convolutions of a network by name; `prunable` are those not named in `keep`.

    Raises CrispcastError where none is left to prune.
    """

    def __init__(self, network: nn.Module, keep: tuple[str, ...] = KEEP) -> None:
        self._network = network
        self.layers: Mapping[str, nn.Conv2d] = {
            name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)
        }
        self.prunable = tuple(name for name in self.layers if name not in keep)
        if not self.prunable:
            raise CrispcastError("the network has no layer to prune; choose density 1")

    @cached_property
    def ends(self) -> Mapping[str, Ends]:
        """Of every layer; raises PlanError where the network cannot be traced."""
        return _Ties(self._network, trace(self._network)).ends()


class _Ties:
    """Joins the values of a traced network that have the same channels."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        self._modules = dict(network.named_modules())
        self._nodes: list[fx.Node] = list(graph.nodes)
        self._joined: dict[fx.Node, fx.Node] = {node: node for node in self._nodes}
        self._fixed: set[fx.Node] = set()
        for node in self._nodes:
            self._visit(node)

    def ends(self) -> dict[str, Ends]:
        """The channels of every convolution; one that runs twice keeps all of its own."""
        fixed = {self._root(node) for node in self._fixed}
        numbers = {root: i for i, root in enumerate(dict.fromkeys(map(self._root, self._nodes)))}

        def number(node: fx.Node) -> int | None:
            root = self._root(node)
            return None if root in fixed else numbers[root]

        found: dict[str, Ends] = {}
        for node in self._nodes:
            if self._is_conv(node):
                again = node.target in found
                ends = Ends(number(node.all_input_nodes[0]), number(node))
                found[str(node.target)] = Ends(None, None) if again else ends
        return found

    def _visit(self, node: fx.Node) -> None:
        if self._is_conv(node):
            if self._modules[str(node.target)].groups > 1:
                self._fixed |= {node, *node.all_input_nodes}
        elif self._same_channels(node):
            for value in node.all_input_nodes:
                self._joined[self._root(value)] = self._root(node)
        else:
            self._fixed |= {node, *node.all_input_nodes}

    def _is_conv(self, node: fx.Node) -> bool:
        module = self._modules.get(str(node.target)) if node.op == "call_module" else None
        return isinstance(module, nn.Conv2d)

    def _same_channels(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            module = self._modules[str(node.target)]
            alone = getattr(module, "crispcast_op", None) == "round"
            return alone or isinstance(module, _EACH_CHANNEL_ALONE)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        return node.op in ("call_function", "call_method") and name in _SAME_CHANNELS

    def _root(self, node: fx.Node) -> fx.Node:
        while (joined := self._joined[node]) is not node:
            node = joined
        return node


@dataclass(frozen=True)
class Member:
    """A tensor of a group: a parameter's name and, of channels, the axis that they lie along."""

    name: str
    axis: int = 0


@dataclass(frozen=True)
class Group:
    """Weights whose masks are made together; `fixed`: their output channels keep their order."""

    members: tuple[Member, ...]
    fixed: bool = False


def weight_name(layer: str) -> str:
    """The name of a layer's weights among the network's parameters."""
    return f"{layer}.weight"


Tensors = list[torch.Tensor]
