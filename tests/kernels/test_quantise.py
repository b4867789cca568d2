"""Integer weights lose as little as the format's grid of scales lets them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiler.choice import shared_taps
from kernels.compiler.lower import lower_graph
from kernels.compiler.passes import simplify
from kernels.compiler.quantise import quantise_weights, to_half
from kernels.errors import PlanError
from kernels.plan import Float, scale_values
from tests.kernels.networks import default_network


def error(weight: Float, bits: int) -> float:
    integers, codes = quantise_weights(weight, bits)
    back = integers * scale_values()[codes].reshape(-1, 1, 1, 1)
    return float(((back - weight) ** 2).sum())


@given(st.integers(0, 1 << 30), st.integers(2, 8), st.floats(-5, 1))
def test_no_worse_than_the_scale_at_which_the_largest_weight_just_fits(
    seed: int, bits: int, magnitude: float
) -> None:
    rng = np.random.default_rng(seed)
    weight = (rng.normal(size=(3, 4, 3, 3)) * 10**magnitude).astype(np.float32)
    highest = 2 ** (bits - 1) - 1
    grid = scale_values().astype(np.float64)
    largest = np.abs(weight).reshape(3, -1).max(axis=1).astype(np.float64)
    plain = grid[np.searchsorted(grid * highest, largest)].reshape(-1, 1, 1, 1)
    naive = ((np.rint(weight / plain) * plain - weight) ** 2).sum()
    # What the runtime multiplies with is rounded to f32: some 1e-5 of an 8-bit error.
    assert error(weight, bits) <= naive * (1 + 1e-4)


def test_clipping_pays_at_few_bits() -> None:
    weight = np.random.default_rng(0).normal(size=(8, 16, 3, 3)).astype(np.float32)
    _, codes = quantise_weights(weight, 3)
    largest = np.abs(weight).reshape(8, -1).max(axis=1)
    assert (scale_values()[codes] * 3 < largest).all()


def test_powers_of_two_are_exact() -> None:
    weight = np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1)
    assert error(weight, 8) == 0


def test_a_channel_of_zeros_stays_zero() -> None:
    integers, codes = quantise_weights(np.zeros((2, 1, 3, 3), np.float32), 8)
    assert not integers.any()
    assert codes.tolist() == [0, 0]


def test_weights_too_large_for_any_scale_are_refused() -> None:
    with pytest.raises(PlanError, match="too large"):
        quantise_weights(np.full((1, 1, 1, 1), 1e6, np.float32), 8)
    with pytest.raises(PlanError, match="half precision"):
        to_half(np.array([1e6], np.float32), "bias")
    with pytest.raises(PlanError, match="choose 2 to 8"):
        quantise_weights(np.ones((1, 1, 1, 1), np.float32), 9)


def test_scales_are_eighths_of_an_octave() -> None:
    values = scale_values().astype(np.float64)
    np.testing.assert_allclose(values, 2.0 ** (np.arange(256) / 8 - 24), rtol=1e-6)


def test_taps_are_shared_and_a_full_layer_is_dense() -> None:
    full = lower_graph(simplify(default_network(density=1.0)))
    assert all(layer.dense for layer in full.table.layers)
    assert full.density == 1
    sparse = lower_graph(simplify(default_network(density=0.25)))
    assert not any(layer.dense for layer in sparse.table.layers)
    assert sparse.density == pytest.approx(0.25, abs=0.02)
    for numbers in sparse.numbers:
        np.testing.assert_array_equal(numbers.taps, shared_taps(numbers.weights, 4))


def test_taps_that_nobody_shares_get_blocks_of_one() -> None:
    weights = np.eye(8, dtype=np.int8).reshape(8, 8, 1, 1)
    assert shared_taps(weights, 4).sum() == 8
    graph = simplify(default_network())
    assert {layer.block for layer in lower_graph(graph).table.layers} == {4}
