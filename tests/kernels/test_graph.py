"""Graphs have symbolic shapes and refuse what does not fit, saying which node and why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

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
    Node,
    Output,
    PixelShuffle,
    Shape,
)


def conv(cout: int, cin: int, kernel: int = 3) -> Conv:
    return Conv(np.ones((cout, cin, kernel, kernel), np.float32))


def small(scale: int = 2) -> GraphBuilder:
    """Luma (node 0) and plate (1), joined (2), through one convolution (3)."""
    builder = GraphBuilder(scale)
    luma, plate = builder.add(Input("luma")), builder.add(Input("plate"))
    joined = builder.add(Concat(), luma, plate)
    builder.add(conv(scale**2, 1 + scale**2), joined)
    return builder


def test_one_graph_serves_every_patch_size() -> None:
    builder = small(scale=3)
    hr = builder.add(PixelShuffle(3), 3)
    total = builder.add(Add(), hr, builder.add(Interpolation(3), 0))
    builder.add(Output(), total)
    graph = builder.build()
    assert graph.shapes[2] == Shape(10)
    assert graph.shapes[-1] == Shape(1, 3)
    assert graph.shapes[-1].size(width=17, height=9) == (1, 27, 51)
    assert str(graph.shapes[-1]) == "1 × (3·width, 3·height)"


REFUSED: dict[str, Callable[[GraphBuilder], object]] = {
    "reads node 9": lambda b: b.add(conv(1, 1), 9),
    "weights for 7 channels": lambda b: b.add(conv(4, 7), 3),
    r"k in \(1, 3, 5\)": lambda b: b.add(conv(4, 4, kernel=7), 3),
    "has numbers": lambda b: b.add(Bias(np.zeros(3, np.float32)), 3),
    "gets 4 × .* and 1 ×": lambda b: b.add(Add(), 3, 0),
    "has 1 inputs, not 2": lambda b: b.add(Add(), 3),
    "has no inputs": lambda b: b.add(Concat()),
    "gets sizes": lambda b: b.add(Concat(), 0, b.add(PixelShuffle(2), 3)),
    "by 2 does not divide 5": lambda b: b.add(PixelShuffle(2), 2),
    "clips from 1 to 0": lambda b: b.add(Clip(1, 0), 3),
    "reads plane 'chroma'": lambda b: b.add(Input("chroma")),
    "gets 4 ×": lambda b: b.add(Output(), 3),
    "not finite": lambda b: b.add(Conv(np.full((1, 1, 3, 3), np.nan, np.float32)), 0),
    "adds 1 ×": lambda b: b.add(
        FusedConv(
            np.ones((4, 1, 1, 1), np.float32), np.zeros(4, np.float32), None, residual="after"
        ),
        0,
        0,
    ),
}


@pytest.mark.parametrize("complaint", list(REFUSED))
def test_what_does_not_fit_is_refused(complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        REFUSED[complaint](small())


def test_a_graph_without_an_output_is_refused() -> None:
    with pytest.raises(PlanError, match="does not end in an output"):
        small().build()


def test_a_plane_named_twice_is_refused() -> None:
    builder = small()
    builder.add(Input("luma"))
    builder.add(Output(), builder.add(PixelShuffle(2), 3))
    with pytest.raises(PlanError, match="twice"):
        builder.build()


def test_a_scale_that_no_rung_has_is_refused() -> None:
    with pytest.raises(PlanError, match="scale 5"):
        Graph(5, (Node(Input("luma")), Node(Output(), (0,))))
