"""The compiler: from a trained network to a wire plan.

    torch module ── from_torch ──► Graph ── passes ──► fused Graph ── lower ──► PlanIR ──► bytes

`compile_module` and `compile_graph` go the whole way; `decode_plan` comes back to the `PlanIR`.
Only `from_torch` imports torch, and only when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernels.compiler.embed import embedded
from kernels.compiler.from_torch import from_torch
from kernels.compiler.lower import lower_graph, weight_bytes
from kernels.compiler.passes import simplify
from kernels.compiler.wire import base_id, base_of, decode_plan, encode_plan
from kernels.errors import PlanError
from kernels.graph import Graph
from kernels.plan import BLOCKS

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "base_id",
    "base_of",
    "compile_graph",
    "compile_module",
    "decode_plan",
    "encode_plan",
    "from_torch",
    "lower_graph",
    "simplify",
    "weight_bytes",
]


def compile_module(
    module: nn.Module,
    scale: int,
    bits: int = 8,
    block: int = 4,
    base: bytes | None = None,
    reorder: bool = True,
) -> bytes:
    """The wire plan of a torch network; see `from_torch` and `compile_graph`."""
    graph = from_torch(module, scale)
    return compile_graph(graph, bits=bits, block=block, base=base, reorder=reorder)


def compile_graph(
    graph: Graph,
    *,
    bits: int = 8,
    block: int = 4,
    base: bytes | None = None,
    reorder: bool = True,
) -> bytes:
    """The wire plan of a network: weights of `bits` bits, taps shared by `block` output channels.

    `base`: the wire plan of a base, to which the plan is then a difference; it may have layers that
    the network lacks, as a shorter path through the base's network does. `reorder`: channels may
    be reordered and dropped; of a base and of what refers to it they never are.

    Raises PlanError where the network cannot be a plan, saying which part and why.
    """
    if block not in BLOCKS:
        raise PlanError(f"taps shared by {block} output channels: choose one of {BLOCKS}")
    simple = simplify(graph, block, reorder=reorder and base is None)
    plan = lower_graph(simple, bits, block)
    if base is not None:
        # Where it does not fit, the plan's own shape is what is refused.
        plan = embedded(plan, decode_plan(base)) or plan
    return encode_plan(plan, base)
