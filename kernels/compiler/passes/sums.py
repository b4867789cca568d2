"""Sums of several values: trees of additions taken apart into their operands."""

from __future__ import annotations

from kernels.graph import Add, Graph


def sum_roots(graph: Graph) -> list[int]:
    """Additions whose value is not just an operand of one further addition."""
    return [number for number in range(len(graph.nodes)) if _is_sum(graph, number, root=True)]


def operands(graph: Graph, root: int) -> list[int]:
    """The values that the tree of additions under `root` sums up, in their order."""
    found: list[int] = []
    stack = list(reversed(graph.nodes[root].inputs))
    while stack:
        number = stack.pop()
        if _is_sum(graph, number, root=False):
            stack.extend(reversed(graph.nodes[number].inputs))
        else:
            found.append(number)
    return found


def _is_sum(graph: Graph, number: int, root: bool) -> bool:
    """Whether `number` is an addition, and one inside a tree or at its root."""
    if not isinstance(graph.nodes[number].op, Add):
        return False
    users = graph.users[number]
    inside = len(users) == 1 and isinstance(graph.nodes[users[0]].op, Add)
    return inside is not root
