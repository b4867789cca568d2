"""Passes: small functions graph -> graph that keep what the network computes.

`simplify` is all of them in the order the compiler runs them.
"""

from collections.abc import Callable

from kernels.compiler.passes.branches import fold_parallel_branches
from kernels.compiler.passes.channels import drop_dead_channels
from kernels.compiler.passes.fuse import fuse_layers
from kernels.compiler.passes.permute import permute_channels
from kernels.compiler.passes.rewrite import drop_unused
from kernels.compiler.passes.tail import sink_shuffles
from kernels.compiler.passes.weight_norm import fold_weight_norm
from kernels.graph import Graph

__all__ = [
    "PASSES",
    "drop_dead_channels",
    "drop_unused",
    "fold_parallel_branches",
    "fold_weight_norm",
    "fuse_layers",
    "permute_channels",
    "simplify",
    "sink_shuffles",
]

Pass = Callable[[Graph], Graph]


def simplify(graph: Graph, block: int = 4, *, reorder: bool = True) -> Graph:
    """`graph` after all passes, with channels grouped for blocks of `block`.

    Without `reorder` every channel stays, and where it was.
    """
    for each in PASSES:
        if reorder or each is not drop_dead_channels:
            graph = each(graph)
    return fuse_layers(permute_channels(graph, block) if reorder else graph)


PASSES: tuple[Pass, ...] = (
    drop_unused,
    fold_weight_norm,
    sink_shuffles,
    fold_parallel_branches,
    drop_dead_channels,
    drop_unused,
)
