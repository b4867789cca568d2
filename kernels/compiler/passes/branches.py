"""Parallel convolutions of one value become one, as in RepVGG (Ding et al. 2021).

    x ─┬─ 3×3 ─┐
       ├─ 1×1 ─(+)─      becomes      x ─┬─ 3×3 ─(+)─
       └───────┘                         └───────┘

An identity branch stays a residual: the plan adds it at full precision for next to nothing, where
a 1 on the kernel's diagonal would cost taps and coarsen the scale of all the other weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from kernels.compiler.passes.rewrite import replace_nodes
from kernels.compiler.passes.sums import operands, sum_roots
from kernels.graph import Add, Bias, Conv, Graph, Node, conv_weight
from kernels.plan import Float


def fold_parallel_branches(graph: Graph) -> Graph:
    """Sums of several convolutions (each with or without a bias) of the same value become one."""
    changed: dict[int, Node] = {}
    fresh = len(graph.nodes)
    for root in sum_roots(graph):
        terms = operands(graph, root)
        branches = {term: found for term in terms if (found := _branch(graph, term)) is not None}
        groups: dict[int, list[int]] = {}
        for term in terms:
            if term in branches:
                groups.setdefault(graph.nodes[branches[term][0]].inputs[0], []).append(term)
        if all(len(group) < 2 for group in groups.values()):
            continue
        rest = [term for term in terms if term not in branches]
        for source, group in groups.items():
            if len(group) < 2:
                rest += group
                continue
            weight, bias = _sum([_numbers(graph, branches[term]) for term in group])
            changed[fresh] = Node(Conv(weight), (source,))
            changed[fresh + 1] = Node(Bias(bias), (fresh,))
            rest.append(fresh + 1)
            fresh += 2
        fresh = _chain(changed, root, rest, fresh)
    return replace_nodes(graph, changed)


def _branch(graph: Graph, term: int) -> tuple[int, ...] | None:
    """(conv,) or (conv, bias) where operand `term` is that and nothing else uses it."""
    found = [term]
    if isinstance(graph.nodes[term].op, Bias):
        found.insert(0, graph.nodes[term].inputs[0])
    used_once = all(len(graph.users[number]) == 1 for number in found)
    if isinstance(graph.nodes[found[0]].op, Conv) and used_once:
        return tuple(found)
    return None


def _numbers(graph: Graph, branch: tuple[int, ...]) -> tuple[Float, Float]:
    conv = graph.nodes[branch[0]].op
    assert isinstance(conv, Conv)
    bias = np.zeros(len(conv.weight), np.float32)
    for number in branch[1:]:
        op = graph.nodes[number].op
        assert isinstance(op, Bias)
        bias = op.bias
    return conv_weight(conv), bias


def _sum(branches: Sequence[tuple[Float, Float]]) -> tuple[Float, Float]:
    """Weights and bias of one convolution that is the sum of all; small kernels are centred."""
    kernel = max(weight.shape[-1] for weight, _ in branches)
    padded = []
    for weight, _ in branches:
        edge = (kernel - weight.shape[-1]) // 2
        padded.append(np.pad(weight, ((0, 0), (0, 0), (edge, edge), (edge, edge))))
    return reduce(np.add, padded), reduce(np.add, [bias for _, bias in branches])


def _chain(changed: dict[int, Node], root: int, terms: list[int], fresh: int) -> int:
    """Make `root` the sum of `terms`, with new nodes from `fresh`; gives the next free number."""
    if len(terms) == 1:
        # The sum is its one term: node `root` becomes a copy of the term's own node.
        changed[root] = changed[terms[0]]
        return fresh
    total = terms[0]
    for term in terms[1:-1]:
        changed[fresh] = Node(Add(), (total, term))
        total = fresh
        fresh += 1
    changed[root] = Node(Add(), (total, terms[-1]))
    return fresh
