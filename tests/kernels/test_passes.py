"""Every pass keeps what the network computes, and does what it is for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kernels import reference
from kernels.compiler import compile_graph, decode_plan
from kernels.compiler.passes import (
    PASSES,
    drop_dead_channels,
    fold_parallel_branches,
    fold_weight_norm,
    fuse_layers,
    permute_channels,
    simplify,
    sink_shuffles,
)
from kernels.errors import PlanError
from kernels.graph import (
    Add,
    Bias,
    Clip,
    Concat,
    Conv,
    FusedConv,
    Graph,
    GraphBuilder,
    Input,
    Interpolation,
    Output,
    PixelShuffle,
    PReLU,
    ReLU,
    Round,
)
from kernels.plan import Codes
from tests.kernels.networks import Random, default_network, finish


def branches() -> Graph:
    """3×3 + 1×1 + identity, twice, with a PReLU between."""
    random, builder = Random(1), GraphBuilder(2)
    luma = builder.add(Input("luma"))
    value = random.conv(builder, luma, 8)
    for _ in range(2):
        three, one = random.conv(builder, value, 8), random.conv(builder, value, 8, kernel=1)
        value = builder.add(Add(), builder.add(Add(), three, value), one)
        value = builder.add(PReLU(random.vector(8)), value)
    return finish(builder, random.conv(builder, value, 4), luma)


def two_tails() -> Graph:
    """WDSR's two shuffles: one of the body, one of a 5×5 skip; and a clamp that storing does."""
    random, builder = Random(2), GraphBuilder(3)
    luma = builder.add(Input("luma"))
    body = random.conv(builder, builder.add(ReLU(), random.conv(builder, luma, 8)), 9)
    hr = builder.add(PixelShuffle(3), body)
    skip = builder.add(PixelShuffle(3), random.conv(builder, luma, 9, kernel=5))
    total = builder.add(Add(), builder.add(Add(), hr, builder.add(Interpolation(3), luma)), skip)
    builder.add(Output(), builder.add(Clip(-1.0, 1.0), total))
    return builder.build()


def normalised() -> Graph:
    random, builder = Random(3), GraphBuilder(2)
    luma = builder.add(Input("luma"))
    value = builder.add(Conv(random.weight(8, 1), random.vector(8)), luma)
    return finish(builder, random.conv(builder, builder.add(Clip(-0.5, 0.6), value), 4), luma)


def dense_skips() -> Graph:
    """Concatenations of concatenations, a value used three times, and an unused branch."""
    random, builder = Random(4, density=0.4), GraphBuilder(2)
    luma, plate = builder.add(Input("luma")), builder.add(Input("plate"))
    first = builder.add(ReLU(), random.conv(builder, builder.add(Concat(), luma, plate), 8))
    joined = builder.add(Concat(), first, plate)
    second = random.conv(builder, joined, 8)
    random.conv(builder, second, 5)
    both = builder.add(Concat(), joined, second, first)
    return finish(builder, random.conv(builder, both, 4, kernel=1), luma)


def odd_sums() -> Graph:
    """Sums and activations that no single convolution makes, and a tail that is read twice."""
    random, builder = Random(5), GraphBuilder(2)
    luma = builder.add(Input("luma"))
    first = random.conv(builder, luma, 4)
    twice = builder.add(Add(), first, first)
    active = builder.add(ReLU(), builder.add(PReLU(random.vector(4)), twice))
    shifted = builder.add(Bias(random.vector(4)), builder.add(Add(), active, first))
    third = random.conv(builder, builder.add(Clip(-1.0, 1.0), shifted), 4)
    three = builder.add(Add(), builder.add(Add(), third, random.conv(builder, luma, 4)), active)
    return finish(builder, builder.add(Add(), three, builder.add(ReLU(), three)), luma)


def pruned_away() -> Graph:
    """A dead inner channel, an always-zero block, and a channel dead across all residuals."""
    random, builder = Random(6), GraphBuilder(2)
    luma = builder.add(Input("luma"))
    weight, bias = random.weight(8, 1), random.vector(8)
    weight[5], bias[5] = 0, 0
    value = builder.add(Bias(bias), builder.add(Conv(weight), luma))
    for block in range(3):
        wide, narrow = random.weight(12, 8), random.weight(8, 12)
        bias = random.vector(8)
        wide[3] = 0  # and its bias: the channel is zero
        narrow[:, 7] = 0  # nobody reads it
        narrow[5], bias[5] = 0, 0
        if block == 1:
            narrow[:], bias[:] = 0, 0
        inner = random.vector(12)
        inner[3] = 0
        inside = builder.add(ReLU(), builder.add(Bias(inner), builder.add(Conv(wide), value)))
        out = builder.add(Bias(bias), builder.add(Conv(narrow), inside))
        value = builder.add(Add(), out, value)
    return finish(builder, random.conv(builder, value, 4), luma)


