"""The HR end of a network: all its sums move below one pixel shuffle, where the plan has them.

a ─ shuffle ─┐                         a ─(+)─ shuffle ─(+)─ Output
b ─ shuffle ─(+)─(+)─ Output    ►      b ──┘             │
luma ─ bicubic ───┘                    luma ─ bicubic ───┘

At scale 1 nothing tells HR values by their size, so that a shuffle by 1 says where they begin.
"""

from __future__ import annotations

from kernels.compiler.passes.rewrite import replace_nodes
from kernels.compiler.passes.sums import operands, sum_roots
from kernels.errors import PlanError
from kernels.graph import Add, Clip, Graph, Input, Interpolation, Node, Op, PixelShuffle

# Codes 0 and 255 in the domain of the values: a clamp no tighter than this is done by storing u8.
LOWEST, HIGHEST = -1.0, 127 / 128


def sink_shuffles(graph: Graph) -> Graph:
    """One shuffle straight before the base's addition, and no clamp after it.

    Raises PlanError where HR values are used in any other way than to sum up and store them.
    """
    graph = _drop_last_clips(graph)
    graph = _sink_into_sums(graph) if graph.scale > 1 else _mark_the_end(graph)
    _check_tail(graph)
    return graph


def hr_end(graph: Graph) -> frozenset[int]:
    """The nodes whose values are of HR size, as `sink_shuffles` leaves them, at scale 1 too."""
    last = len(graph.nodes) - 1
    top = graph.nodes[last].inputs[0]
    added = graph.nodes[top].inputs if isinstance(graph.nodes[top].op, Add) else ()
    return frozenset((last, top, *added))


def tail_of(graph: Graph) -> tuple[int, bool]:
    """(the node that the last shuffle reads, whether the bicubic base is added)."""
    top = graph.nodes[graph.nodes[-1].inputs[0]]
    if isinstance(top.op, PixelShuffle):
        return top.inputs[0], False
    shuffles = [v for v in top.inputs if isinstance(graph.nodes[v].op, PixelShuffle)]
    return graph.nodes[shuffles[0]].inputs[0], True


def _drop_last_clips(graph: Graph) -> Graph:
    last = len(graph.nodes) - 1
    value = graph.nodes[last].inputs[0]
    while True:
        op = graph.nodes[value].op
        if not (isinstance(op, Clip) and op.low <= LOWEST and op.high >= HIGHEST):
            break
        value = graph.nodes[value].inputs[0]
    return replace_nodes(graph, {last: Node(graph.nodes[last].op, (value,))})


def _sink_into_sums(graph: Graph) -> Graph:
    changed: dict[int, Node] = {}
    fresh = len(graph.nodes)
    for root in sum_roots(graph):
        terms = operands(graph, root)
        shuffled = [term for term in terms if isinstance(graph.nodes[term].op, PixelShuffle)]
        shapes = {graph.shapes[graph.nodes[term].inputs[0]] for term in shuffled}
        if not shuffled or len(shapes) > 1:
            continue
        total = graph.nodes[shuffled[0]].inputs[0]
        for term in shuffled[1:]:
            changed[fresh] = Node(Add(), (total, graph.nodes[term].inputs[0]))
            total = fresh
            fresh += 1
        rest = [term for term in terms if term not in shuffled]
        shuffle = Node(graph.nodes[shuffled[0]].op, (total,))
        if not rest:
            changed[root] = shuffle
            continue
        changed[fresh] = shuffle
        total = fresh
        fresh += 1
        for term in rest[:-1]:
            changed[fresh] = Node(Add(), (total, term))
            total = fresh
            fresh += 1
        changed[root] = Node(Add(), (total, rest[-1]))
    return replace_nodes(graph, changed)


def _mark_the_end(graph: Graph) -> Graph:
    """Put a shuffle by 1 behind all that is summed up with the base."""
    last = len(graph.nodes) - 1
    top = graph.nodes[last].inputs[0]
    terms = operands(graph, top) if isinstance(graph.nodes[top].op, Add) else [top]
    bases = [term for term in terms if isinstance(graph.nodes[term].op, Interpolation)]
    rest = [term for term in terms if term not in bases]
    changed: dict[int, Node] = {}

    def put(op: Op, *inputs: int) -> int:
        number = last + 1 + len(changed)
        changed[number] = Node(op, inputs)
        return number

    if not rest:
        return graph
    value = rest[0]
    for term in rest[1:]:
        value = put(Add(), value, term)
    value = put(PixelShuffle(1), value)
    for base in bases:
        value = put(Add(), value, base)
    changed[last] = Node(graph.nodes[last].op, (value,))
    return replace_nodes(graph, changed)


def _check_tail(graph: Graph) -> None:
    top = graph.nodes[-1].inputs[0]
    terms = operands(graph, top) if isinstance(graph.nodes[top].op, Add) else [top]
    bases = []
    shuffles = []
    for term in terms:
        node = graph.nodes[term]
        if isinstance(node.op, Interpolation):
            bases.append(graph.nodes[node.inputs[0]].op)
        elif isinstance(node.op, PixelShuffle) and graph.shapes[node.inputs[0]].magnify == 1:
            shuffles.append(term)
        else:
            raise PlanError(
                f"{type(node.op).__name__} at HR size is not supported: end the network in "
                "pixel_shuffle(last convolution) + interpolation(luma)"
            )
    if len(shuffles) != 1 or len(bases) > 1 or any(base != Input("luma") for base in bases):
        raise PlanError(
            f"a network that ends in {len(shuffles)} pixel shuffles of one shape and "
            f"{len(bases)} interpolations: end it in pixel_shuffle(last convolution) + "
            "interpolation(luma)"
        )
