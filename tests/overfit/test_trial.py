"""Experts are kept where they pay, and the figures are those of what is kept."""

from pathlib import Path

import numpy as np
import pytest

from overfit.metrics import psnr_of
from overfit.trial import SegmentErrors, quality_of
from server.encoding.assembly import load_trials, save_trials


def test_a_patch_takes_the_better_of_expert_and_interpolation() -> None:
    trial = SegmentErrors(
        network=np.array([[10, 50], [10, 50]]),
        bicubic=np.array([[20, 40], [20, 40]]),
        lanczos=np.array([55, 55]),
    ).judged(100)
    assert trial.pays.tolist() == [True, False]
    assert trial.mixed.tolist() == [50, 50]
    quality = quality_of([trial, trial], samples=100)
    assert quality.psnr_y == pytest.approx(psnr_of(50, 100))
    assert quality.psnr_y_bicubic == pytest.approx(psnr_of(60, 100))
    assert quality.psnr_y_lanczos == pytest.approx(psnr_of(55, 100))


def test_a_draw_goes_to_interpolation() -> None:
    even = np.array([[30]])
    assert SegmentErrors(even, even, np.array([30])).judged(100).pays.tolist() == [False]


def test_less_error_in_all_is_no_gain_where_most_frames_lose() -> None:
    """A flash: the expert saves much in one busy frame, and spoils nine that were perfect."""
    bicubic = np.array([[9000, 10]] + [[1, 10]] * 9)
    network = np.array([[8000, 5]] + [[50, 5]] * 9)
    assert network.sum() < bicubic.sum()
    trial = SegmentErrors(network, bicubic, bicubic.sum(axis=1)).judged(100)
    assert trial.pays.tolist() == [False, True]
    quality = quality_of([trial], samples=100)
    assert quality.psnr_y > quality.psnr_y_bicubic


def test_experts_that_help_no_choice_of_patches_are_left_out() -> None:
    bicubic = np.array([[10_000, 10_000], [0, 0]])
    network = np.array([[5_000, 5_000], [400, 400]])
    trial = SegmentErrors(network, bicubic, bicubic.sum(axis=1)).judged(100)
    assert trial.pays.tolist() == [False, False]


def test_what_is_kept_of_a_long_video_does_not_grow_with_its_patches(tmp_path: Path) -> None:
    bicubic = np.full((240, 500), 7)
    trials = [SegmentErrors(bicubic - n, bicubic, bicubic.sum(axis=1)).judged(100) for n in (0, 1)]
    save_trials(tmp_path, trials)
    found = load_trials(tmp_path)
    assert [trial.pays.any() for trial in found] == [False, True]
    kept = [array for trial in found for array in vars(trial).values()]
    assert sum(array.nbytes for array in kept) < 2 * bicubic.nbytes / 50
    assert quality_of(found, 100) == quality_of(trials, 100)
