"""PSNR, SSIM and VMAF-NEG against what they are defined to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from overfit import metrics
from overfit.vmaf import VmafNeg, find_ffmpeg


def noise(seed: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def test_psnr_of_a_known_error() -> None:
    flat = np.full((10, 10), 100, np.uint8)
    assert metrics.psnr_y(flat, flat + 1) == pytest.approx(20 * math.log10(255))
    assert metrics.psnr_y(flat, flat) == metrics.LOSSLESS_DB
    assert metrics.psnr_y(np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)) == 0


def test_squared_error_does_not_overflow() -> None:
    black, white = np.zeros((1080, 1920), np.uint8), np.full((1080, 1920), 255, np.uint8)
    assert metrics.squared_error(black, white) == 255**2 * 1080 * 1920


def test_pooling_is_by_mean_squared_error() -> None:
    assert metrics.pooled_psnr([30.0, 30.0]) == pytest.approx(30)
    assert metrics.pooled_psnr([20.0, 100.0]) == pytest.approx(20 + 10 * math.log10(2), abs=1e-3)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_grey_is_grey_by_any_matrix(matrix: int, full_range: bool) -> None:
    black, white = (0, 255) if full_range else (16, 235)
    y = np.array([[black, white]], np.uint8)
    chroma = np.full((1, 1), 128, np.uint8)
    rgb = metrics.RgbConversion(matrix, full_range)((y, chroma, chroma))
    assert rgb.tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_primaries_by_bt601() -> None:
    # ITU-R BT.601, limited range: red is 81, 90, 240.
    plane = [np.full((2, 2), value, np.uint8) for value in (81, 90, 240)]
    red = metrics.RgbConversion(6, False)((plane[0], plane[1][:1, :1], plane[2][:1, :1]))
    assert np.abs(red.astype(int) - [254, 0, 0]).max() <= 1


def test_ssim_as_its_authors_define_it() -> None:
    a = noise(1)
    moved = a.astype(int) + np.random.default_rng(2).integers(-40, 40, a.shape)
    b = np.clip(moved, 0, 255).astype(np.uint8)
    x = np.arange(-5, 6)
    window = np.exp(-(x**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    values = []
    for row in range(a.shape[0] - 10):
        for column in range(a.shape[1] - 10):
            p, q = (i[row : row + 11, column : column + 11].astype(float) for i in (a, b))
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
            cov = (window * p * q).sum() - mp * mq
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append(
                ((2 * mp * mq + c1) * (2 * cov + c2)) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
            )
    assert metrics.ssim(a, b) == pytest.approx(np.mean(values), abs=1e-4)
    assert metrics.ssim(a, a) == pytest.approx(1)


def test_ssim_needs_a_window() -> None:
    with pytest.raises(ValueError, match="11×11"):
        metrics.ssim(noise(0, 8, 8), noise(1, 8, 8))


def test_lanczos_keeps_centres() -> None:
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (8, 1))
    large = metrics.lanczos(ramp, 2)
    assert large.shape == (16, 32)
    # Half-pixel centres: a ramp of 10 a pixel becomes one of 5, shifted by a quarter pixel.
    assert np.abs(large[8, 8:24].astype(float) - (np.arange(8, 24) * 5 - 2.5)).max() <= 1


def test_vmaf_neg_ranks_pictures() -> None:
    if find_ffmpeg().path is None:
        pytest.skip(f"VMAF: {find_ffmpeg().reason}")
    y, x = np.mgrid[0:96, 0:128]
    truth = (np.sin(x / 3) * 60 + np.cos(y / 5) * 50 + 120).astype(np.uint8)
    chroma = np.full((48, 64), 128, np.uint8)
    worse = np.clip(truth.astype(int) + noise(3, 96, 128) // 4, 0, 255).astype(np.uint8)
    good, bad = VmafNeg(128, 96, 1), VmafNeg(128, 96, 1)
    for _ in range(4):
        good.add((truth, chroma, chroma), (truth, chroma, chroma))
        bad.add((truth, chroma, chroma), (worse, chroma, chroma))
    high, low = good.scores(), bad.scores()
    assert high is not None
    assert low is not None
    assert len(high) == len(low) == 4
    assert min(high) > 90 > max(low)
