"""The cost model, and how a layer's taps are stated by it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kernel_costs import chain, fitted
from kernels.compiler import cost
from kernels.compiler.choice import choose_taps, shared_taps
from kernels.plan import Bool, Int8


def weights_of(cout: int, density: float, block: int, seed: int = 0) -> Int8:
    """i8 [cout, 16, 3, 3] with `density` of the taps of blocks of `block`."""
    random = np.random.default_rng(seed)
    taps = random.random((-(-cout // block), 16, 3, 3)) < density
    kept = np.repeat(taps, block, axis=0)[:cout]
    return np.asarray(random.integers(1, 100, kept.shape) * kept, dtype=np.int8)


def time_of(taps: Bool, isa: str, *, coded: bool) -> float:
    done = cost.work(taps, 4, 4 * len(taps), 0, isa, coded=coded)
    return cost.nanoseconds(done, isa, coded=coded)


def test_the_table_has_every_step_of_the_targets() -> None:
    for isa in cost.TARGETS:
        table = cost.costs()[isa]
        assert set(table["fp32"]) == set(cost.FLOATS)
        assert set(table["int8"]) == set(cost.CODES)
        assert all(value >= 0 for kind in ("fp32", "int8") for value in table[kind].values())


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("isa", [*cost.TARGETS, "avx2", "neon", "neoni8mm"])
def test_fewer_taps_take_less_time(isa: str, coded: bool) -> None:
    random = np.random.default_rng(1).random((8, 16, 3, 3))
    times = [time_of(random < density, isa, coded=coded) for density in (1.0, 0.5, 0.25, 0.1)]
    assert times == sorted(times, reverse=True)
    assert times[2] < 0.5 * times[0]


def test_blocks_of_codes_with_the_same_taps_share_the_weaving() -> None:
    taps = np.ones((4, 16, 3, 3), np.bool_)
    together = cost.work(taps, 4, 16, 0, "avx512vnni", coded=True)
    taps[1, 0, 0, 0] = taps[3, 0, 0, 0] = False  # quads of 144 taps and of 143 are as many
    apart = cost.work(taps, 4, 16, 0, "avx512vnni", coded=True)
    assert (together["weave"], apart["weave"]) == (3 * 36, 4 * 36)
    assert together["dot"] == apart["dot"] == 16 * 36


def test_residuals_count_where_they_are_added_and_where_they_are_kept() -> None:
    plain = cost.layers_work(chain(8, 1.0, 4, residual=False, coded=True), "avx512vnni")
    added = cost.layers_work(chain(8, 1.0, 4, residual=True, coded=True), "avx512vnni")
    assert sum(done["residual"] for done in plain) == 0
    assert [done["residual"] for done in added] == [8, 8, 8, 8, 0]


@pytest.mark.parametrize("coded", [False, True])
def test_taps_are_stated_as_they_were_pruned(coded: bool) -> None:
    for block in (4, 8):
        chosen = choose_taps(weights_of(32, 0.25, block), block, coded=coded)
        assert (chosen.block, chosen.dense) == (block, False)


def test_taps_that_nobody_shares_are_stated_by_channel() -> None:
    depthwise = np.zeros((16, 16, 3, 3), np.int8)
    depthwise[np.arange(16), np.arange(16)] = 5
    assert choose_taps(depthwise, 4, coded=False).block == 1


def test_a_layer_of_codes_with_a_hole_or_two_is_stated_dense() -> None:
    weights = weights_of(32, 1.0, 4)
    for block in range(8):
        weights[4 * block : 4 * block + 4, block, 1, 1] = 0
    assert not shared_taps(weights, 4).all()
    assert choose_taps(weights, 4, coded=True).dense


def test_no_weight_is_without_a_tap() -> None:
    for density in (1.0, 0.9, 0.5, 0.1):
        for coded in (False, True):
            weights = weights_of(13, density, 4)
            chosen = choose_taps(weights, 4, coded=coded)
            present = np.repeat(chosen.taps, chosen.block, axis=0)[:13]
            assert not weights[~present].any()


def test_the_fit_finds_constants_and_none_below_zero() -> None:
    random = np.random.default_rng(0)
    counts = random.random((20, 3))
    assert fitted(counts, counts @ [3.0, 0.5, 2.0]) == pytest.approx([3.0, 0.5, 2.0])
    assert fitted(counts, counts @ [3.0, -0.2, 2.0]).min() == 0
