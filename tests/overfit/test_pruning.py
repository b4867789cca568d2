"""Every legal combination of pattern, schedule and allocation does what was asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kernels import reference
from kernels.compiler import compile_module, decode_plan, encode_plan
from kernels.compiler.quantise import quantise_weights
from kernels.errors import CrispcastError
from kernels.plan import scale_values
from kernels.runtime import Engine, Plan
from overfit.networks import Expert, NetworkConfig, build
from overfit.pruning import (
    ALLOCATIONS,
    PATTERNS,
    SCHEDULES,
    UNIFORM_ONLY,
    PrunedWeights,
    PruningConfig,
    begin_rounding,
    end_rounding,
    quantise,
)
from overfit.pruning.allocation import erk, scaled
from overfit.pruning.rate_distortion import Choice, cheapest
from overfit.pruning.schedules import cubic_density
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import Batch, WindowSampler
from tests.overfit.test_training import KilledError, make_data

NETWORK = NetworkConfig(units=8, blocks=1)
DATA = make_data()
UNIT = {"unstructured": 1, "taps": 4, "regrouped": 4, "bcr": 36, "kernels": 4, "n:m": 1}
"""Weights that are cut at once."""


def combinations() -> Iterator[tuple[str, str, str]]:
    for pattern, schedule in itertools.product(PATTERNS, SCHEDULES):
        for allocation in ("uniform",) if pattern in UNIFORM_ONLY else ALLOCATIONS:
            yield pattern, schedule, allocation


def training(pattern: str, schedule: str, allocation: str, **pruning: object) -> TrainingConfig:
    settings: dict = {"density": 0.25, "begin": 0.2, "end": 0.7, "every": 2} | pruning
    return TrainingConfig(
        steps=12,
        batch=1,
        tile=16,
        threads=1,
        warmup=2,
        pruning=PruningConfig(pattern, schedule, allocation, **settings),
    )


def body(expert: Expert) -> dict[str, torch.Tensor]:
    """The weights that can be pruned."""
    return {
        name: value.detach()
        for name, value in expert.named_parameters()
        if value.dim() == 4 and name.startswith("body")
    }


@pytest.mark.parametrize(("pattern", "schedule", "allocation"), combinations())
def test_every_combination_ends_at_its_density_as_a_plan_that_runs(
    pattern: str, schedule: str, allocation: str
) -> None:
    trained = train(DATA, NETWORK, training(pattern, schedule, allocation))
    weights = body(trained.network)
    total = sum(weight.numel() for weight in weights.values())
    # Whole units of each layer, and the rounding of each layer's number of them.
    exact = len(weights) * UNIT.get(pattern, 0) / total
    assert trained.density == pytest.approx(0.25, abs=exact)
    alive = sum(int(weight.count_nonzero()) for weight in weights.values())
    assert alive <= round(trained.density * total)
    plan = decode_plan(compile_module(trained.network, 2, trained.bits))
    low, before = DATA.lr[5], DATA.lr[4]
    half = np.full((16, 24), 128, np.uint8)
    prepared = Plan(encode_plan(plan))
    made, *_ = Engine(1).upscale((low, half, half), 2, plans=[prepared], previous=before)
    wanted = reference.run_plan(plan, low, before)
    assert np.abs(made.astype(int) - wanted.astype(int)).max() <= 1


@pytest.mark.parametrize("stop", [5, 11])
@pytest.mark.parametrize(
    ("pattern", "schedule", "allocation"),
    [
        *(("taps", schedule, "ranked") for schedule in SCHEDULES),
        *(("channels", schedule, "uniform") for schedule in SCHEDULES),
        ("taps", "cubic", "rate-distortion"),
        ("regrouped", "grow", "erk"),
    ],
)
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pattern: str,
    schedule: str,
    allocation: str,
    stop: int,
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    config = training(pattern, schedule, allocation)
    whole = train(DATA, NETWORK, config).network
    checkpoint = tmp_path / "expert.pt"
    draw, drawn = WindowSampler.draw, 0

    def kill(sampler: WindowSampler, count: int, random: np.random.Generator) -> Batch:
        nonlocal drawn
        drawn += count == config.batch
        if drawn > stop:
            raise KilledError
        return draw(sampler, count, random)

    monkeypatch.setattr(WindowSampler, "draw", kill)
    with pytest.raises(KilledError):
        train(DATA, NETWORK, config, checkpoint=checkpoint)
    monkeypatch.setattr(WindowSampler, "draw", draw)
    resumed = train(DATA, NETWORK, config, checkpoint=checkpoint).network
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def cut(pattern: str, density: float = 0.25, **settings: object) -> dict[str, torch.Tensor]:
    """Masks of random weights, bool, by layer."""
    torch.manual_seed(0)
    weights = PrunedWeights(build(NETWORK), PruningConfig(pattern, density=density, **settings))  # type: ignore[arg-type]
    return {name: mask > 0 for name, mask in weights.masks_at(density).items()}


def body_of(masks: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [mask for name, mask in masks.items() if name.startswith("body") and mask.dim() == 4]


def test_a_tap_lives_or_dies_for_four_output_channels_together() -> None:
    for mask in body_of(cut("taps")):
        blocks = mask.reshape(-1, 4, *mask.shape[1:])
        assert torch.equal(blocks.all(1), blocks.any(1))


def test_blocks_lose_whole_columns_and_whole_rows() -> None:
    lost = []
    for mask in body_of(cut("bcr", 0.3)):
        blocks = mask.reshape(-1, 8, mask.shape[1] // 4, 36).movedim(2, 1).flatten(0, 1)
        rows, columns = blocks.any(2), blocks.any(1)
        assert torch.equal(blocks, rows[:, :, None] & columns[:, None])
        lost += [rows.all(), columns.all()]
    assert not all(lost)


@pytest.mark.parametrize(("density", "group", "left"), [(0.5, 4, 2), (0.25, 4, 1), (0.125, 8, 1)])
def test_of_every_m_weights_n_are_left(density: float, group: int, left: int) -> None:
    for mask in body_of(cut("n:m", density, group=group)):
        out, inputs, *_ = mask.shape
        assert (mask.reshape(out, inputs // group, group, 3, 3).sum(2) == left).all()


def test_kernels_have_four_entries_of_eight_patterns_or_none() -> None:
    for mask in body_of(cut("kernels", 0.3)):
        kernels = mask.reshape(-1, 9)
        assert set(kernels.sum(1).tolist()) == {0, 4}
        alive = kernels[kernels.any(1)]
        assert alive[:, 4].all()
        assert len(alive.unique(dim=0)) <= 8


def test_channels_die_in_every_layer_that_writes_or_reads_them() -> None:
    masks = cut("channels")
    residual = masks["head.weight"].any((1, 2, 3))
    assert residual.sum() == 4
    for name, axis in (("body.0.widen", 1), ("body.0.narrow", 0), ("tail", 1)):
        mask = masks[f"{name}.weight"]
        found = mask.any([other for other in range(4) if other != axis])
        assert torch.equal(found, residual), name
    assert torch.equal(masks["body.0.narrow.bias"], residual)
    # With fewer bits a tap's weights may all round to zero, and it is left out.
    config = replace(training("channels", "cubic", "uniform"), bits=8)
    trained = train(DATA, NETWORK, config)
    plan = decode_plan(compile_module(trained.network, 2, trained.bits))
    assert [layer.cout for layer in plan.table.layers] == [4, 8, 4, 4]
    assert plan.density == 1


def test_a_regrouped_mask_costs_a_plan_no_more_than_taps_do() -> None:
    found = {}
    for pattern in ("taps", "regrouped", "unstructured"):
        # By 8 bits hardly a tap rounds to zero, which would be chance and not the mask.
        config = replace(training(pattern, "one-shot", "ranked"), bits=8)
        trained = train(DATA, NETWORK, config)
        found[pattern] = decode_plan(compile_module(trained.network, 2, trained.bits)).weights
    assert found["regrouped"] <= found["taps"] * 1.02
    assert found["regrouped"] < found["unstructured"]


def test_regrouping_finds_the_channels_that_want_the_same_taps() -> None:
    kept = {}
    for pattern in ("taps", "regrouped"):
        torch.manual_seed(0)
        expert = build(NetworkConfig(units=16, blocks=2))
        with torch.no_grad():
            for weight in body(expert).values():  # channels 0, 4, 8, ... want the same, and so on
                wants = torch.rand(4, *weight.shape[1:]) < 0.25
                weight.mul_(wants.repeat(len(weight) // 4, 1, 1, 1))
        before = sum(float(weight.square().sum()) for weight in body(expert).values())
        PrunedWeights(expert, PruningConfig(pattern)).tighten(0.25)
        after = sum(float(weight.square().sum()) for weight in body(expert).values())
        kept[pattern] = after / before
    assert kept["regrouped"] > 0.95 > 0.8 > kept["taps"]


def test_what_was_cut_stays_cut() -> None:
    torch.manual_seed(0)
    expert = build(NETWORK)
    weights = PrunedWeights(expert, PruningConfig())
    weights.tighten(0.5)
    gone = {name: torch.eq(weight, 0) for name, weight in body(expert).items()}
    with torch.no_grad():
        for weight in body(expert).values():
            weight.add_(9.0)
    weights.apply()
    assert all(torch.equal(torch.eq(w, 0), gone[name]) for name, w in body(expert).items())
    weights.tighten(0.4)
    assert not any(weight[gone[name]].any() for name, weight in body(expert).items())
    assert weights.density() == pytest.approx(0.4, abs=0.01)


def test_the_first_and_the_last_layer_stay_dense() -> None:
    trained = train(DATA, NETWORK, training("taps", "cubic", "ranked", density=0.1))
    assert trained.network.head.weight.count_nonzero() > 0.9 * trained.network.head.weight.numel()


def test_density_falls_by_the_cubic_law() -> None:
    assert cubic_density(0, 0.25) == 1
    assert cubic_density(0.5, 0.25) == pytest.approx(0.25 + 0.75 / 8)
    assert cubic_density(1, 0.25) == 0.25


def test_small_layers_stay_denser_by_erk_and_none_is_more_than_whole() -> None:
    shapes = [torch.Size((4, 4, 3, 3)), torch.Size((32, 32, 3, 3)), torch.Size((32, 16, 3, 3))]
    found = erk(shapes, 0.5)
    assert found[0] == 1 > found[2] > found[1]
    sizes = [shape.numel() for shape in shapes]
    left = sum(share * size for share, size in zip(found, sizes, strict=True))
    assert left == pytest.approx(0.5 * sum(sizes))
    assert scaled([3.0, 1.0], [10, 10], 0.95) == pytest.approx([1.0, 0.9])


def test_bytes_go_to_the_layer_that_suffers_most() -> None:
    tables = [
        [Choice(0.1, 10, 5.0), Choice(0.2, 20, 4.0), Choice(0.4, 40, 3.9)],
        [Choice(0.1, 10, 90.0), Choice(0.2, 20, 20.0), Choice(0.4, 30, 1.0)],
    ]
    assert [choice.density for choice in cheapest(tables, 40)] == [0.1, 0.4]
    assert [choice.density for choice in cheapest(tables, 80)] == [0.4, 0.4]
    assert [choice.density for choice in cheapest(tables, 5)] == [0.1, 0.1]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"density": 0.0}, "above 0"),
        ({"density": float("nan")}, "above 0"),
        ({"pattern": "stars"}, "choose taps"),
        ({"schedule": "never"}, "choose cubic"),
        ({"allocation": "fair"}, "choose ranked"),
        ({"pattern": "n:m", "density": 0.3}, "multiple of 0.25"),
        ({"pattern": "n:m", "group": 1}, "2 to 64"),
        ({"pattern": "n:m", "allocation": "erk"}, "allocation uniform"),
        ({"pattern": "kernels", "density": 0.5}, "up to 0.444"),
        ({"begin": 0.7, "end": 0.6}, "not above the second"),
        ({"every": 0}, "1 or more"),
        ({"strength": -1.0}, "above 0"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(wrong: dict, says: str) -> None:
    with pytest.raises(CrispcastError, match=says):
        PruningConfig(**wrong)


def test_a_pattern_that_does_not_fit_a_layer_is_refused_before_training() -> None:
    narrow = NetworkConfig(units=4, blocks=1)
    with pytest.raises(CrispcastError, match=r"body\.0\.widen, whose 4 input channels"):
        train(DATA, narrow, training("n:m", "cubic", "uniform", group=8))
    flat = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 1))
    with pytest.raises(CrispcastError, match="3x3 convolutions, and layer 0 is 1x1"):
        PrunedWeights(flat, PruningConfig("kernels"))
    with pytest.raises(CrispcastError, match="pattern channels fits no layer"):
        PrunedWeights(flat, PruningConfig("channels"))
    with pytest.raises(CrispcastError, match="no layer to prune"):
        PrunedWeights(torch.nn.Sequential(), PruningConfig())


def test_a_density_of_one_prunes_nothing() -> None:
    trained = train(DATA, NETWORK, training("taps", "cubic", "ranked", density=1.0))
    assert trained.density == 1.0


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
