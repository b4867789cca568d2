"""Training learns, repeats itself, goes on where it was stopped, and respects the borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kernels.errors import CrispcastError
from overfit.adam import Adam
from overfit.inference import interpolate, upscale
from overfit.networks import NetworkConfig, build
from overfit.pruning import DENSE
from overfit.training import DivergedError, train
from overfit.training_config import TrainingConfig
from overfit.training_data import (
    TrainingData,
    WindowSampler,
    previous_frames,
    to_domain,
    unshuffle,
)
from tests.overfit.making import picture

NETWORK = NetworkConfig(units=8, blocks=1)


def make_data(plate: bool = False) -> TrainingData:
    """Eight frames of moving stripes, LR 48x32, finer than interpolation can follow."""
    y, x = np.mgrid[0:64, 0:96]
    hr = np.stack(
        [
            np.where((x + y // 2 + 2 * n) % 8 < 4, 60, 190).astype(np.uint8) // 2
            + picture(n, 96, 64) // 2
            for n in range(8)
        ]
    )
    lr = hr.reshape(8, 32, 2, 48, 2).mean((2, 4)).astype(np.uint8)
    samples = np.array(
        [(n, px, py, 24, 16) for n in range(8) for py in (0, 16) for px in (0, 24)], np.int32
    )
    plates = (np.ascontiguousarray(hr[0]),) if plate else ()
    return TrainingData(
        lr, hr, 2, previous_frames(8, (0, 4)), samples, plates, np.zeros(8, np.int32)
    )


def config(**changes: object) -> TrainingConfig:
    settings: dict = {"steps": 40, "batch": 2, "tile": 16, "threads": 1, "warmup": 5}
    return TrainingConfig(**(settings | changes))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((a.astype(float) - b) ** 2).mean()))


def test_training_beats_interpolation_with_a_quarter_of_the_taps() -> None:
    data = make_data()
    seen = []
    trained = train(data, NETWORK, config(steps=100), on_progress=lambda *now: seen.append(now))
    network = psnr(upscale(trained.network, data.lr[5], data.lr[4]), data.hr[5])
    assert network > psnr(interpolate(data.lr[5], 2), data.hr[5]) + 1
    assert trained.density == pytest.approx(0.25, abs=0.02)
    assert seen[-1][:2] == (100, 1.0)
    assert seen[-1][2] == pytest.approx(network, abs=6)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    weights = [
        train(make_data(), NETWORK, config(seed=seed)).network.head.weight for seed in (3, 3, 4)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("stop", [20, 55])
def test_a_stopped_training_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    whole = train(make_data(), NETWORK, config(steps=60)).network
    checkpoint = tmp_path / "expert.pt"

    def kill(step: int, *_: float) -> None:
        if step >= stop:
            raise KilledError

    with pytest.raises(KilledError):
        train(make_data(), NETWORK, config(steps=60), checkpoint=checkpoint, on_progress=kill)
    assert [path.name for path in tmp_path.iterdir()] == ["expert.pt"]
    steps: list[int] = []
    resumed = train(
        make_data(),
        NETWORK,
        config(steps=60),
        checkpoint=checkpoint,
        on_progress=lambda step, *_: steps.append(step),
    ).network
    assert steps[0] >= stop
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_a_checkpoint_of_something_else_or_garbage_is_not_used(tmp_path: Path) -> None:
    checkpoint = tmp_path / "expert.pt"
    checkpoint.write_bytes(b"garbage")
    steps: list[int] = []
    train(
        make_data(),
        NETWORK,
        config(steps=20),
        checkpoint=checkpoint,
        on_progress=lambda step, *_: steps.append(step),
    )
    assert steps == [20]


def test_a_checkpoint_that_cannot_be_written_costs_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    monkeypatch.setattr("torch.save", full)
    train(make_data(), NETWORK, config(steps=20), checkpoint=tmp_path / "expert.pt")
    assert list(tmp_path.iterdir()) == []


def test_inside_the_mask_a_window_sees_what_the_whole_frame_sees() -> None:
    torch.manual_seed(0)
    data = make_data()
    expert = build(NETWORK).requires_grad_(False)
    for parameter in expert.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    sampler = WindowSampler(data, NETWORK.inputs, NETWORK.radius, 16, 0.0)
    whole = {
        n: expert(
            to_domain(data.lr[n][None, None]), to_domain(data.lr[data.previous[n]][None, None])
        )[0, 0]
        for n in range(8)
    }
    batch = sampler.draw(24, np.random.default_rng(5))
    made = expert(**batch.inputs)
    for index in range(24):
        mask = batch.mask[index, 0] > 0
        assert 0.3 < float(mask.float().mean()) <= 1
        rows, columns = mask.shape
        # Find the window in the video by its target, then compare with the whole frame there.
        target = batch.target[index, 0]
        matches = [
            (n, y, x)
            for n in range(8)
            for y in range(0, 64 - rows + 1, 2)
            for x in range(0, 96 - columns + 1, 2)
            if torch.equal(to_domain(data.hr[n][y : y + rows, x : x + columns].copy()), target)
        ]
        errors = [
            float((whole[n][y : y + rows, x : x + columns] - made[index, 0])[mask].abs().max())
            for n, y, x in matches
        ]
        assert min(errors) < 1e-5


def test_only_the_chunks_own_patches_count() -> None:
    data = make_data()
    own = data.samples[(data.samples[:, 1] == 0) & (data.samples[:, 2] == 0)]
    part = TrainingData(data.lr, data.hr, 2, data.previous, own)
    sampler = WindowSampler(part, NETWORK.inputs, NETWORK.radius, 48, 0.0)
    batch = sampler.draw(1, np.random.default_rng(0))
    assert batch.mask.shape == (1, 1, 64, 96)
    assert float(batch.mask.sum()) == 24 * 16 * 4
    assert float(batch.mask[0, 0, :32, :48].min()) == 1


def test_previous_never_crosses_a_segments_start() -> None:
    assert previous_frames(6, (0, 3)).tolist() == [0, 0, 1, 3, 3, 4]


def test_a_plates_planes_are_in_the_plan_formats_order() -> None:
    plane = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6)
    planes = unshuffle(plane, 2)
    assert planes.shape == (4, 2, 3)
    assert planes[2 * 1 + 0, 1, 2] == plane[2 * 1 + 1, 2 * 2 + 0]


def test_a_plate_helps_and_its_absence_is_no_disaster() -> None:
    data = make_data(plate=True)
    network = NetworkConfig(units=8, blocks=1, inputs=("luma", "previous", "plate"))
    trained = train(data, network, config(steps=100, pruning=DENSE, plate_dropout=0.3)).network
    low, truth = data.lr[0], data.hr[0]
    plain = psnr(interpolate(low, 2), truth)
    assert psnr(upscale(trained, low, low, data.plate_of_frame(0)), truth) > plain + 1
    assert psnr(upscale(trained, low, low), truth) > plain - 1


def test_scale_3_and_4_train(tmp_path: Path) -> None:
    for scale in (3, 4):
        hr = np.stack([picture(n, 32 * scale, 24 * scale) for n in range(3)])
        lr = np.ascontiguousarray(hr[:, ::scale, ::scale])
        samples = np.array([(n, 0, 0, 32, 24) for n in range(3)], np.int32)
        data = TrainingData(lr, hr, scale, previous_frames(3, (0,)), samples)
        trained = train(data, NetworkConfig(scale=scale, units=4, blocks=1), config(steps=4))
        assert upscale(trained.network, lr[1], lr[0]).shape == (24 * scale, 32 * scale)


def weights_of(network: torch.nn.Module) -> list[torch.Tensor]:
    return [value for value in network.state_dict().values() if value.is_floating_point()]


@pytest.mark.parametrize("budget", [1e-6, 0.7])
def test_a_training_ends_with_its_budget_as_the_same_kind_of_network(budget: float) -> None:
    told: list[tuple[int, float, float]] = []
    endless = config(steps=10_000_000, budget=budget)
    trained = train(make_data(), NETWORK, endless, on_progress=lambda *now: told.append(now))
    assert trained.seconds < budget + 1  # one step is the most that it may be late
    assert trained.steps < 10_000
    assert told[-1][:2] == (trained.steps, 1.0)
    assert trained.density == pytest.approx(0.25, abs=0.02)
    for name, weight in trained.network.named_parameters():
        if weight.dim() == 4:  # rounded to five bits
            assert weight.isfinite().all()
            for channel in weight.flatten(1):
                assert len(channel.abs().unique()) <= 16, name


def test_a_budget_that_is_not_needed_changes_nothing() -> None:
    free = train(make_data(), NETWORK, config()).network
    bound = train(make_data(), NETWORK, config(budget=3600.0)).network
    assert all(map(torch.equal, weights_of(free), weights_of(bound)))


class KilledError(Exception):
    """Stands for a kill."""


def test_what_a_killed_training_took_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    endless = config(steps=10_000_000, budget=1.0)

    def kill(_: int, progress: float, __: float) -> None:
        if progress > 0.5:
            raise KilledError

    file, told = tmp_path / "expert.pt", []
    with pytest.raises(KilledError):
        train(make_data(), NETWORK, endless, checkpoint=file, on_progress=kill)
    train(
        make_data(),
        NETWORK,
        endless,
        checkpoint=file,
        on_progress=lambda _, progress, __: told.append(progress),
    )
    assert told[0] > 0.4


def spoil_gradients(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The update number `at` gives a weight that is no number; its error shows only in the next."""
    step, calls = Adam.step, 0

    def spoilt(optimizer: Adam, rate: float) -> None:
        nonlocal calls
        calls += 1
        step(optimizer, rate)
        if calls == at:
            with torch.no_grad():
                optimizer._weights[0].fill_(float("nan"))

    monkeypatch.setattr(Adam, "step", spoilt)


