"""Scores of a video: what every frame gets, and what the frames come to."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from overfit.metrics import Planes, RgbConversion, SeamGrid, pooled_psnr, video_flicker
from overfit.scoring import METRICS, ClipScorer, Scores, Scoring, over_frames


def planes(seed: int, offset: int = 0) -> Planes:
    rng = np.random.default_rng(seed)
    luma = rng.integers(60, 62, (64, 80)).astype(np.uint8) + np.uint8(offset)
    chroma = np.full((32, 40), 128, np.uint8)
    return luma, chroma, chroma


def score(frames: int = 5, **settings: object) -> Scores:
    """`off` is 2 codes too bright in even frames and 4 in odd ones; `same` is the truth."""
    scoring = Scoring(80, 64, Fraction(25), **settings)  # type: ignore[arg-type]
    seams = SeamGrid.of([(0, 0, 40, 64), (40, 0, 40, 64)], 64, 80, scale=2)
    with ClipScorer(("off", "same"), scoring) as scorer:
        for n in range(frames):
            made = {"off": planes(n, 2 + 2 * (n % 2)), "same": planes(n)}
            scorer.add(planes(n), made, seams)
        return scorer.finish()


def test_every_frame_has_its_figures() -> None:
    scores = score(vmaf=False, scale=2, to_rgb=RgbConversion(1, False))
    off = scores.figures["off"]
    two, four = (20 * np.log10(255 / error) for error in (2, 4))
    assert off["psnr_y"] == pytest.approx([two, four, two, four, two])
    assert off["flicker"] == [None, *[pytest.approx(2)] * 4]
    assert scores.mean("off", "flicker") == pytest.approx(2)
    assert scores.mean("off", "psnr_y") == pytest.approx((3 * two + 2 * four) / 5)
    assert scores.mean("off", "psnr_y", 1, 2) == pytest.approx(four)
    assert scores.figures["same"]["psnr_y"] == [100] * 5
    assert scores.mean("same", "ssim") == pytest.approx(1)
    assert scores.still_share == 1
    luma, rgb = scores.protocols["off"]["stdo"]
    assert luma == pytest.approx(pooled_psnr([two, four, two, four, two]))
    assert rgb is not None
    assert scores.seams["off"].gap == pytest.approx(0)


def test_what_is_not_asked_for_is_not_measured() -> None:
    scores = score(vmaf=False)
    assert {*scores.figures["off"]} == {*METRICS}
    assert scores.figures["off"]["psnr_rgb"] is scores.figures["off"]["vmaf_neg"] is None
    assert scores.mean("off", "psnr_rgb") is None
    assert {*scores.protocols["off"]} == {"whole_frame"}
    assert scores.vmaf_missing == "not asked for"


def test_vmaf_is_there_or_its_absence_explained() -> None:
    scores = score(vmaf=True)
    values = scores.figures["off"]["vmaf_neg"]
    assert (values is None) == (scores.vmaf_missing is not None)
    assert values is None or len(values) == 5


def test_figures_of_many_frames() -> None:
    assert over_frames("flicker", [None, 3.0, 4.0]) == video_flicker([3.0, 4.0])
    assert over_frames("psnr_y", [30.0, 40.0]) == 35
    assert over_frames("flicker", [None, None]) is None
    assert over_frames("xpsnr", [20.0, 40.0]) == pytest.approx(25.2, abs=0.01)


def test_nothing_scored() -> None:
    with pytest.raises(ValueError, match="no frame"):
        score(0, vmaf=False)
