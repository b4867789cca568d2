"""Weight normalisation (Salimans & Kingma 2016) is for training: a plan has plain weights."""

from __future__ import annotations

from kernels.compiler.passes.rewrite import replace_nodes
from kernels.graph import Conv, Graph, Node, conv_weight


def fold_weight_norm(graph: Graph) -> Graph:
    """Every convolution with a gain becomes one with plain weights."""
    return replace_nodes(
        graph,
        {
            number: Node(Conv(conv_weight(node.op)), node.inputs)
            for number, node in enumerate(graph.nodes)
            if isinstance(node.op, Conv) and node.op.gain is not None
        },
    )