@pytest.mark.parametrize("at", [7, 40], ids=["on the way", "in the last step"])
def test_weights_that_are_no_numbers_cost_one_calmer_training(
    monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    spoil_gradients(monkeypatch, at)
    trained = train(make_data(), NETWORK, config())
    assert all(weight.isfinite().all() for weight in weights_of(trained.network))
    assert np.isfinite(trained.psnr_y)


def test_a_training_that_diverges_twice_is_refused_with_a_sentence() -> None:
    with pytest.raises(DivergedError, match=r"diverged twice.*--seed"):
        train(make_data(), NETWORK, config(learning_rate=1e30))


def test_a_killed_second_attempt_goes_on_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    file, told = tmp_path / "expert.pt", []
    attempts: list[int] = []

    def kill(step: int, *_: float) -> None:
        attempts.append(step)
        if attempts == [20, 20]:
            raise KilledError

    spoil_gradients(monkeypatch, at=25)
    with pytest.raises(KilledError):
        train(make_data(), NETWORK, config(), checkpoint=file, on_progress=kill)
    spoil_gradients(monkeypatch, at=0)
    resumed = train(
        make_data(),
        NETWORK,
        config(),
        checkpoint=file,
        on_progress=lambda step, *_: told.append(step),
    )
    assert told == [20, 40]
    calm = train(make_data(), NETWORK, config(learning_rate=config().rate / 3))
    assert all(map(torch.equal, weights_of(calm.network), weights_of(resumed.network)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"round_begin": 0.5},
        {"bits": 9},
        {"plate_dropout": 2.0},
        {"tile": 4},
        {"budget": 0.0},
        {"budget": float("nan")},
        {"settled": 0.0},
    ],
)
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(CrispcastError):
        config(**wrong)