NETWORKS: dict[str, Callable[[], Graph]] = {
    "default": default_network,
    "branches": branches,
    "two tails": two_tails,
    "normalised": normalised,
    "dense skips": dense_skips,
    "odd sums": odd_sums,
    "pruned away": pruned_away,
}


def difference(one: Graph, other: Graph) -> float:
    """The largest, in the networks' domain, between what they make of one picture."""
    rng = np.random.default_rng(9)
    luma, previous = rng.integers(0, 256, (2, 11, 14)).astype(np.uint8)
    plate = rng.integers(0, 256, (11 * one.scale, 14 * one.scale)).astype(np.uint8)
    left = reference.run_graph_float(one, luma, previous, plate)
    right = reference.run_graph_float(other, luma, previous, plate)
    return float(np.abs(left.clip(-1, 1) - right.clip(-1, 1)).max())


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_pass_keeps_what_the_network_computes(name: str) -> None:
    graph = NETWORKS[name]()
    for each in (*PASSES, permute_channels, fuse_layers):
        after = each(graph)
        assert difference(graph, after) < 2e-5
        graph = after
    assert difference(NETWORKS[name](), graph) < 2e-5


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_plan_computes_the_network_but_for_its_quantisation(name: str) -> None:
    graph = NETWORKS[name]()
    plan = decode_plan(compile_graph(graph))
    luma = np.random.default_rng(9).integers(0, 256, (11, 14)).astype(np.uint8)
    wanted = reference.run_graph_float(graph, luma).clip(-1, 1)
    found = reference.run_plan_float(plan, luma).clip(-1, 1)
    # A layer of gaussian int8 weights has a noise of about 0.8 %, and there are up to eight.
    assert np.abs(found - wanted).mean() < 0.025


SIGNED, UNSIGNED = Codes(140, True), Codes(138, False)


def rounded(read_both: bool = False) -> Graph:
    """Residual blocks whose convolutions read 8-bit codes; the sums in between are exact."""
    random, builder = Random(7, density=0.5), GraphBuilder(2)
    luma, previous = builder.add(Input("luma")), builder.add(Input("previous"))
    value = random.conv(builder, builder.add(Concat(), luma, previous), 8)
    for _ in range(2):
        read = builder.add(Round(SIGNED), value)
        wide = builder.add(ReLU(), random.conv(builder, read, 16))
        inner = random.conv(builder, builder.add(Round(UNSIGNED), wide), 8)
        value = builder.add(Add(), value, inner)
    last = value if read_both else builder.add(Round(SIGNED), value)
    if read_both:
        value = builder.add(Add(), random.conv(builder, builder.add(Round(SIGNED), value), 8), last)
        last = builder.add(Add(), value, random.conv(builder, last, 8))
    return finish(builder, random.conv(builder, last, 4), luma)


def test_rounding_goes_into_the_layer_whose_value_it_rounds() -> None:
    graph = rounded()
    fused = simplify(graph)
    assert [op.codes for op in layers(fused)] == [SIGNED, UNSIGNED, SIGNED, UNSIGNED, SIGNED, None]
    assert not any(isinstance(node.op, Round) for node in fused.nodes)
    rng = np.random.default_rng(9)
    luma, previous = rng.integers(0, 256, (2, 24, 31)).astype(np.uint8)
    wanted = reference.run_graph_float(graph, luma, previous)
    found = reference.run_graph_float(fused, luma, previous)
    # A sum in another order may fall on the other side of a half, hardly ever.
    assert np.mean(np.abs(wanted - found) > 1e-5) < 0.01
    assert np.abs(wanted - found).max() < 0.1
    # Additions get what convolutions read rounded: with the rounded value they would differ.
    plan = decode_plan(compile_graph(graph))
    assert plan.table.coded
    assert np.abs(reference.run_plan_float(plan, luma, previous) - wanted).mean() < 0.02


def test_a_value_that_only_some_convolutions_read_rounded_is_refused() -> None:
    with pytest.raises(PlanError, match="rounded for some of its readers"):
        simplify(rounded(read_both=True))


def layers(graph: Graph) -> list[FusedConv]:
    return [node.op for node in graph.nodes if isinstance(node.op, FusedConv)]


