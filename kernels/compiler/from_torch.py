"""The importer: a torch network as a `Graph`, by torch.fx symbolic tracing.

The arguments of the network's `forward` name its planes (luma, previous, plate). A submodule with
an attribute `crispcast_op == "interpolation"` is the bicubic base and is not looked into; one with
`crispcast_op == "round"` rounds to its attribute `codes` (`kernels.plan.Codes`), where it has some.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from kernels.compiler.torch_ops import Importer
from kernels.errors import PlanError
from kernels.graph import Graph, GraphBuilder, Input, Output
from kernels.plan import PLANES

if TYPE_CHECKING:
    from torch import fx, nn


def from_torch(module: nn.Module, scale: int) -> Graph:
    """The graph of `module`, whose forward takes planes [N, c, h, w] and gives [N, 1, s·h, s·w].

    Understands Conv2d (plain, grouped, weight-normalised in both styles, parametrised), ReLU,
    ReLU6, PReLU, LeakyReLU, Hardtanh and clamp, additions, cat, PixelShuffle, Identity, Dropout and
    the interpolation leaf. Raises PlanError naming the module and the operation otherwise.
    """
    planes = list(inspect.signature(module.forward).parameters)
    unknown = [name for name in planes if name not in PLANES]
    if unknown or "luma" not in planes:
        raise PlanError(
            f"{type(module).__name__}.forward takes {planes}; its arguments must be luma and "
            f"some of {PLANES[1:]}, as their names say which plane they get"
        )
    traced = trace(module)
    builder = GraphBuilder(scale)
    importer = Importer(module, builder)
    values: dict[fx.Node, int] = {}
    for node in traced.nodes:
        if node.op == "placeholder":
            values[node] = builder.add(Input(node.target))
        elif node.op == "output":
            result = node.args[0]
            if result not in values:
                raise PlanError(
                    f"{type(module).__name__} returns {result}: return one plane of luma"
                )
            builder.add(Output(), values[result])
        else:
            values[node] = importer.add(node, values)
    return builder.build()


def trace(module: nn.Module) -> fx.Graph:
    """The network as torch.fx sees it; raises PlanError where its forward depends on values."""
    from torch import fx, nn

    from kernels.compiler.torch_ops import LEAVES

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            leaf = tuple(getattr(nn, name) for name in LEAVES)
            # Torch's other modules are leaves too, so that a complaint can name them.
            other = super().is_leaf_module(m, module_qualified_name)
            return isinstance(m, leaf) or hasattr(m, "crispcast_op") or other

    try:
        return Tracer().trace(module)
    except PlanError:
        raise
    except Exception as error:
        # Tracing runs the caller's code on stand-ins for tensors: anything can come out of it.
        raise PlanError(
            f"{type(module).__name__} cannot be traced ({error}): its forward must not depend on "
            "the values or sizes of tensors"
        ) from error
