"""Experts are kept where they pay, and the figures are those of what is kept."""

import numpy as np
import pytest

from overfit.metrics import psnr_of
from overfit.trial import SegmentTrial, quality_of


def test_a_patch_takes_the_better_of_expert_and_interpolation() -> None:
    trial = SegmentTrial(
        network=np.array([[10, 50], [10, 50]]),
        bicubic=np.array([[20, 40], [20, 40]]),
        lanczos=np.array([55, 55]),
    )
    assert trial.pays().tolist() == [True, False]
    assert trial.mixed().tolist() == [50, 50]
    quality = quality_of([trial, trial], samples=100)
    assert quality.psnr_y == pytest.approx(psnr_of(50, 100))
    assert quality.psnr_y_bicubic == pytest.approx(psnr_of(60, 100))
    assert quality.psnr_y_lanczos == pytest.approx(psnr_of(55, 100))


def test_a_draw_goes_to_interpolation() -> None:
    even = np.array([[30]])
    assert SegmentTrial(even, even, np.array([30])).pays().tolist() == [False]