def test_a_residual_block_becomes_two_layers() -> None:
    found = layers(simplify(default_network()))
    assert len(found) == 8
    assert [type(op.activation) for op in found[1:3]] == [ReLU, type(None)]
    assert [op.residual for op in found[1:3]] == ["none", "before"]


def test_parallel_branches_become_one_layer_with_a_residual() -> None:
    found = layers(simplify(branches()))
    assert [op.residual for op in found] == ["none", "before", "before", "none"]
    assert [type(op.activation) for op in found[1:3]] == [PReLU, PReLU]


def test_folding_branches_alone_sums_their_kernels() -> None:
    found = fold_parallel_branches(branches())
    assert sum(isinstance(node.op, Conv) for node in found.nodes) == 4


def test_two_shuffles_become_one_and_the_clamp_goes() -> None:
    ops = [type(node.op) for node in sink_shuffles(two_tails()).nodes]
    assert ops.count(PixelShuffle) == 1
    assert Clip not in ops
    assert len(layers(simplify(two_tails()))) == 3


def test_weight_normalisation_goes() -> None:
    convs = [node.op for node in fold_weight_norm(normalised()).nodes if isinstance(node.op, Conv)]
    assert all(op.gain is None for op in convs)


def test_dead_channels_and_blocks_go() -> None:
    graph = drop_dead_channels(pruned_away())
    convs = [node.op.weight.shape[:2] for node in graph.nodes if isinstance(node.op, Conv)]
    # The head, two blocks (the zero one is gone) and the tail. Channel 5 is always zero in the
    # head and in both blocks; of the inner channels 3 is zero and 7 is read by nobody.
    assert convs == [(7, 1), (10, 7), (7, 10), (10, 7), (7, 10), (4, 7)]


def test_a_network_that_is_all_zero_still_compiles() -> None:
    builder = GraphBuilder(2)
    luma = builder.add(Input("luma"))
    value = builder.add(Conv(np.zeros((8, 1, 3, 3), np.float32)), luma)
    graph = finish(builder, builder.add(Conv(np.zeros((4, 8, 3, 3), np.float32)), value), luma)
    plan = decode_plan(compile_graph(graph))
    luma_plane = np.arange(30, dtype=np.uint8).reshape(5, 6) * 8
    wanted = reference.interpolate(luma_plane, 2)
    np.testing.assert_array_equal(reference.run_plan(plan, luma_plane), wanted)


def test_channels_that_need_the_same_taps_share_a_block() -> None:
    random, builder = Random(7), GraphBuilder(2)
    luma = builder.add(Input("luma"))
    first = random.weight(8, 1)
    wide = random.weight(8, 8)
    taps = np.random.default_rng(8).random((2, 8, 3, 3)) < 0.3
    wide *= taps[np.arange(8) % 2]  # even channels need some taps, odd ones others
    value = builder.add(Conv(first), luma)
    value = builder.add(ReLU(), builder.add(Conv(wide), value))
    graph = finish(builder, random.conv(builder, value, 4), luma)
    convs = [n.op for n in permute_channels(graph).nodes if isinstance(n.op, Conv)]
    support = (convs[1].weight != 0).reshape(2, 4, 8, 3, 3)
    assert int(support.any(axis=1).sum()) == int(taps.sum())
    assert difference(graph, permute_channels(graph)) < 2e-5


def test_channels_that_share_taps_already_stay() -> None:
    graph = default_network()
    convs = [node.op for node in graph.nodes if isinstance(node.op, Conv)]
    after = [node.op for node in permute_channels(graph).nodes if isinstance(node.op, Conv)]
    for before, op in zip(convs, after, strict=True):
        np.testing.assert_array_equal(before.weight, op.weight)


@pytest.mark.parametrize("tail", ["tight clip", "relu", "base of previous", "no shuffle"])
def test_other_ends_than_the_formats_are_refused(tail: str) -> None:
    random, builder = Random(), GraphBuilder(2)
    luma, previous = builder.add(Input("luma")), builder.add(Input("previous"))
    hr = builder.add(PixelShuffle(2), random.conv(builder, luma, 4))
    base = builder.add(Interpolation(2), previous if tail == "base of previous" else luma)
    if tail == "relu":
        hr = builder.add(ReLU(), hr)
    total = base if tail == "no shuffle" else builder.add(Add(), hr, base)
    if tail == "tight clip":
        total = builder.add(Clip(-0.5, 0.5), total)
    builder.add(Output(), total)
    with pytest.raises(PlanError, match="end"):
        compile_graph(builder.build())
