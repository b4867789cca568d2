"""The protocols of papers, and flicker: errors put where they count, or do not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from overfit.metrics import (
    PROTOCOLS,
    FlickerReference,
    Protocol,
    psnr_of,
    squares,
    video_flicker,
)
from overfit.metrics.protocols import Name

H, W = 1080, 1920


def error_at(rows: slice, columns: slice) -> np.ndarray:
    error = np.zeros((H, W), np.int32)
    error[rows, columns] = 100
    return error


@pytest.mark.parametrize("scale, share", [(2, 84 * 96 / (96 * 108)), (4, 176 * 200 / (192 * 216))])
def test_stdo_counts_the_middles_of_patches(scale: int, share: float) -> None:
    counted = Protocol("stdo", scale).frame(np.ones((H, W), np.int32))
    assert counted.samples == counted.squared == round(share * H * W)


def test_stdo_does_not_see_seams() -> None:
    protocol = Protocol("stdo", 2)
    patch_width = 96
    seam = error_at(slice(0, H), slice(patch_width - 6, patch_width + 6))
    assert protocol.frame(seam).squared == 0
    assert protocol.frame(error_at(slice(0, H), slice(6, 7))).squared > 0
    # 1090 rows are ten patches of 108, the last of which takes the other ten rows.
    tall = np.ones((1090, W), np.int32)
    assert protocol.frame(tall).samples == (9 * 96 + 106) * 20 * 84


def test_cafm_shaves_the_frame_alone() -> None:
    protocol = Protocol("cafm", 4)
    assert protocol.frame(np.ones((H, W), np.int32)).samples == (H - 20) * (W - 20)
    assert protocol.frame(error_at(slice(0, 10), slice(0, W))).squared == 0
    assert protocol.frame(error_at(slice(10, 11), slice(10, 11))).squared == 100


def test_ours_counts_everything() -> None:
    counted = Protocol("whole_frame", 3).frame(np.ones((50, 60, 3), np.int32))
    assert counted.samples == counted.squared == 9000


@pytest.mark.parametrize("name", PROTOCOLS)
def test_any_protocol_of_a_constant_error(name: Name) -> None:
    protocol = Protocol(name, 2)
    a = np.full((240, 320, 3), 90, np.uint8)
    frames = [protocol.frame(squares(a, a + 2))] * 3
    assert protocol.psnr(frames) == pytest.approx(10 * math.log10(255**2 / 4))


def test_stdo_pools_and_the_others_take_the_mean() -> None:
    a = np.full((240, 320), 90, np.uint8)
    pair = [squares(a, a + 1), squares(a, a + 10)]
    one, ten = psnr_of(1, 1), psnr_of(100, 1)
    for name in PROTOCOLS:
        protocol = Protocol(name, 2)
        found = protocol.psnr([protocol.frame(s) for s in pair])
        expected = psnr_of(101, 2) if name == "stdo" else (one + ten) / 2
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", ["stdo", "cafm"])
def test_a_frame_that_shaving_leaves_nothing_of(name: Name) -> None:
    with pytest.raises(ValueError, match="too small"):
        Protocol(name, 4).frame(np.ones((16, 16), np.int32))


def test_squares_are_exact() -> None:
    a, b = np.array([[0, 255, 7]], np.uint8), np.array([[255, 0, 9]], np.uint8)
    assert squares(a, b).tolist() == [[65025, 65025, 4]]
    with pytest.raises(ValueError, match="cannot compare"):
        squares(a, b.T)


def noisy(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(120, 1, (64, 80)), 0, 255).astype(np.uint8)


def test_a_constant_error_does_not_flicker() -> None:
    before, now = noisy(1), noisy(2)
    reference = FlickerReference.of(now, before)
    assert reference.share == 1
    assert reference.flicker(now, before) == 0
    assert reference.flicker(now + 9, before + 9) == 0


def test_flicker_is_the_change_of_the_error() -> None:
    before, now = noisy(1), noisy(2)
    reference = FlickerReference.of(now, before)
    assert reference.flicker(now + 5, before + 2) == pytest.approx(3)
    half = now.copy()
    half[:, 40:] += 4
    assert reference.flicker(half, before) == pytest.approx(math.sqrt(8))


def test_what_moves_does_not_count() -> None:
    before, now = noisy(1), noisy(2)
    now[:, 48:] += 60  # three of five columns of blocks stand still
    reference = FlickerReference.of(now, before)
    assert reference.share == pytest.approx(0.6)
    made = now.copy()
    made[:, 48:] ^= 31
    assert reference.flicker(made, before) == 0
    moving = FlickerReference.of(now + 60, before)
    assert moving.share == 0
    assert moving.flicker(now, before) is None


def test_flicker_of_a_video() -> None:
    assert video_flicker([None, 3.0, 4.0]) == pytest.approx(math.sqrt(12.5))
    assert video_flicker([None]) is None
