"""Taps are cut for good, in blocks of four output channels, and weights become int8."""

from __future__ import annotations

import pytest
import torch

from kernels.compiler.quantise import quantise_weights
from kernels.plan import scale_values
from overfit.networks import Expert, NetworkConfig, build
from overfit.networks.wdsr import Block
from overfit.pruning import TapPruner, begin_rounding, cubic_density, end_rounding, quantise


def block(expert: Expert, index: int = 0) -> Block:
    found = expert.body[index]
    assert isinstance(found, Block)
    return found


def test_density_falls_by_the_cubic_law() -> None:
    assert cubic_density(0, 0.1, 0.5, 0.25) == 1
    assert cubic_density(0.3, 0.1, 0.5, 0.25) == pytest.approx(0.25 + 0.75 / 8)
    assert cubic_density(0.9, 0.1, 0.5, 0.25) == 0.25


def test_a_tap_lives_or_dies_for_four_channels_together() -> None:
    torch.manual_seed(0)
    expert = build(NetworkConfig(units=8, blocks=2))
    pruner = TapPruner(expert)
    for density in (0.8, 0.5, 0.25):
        pruner.tighten(density)
    assert pruner.density() == pytest.approx(0.25, abs=0.01)
    assert expert.head.weight.all()
    for index in range(2):
        alive = torch.ne(block(expert, index).widen.weight, 0).reshape(4, 4, 8, 3, 3)
        assert torch.equal(alive.all(1), alive.any(1))


def test_what_was_cut_stays_cut() -> None:
    torch.manual_seed(0)
    expert = build(NetworkConfig(units=8, blocks=1))
    pruner = TapPruner(expert)
    pruner.tighten(0.5)
    gone = torch.eq(block(expert).widen.weight, 0)
    with torch.no_grad():
        block(expert).widen.weight.add_(9.0)
    pruner.apply()
    assert torch.equal(torch.eq(block(expert).widen.weight, 0), gone)
    pruner.tighten(0.4)
    assert not block(expert).widen.weight[gone].any()


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_rounding_is_within_half_a_step_and_a_plan_holds_it_exactly(bits: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(8, 3, 3, 3)
    rounded = quantise(weight, bits)
    step = weight.abs().amax((1, 2, 3), keepdim=True) / (2 ** (bits - 1) - 1) * 2**0.125
    assert ((rounded - weight).abs() <= step / 2 + 1e-6).all()
    integers, codes = quantise_weights(rounded.numpy(), bits)
    held = integers * scale_values()[codes][:, None, None, None]
    assert torch.allclose(torch.from_numpy(held), rounded, rtol=1e-5, atol=0)
    assert len(rounded[0].unique()) <= 2**bits


def test_rounded_weights_still_learn_and_become_plain() -> None:
    torch.manual_seed(0)
    expert = build(NetworkConfig(units=4, blocks=1))
    begin_rounding(expert)
    luma = torch.rand(1, 1, 8, 8)
    expert(luma, luma).square().mean().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in expert.parameters())
    before = expert(luma, luma)
    end_rounding(expert)
    assert torch.equal(expert(luma, luma), before)
    assert all(len(row.unique()) <= 255 for row in expert.head.weight)
