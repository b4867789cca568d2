"""A training that has nothing more to learn ends early, as the same kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from overfit.convergence import Convergence
from overfit.inference import interpolate
from overfit.training import Trained, train
from overfit.training_data import TrainingData
from tests.overfit.test_training import NETWORK, config, make_data

STEPS = 1000


def nothing_to_learn() -> TrainingData:
    """Interpolation is all there is: HR is what it makes of the LR."""
    data = make_data()
    return replace(data, hr=np.stack([interpolate(lr, 2) for lr in data.lr]))


def noise() -> TrainingData:
    """HR that has nothing to do with the LR."""
    data = make_data()
    codes = np.random.default_rng(1).integers(0, 256, data.hr.shape)
    return replace(data, hr=codes.astype(np.uint8))


def trained(data: TrainingData, **changes: object) -> Trained:
    settings = {"steps": STEPS, "learning_rate": 1e-3, **changes}
    return train(data, NETWORK, config(**settings))


def test_errors_that_stand_still_are_convergence() -> None:
    still, moving, noisy = (Convergence(STEPS, 0.02) for _ in range(3))
    for number in range(4):
        assert not still.reached
        still.see(2.0)
        moving.see(2.0 * 0.99**number)
        noisy.see(2.0 + 0.1 * (number % 2))
    assert still.reached
    assert not moving.reached
    assert not noisy.reached


def test_only_the_last_errors_count() -> None:
    watched = Convergence(STEPS, 0.02)
    for error in (9.0, 7.0, 5.0, 3.0, 1.0, 1.0, 1.0):
        watched.see(error)
        assert not watched.reached
    watched.see(1.0)
    assert watched.reached


def test_errors_that_nobody_sees_are_alike() -> None:
    watched = Convergence(STEPS, 0.02)
    for codes in (0.4, 0.3, 0.1, 0.2):
        watched.see((codes / 128) ** 2)
    assert watched.reached


def test_checks_are_few() -> None:
    assert sum(Convergence(5000, 0.02).due(step) for step in range(1, 5001)) == 20
    assert sum(Convergence(200, 0.02).due(step) for step in range(1, 201)) == 4
    assert not any(Convergence(5000, None).due(step) for step in range(5001))


@pytest.mark.parametrize("make", [nothing_to_learn, noise])
def test_where_nothing_is_learned_training_ends_early_pruned_and_rounded(
    make: Callable[[], TrainingData],
) -> None:
    found = trained(make())
    assert found.steps < 0.75 * STEPS
    assert found.density == pytest.approx(0.25, abs=0.02)


def test_where_something_is_learned_every_step_is_made() -> None:
    weights = []
    for settled in (0.02, None):
        found = trained(make_data(), settled=settled, steps=300)
        assert found.steps == 300
        weights.append(found.network.head.weight)
    assert torch.equal(*weights)  # looking on changes nothing


def test_a_training_stopped_after_it_converged_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overfit.checkpoint.SECONDS", 0.0)
    whole = trained(nothing_to_learn())

    class StoppedError(Exception):
        pass

    def halt(step: int, progress: float, db: float) -> None:
        if progress > step / STEPS + 0.1:
            raise StoppedError

    settings = config(steps=STEPS, learning_rate=1e-3)
    file = tmp_path / "training"
    with pytest.raises(StoppedError):
        train(nothing_to_learn(), NETWORK, settings, checkpoint=file, on_progress=halt)
    again = train(nothing_to_learn(), NETWORK, settings, checkpoint=file)
    assert again.steps == whole.steps
    assert torch.equal(again.network.head.weight, whole.network.head.weight)
