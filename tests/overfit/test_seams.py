"""Seams: errors on the borders of patches are found with their size, and those of content are not.

The error is a field of noise whose strength varies over the picture, as that of real footage does.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from overfit.metrics import SeamErrors, SeamGrid

H, W = 704, 1280
PATCH_W, PATCH_H = 104, 88  # what an encode at scale 2 gives 720p


def patches(width: int = PATCH_W, height: int = PATCH_H) -> list[tuple[int, int, int, int]]:
    return [(x, y, width, height) for y in range(0, H, height) for x in range(0, W, width)]


GRID = SeamGrid.of(patches(), H, W, scale=2)


def measured(error: np.ndarray, grid: SeamGrid = GRID) -> SeamErrors:
    truth = np.full((H, W), 128, np.uint8)
    return SeamErrors.of(truth, (truth + np.rint(error)).astype(np.uint8), grid)


def noise(seed: int = 0, strength: np.ndarray | float = 6.0) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(0, 1, (H, W)) * strength, -100, 100)


def content() -> np.ndarray:
    """Strength of the error: a horizon, a tree that leans, and a slope of light."""
    y, x = np.mgrid[0:H, 0:W]
    return 2 + 8 * (y > 301) + 6 * (abs(x - 500 - 0.3 * y) < 47) + 4 * x / W


def beside_borders() -> np.ndarray:
    """Where a border is at most two samples away."""
    y, x = np.mgrid[0:H, 0:W]
    columns = ((x + 2) % PATCH_W < 4) & (x > 2) & (x < W - 2)
    rows = ((y + 2) % PATCH_H < 4) & (y > 2) & (y < H - 2)
    return columns | rows


def gap(error: np.ndarray, grid: SeamGrid = GRID) -> float:
    found = measured(error, grid).gap
    assert found is not None
    return found


def test_an_error_on_the_borders_is_found_with_its_size() -> None:
    field = noise(strength=content())
    seamed = np.where(beside_borders(), field * 1.5, field)
    assert gap(seamed) == pytest.approx(20 * math.log10(1.5), abs=0.1)
    better = np.where(beside_borders(), field / 1.5, field)
    assert gap(better) == pytest.approx(-20 * math.log10(1.5), abs=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_content_makes_no_seams(seed: int) -> None:
    found = measured(noise(seed, content()))
    assert found.gap == pytest.approx(0, abs=0.1)
    assert found.step == pytest.approx(0, abs=0.2)


def test_a_border_that_falls_on_hard_content_is_no_seam() -> None:
    y, _ = np.mgrid[0:H, 0:W]
    hard = 2 + 10 * (abs(y - 4 * PATCH_H) < 24)  # a strip of grass along a row of borders
    assert gap(noise(strength=hard)) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_worse_sub_pixels_are_no_seams(scale: int) -> None:
    """A network that shuffles is not equally good at each sub-pixel; patches end at the first."""
    grid = SeamGrid.of(patches(36 * scale, 24 * scale), H, W, scale)
    y, x = np.mgrid[0:H, 0:W]
    uneven = 4 + 6 * (x % scale == 0) + 3 * (y % scale == scale - 1)
    found = measured(noise(strength=uneven), grid)
    assert found.gap == pytest.approx(0, abs=0.15)
    assert found.step == pytest.approx(0, abs=0.15)


def test_blocks_of_the_codec_are_no_seams() -> None:
    """H.264's errors are larger at the borders of macroblocks; patches may end there too."""
    grid = SeamGrid.of(patches(128, 96), H, W, scale=2)
    y, x = np.mgrid[0:H, 0:W]
    blocks = ((x + 2) % 32 < 4) | ((y + 2) % 32 < 4)
    field = noise(strength=4 + 4.0 * blocks)
    assert gap(field, grid) == pytest.approx(0, abs=0.1)
    # On borders of patches alone it would be a seam.
    alone = ((x + 2) % 128 < 4) | ((y + 2) % 96 < 4)
    assert gap(noise(strength=4 + 4.0 * alone), grid) > 5


def test_experts_that_differ_show_as_a_step() -> None:
    """Two experts in a checkerboard, one a little too bright and one too dark."""
    y, x = np.mgrid[0:H, 0:W]
    sign = np.where((x // PATCH_W + y // PATCH_H) % 2, 1, -1)
    found = measured(noise(strength=2.0) + 3 * sign)
    # Jumps of noise have variance 2 · 2² (+ rounding's 1/6), across a border 6² more.
    plain = 2 * (4 + 1 / 12)
    assert found.step == pytest.approx(10 * math.log10((plain + 36) / plain), abs=0.2)
    assert found.gap == pytest.approx(0, abs=0.1)


def test_experts_without_the_pixels_around_them_show() -> None:
    """A blur that knows nothing beyond its patch is worse on the borders."""
    rng = np.random.default_rng(3)
    truth = np.cumsum(rng.normal(0, 4, (H, W)), axis=1)
    truth = 128 + 60 * np.sin(truth / 40)

    def blurred(part: np.ndarray) -> np.ndarray:
        padded = np.pad(part, ((0, 0), (4, 4)))
        return np.mean([padded[:, i : i + part.shape[1]] for i in range(9)], axis=0)

    alone = np.hstack([blurred(truth[:, x : x + PATCH_W]) for x in range(0, W, PATCH_W)])
    together = blurred(truth)
    together[:, :4], together[:, -4:] = truth[:, :4], truth[:, -4:]
    assert gap(together - truth) == pytest.approx(0, abs=0.4)
    assert gap(np.clip(alone - truth, -100, 100)) > 2


def test_a_split_patch_has_seams_inside() -> None:
    quarters = [(0, 0, 32, 32), (32, 0, 32, 32), (0, 32, 32, 32), (32, 32, 32, 32)]
    grid = SeamGrid.of([*quarters, (64, 0, 64, 64)], 64, 128, scale=2)
    beside = np.zeros(64 * 128, bool)
    for pieces in grid.seams:
        beside[pieces.beside] = True
    cross = np.zeros((64, 128), bool)
    cross[30:34, :64] = cross[:, 30:34] = cross[:, 62:66] = True
    found = beside.reshape(64, 128)
    assert not (found & ~cross).any()
    # Of pieces of 16 samples, those are left out in which borders cross.
    assert found[:16, 30:34].all()
    assert found[48:, 62:66].all()
    assert not found[16:48, 30:34].any()
    assert not found[30:34, 16:62].any()


def test_one_patch_has_no_seams() -> None:
    whole = measured(noise(), SeamGrid.of([(0, 0, W, H)], H, W, scale=2))
    assert whole.gap is None
    assert whole.step is None


def test_a_video_is_the_mean_of_its_frames() -> None:
    loud, quiet = noise(1, 8.0), np.where(beside_borders(), 2.0, 1.0) * noise(2, 2.0)
    both = SeamErrors.total([measured(loud), measured(quiet)])
    assert both.gap == pytest.approx(10 * math.log10(4) / 2, abs=0.1)


def test_a_perfect_picture_has_no_seams() -> None:
    assert gap(np.zeros((H, W))) == 0
