"""A choice is the best point of the survey that a target allows, and nothing else is promised."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from kernels.errors import CrispcastError
from overfit.choice import Choice, choose_by_bytes, choose_by_psnr, worth_as_video
from overfit.survey_point import SurveyPoint


def curve(scale: int, quality: int, plate: int, psnr: float) -> list[SurveyPoint]:
    """6 CRF double the bytes and gain 3 dB; `psnr` is had for 100 000 bytes of video at CRF 30."""
    return [
        SurveyPoint(
            "h264", scale, 30 - 6 * n, quality, round(100_000 * 2.0**n), plate, psnr + 3 * n
        )
        for n in (-2, -1, 0, 1)
    ]


PLAIN = curve(2, 0, 0, 30.0)


def test_bytes_between_two_points_give_what_lies_between() -> None:
    choice = choose_by_bytes(PLAIN, 100_000 * math.sqrt(2), "it")
    assert (choice.scale, choice.quality) == (2, 0)
    assert choice.crf == pytest.approx(27, abs=0.05)
    assert choice.psnr_y == pytest.approx(31.5, abs=0.02)
    assert choice.video_bytes == pytest.approx(141_421, rel=1e-3)


def test_a_choice_tells_what_more_bytes_would_gain() -> None:
    choice = choose_by_bytes(PLAIN, 100_000, "it")
    assert choice.slope == pytest.approx(3, abs=0.01)
    assert choose_by_bytes(PLAIN, 1e9, "it").slope < 0.1


@pytest.mark.parametrize(("gain", "quality"), [(0.5, 0), (4.0, 60)])
def test_a_plate_is_taken_where_it_gains_more_than_its_bytes(gain: float, quality: int) -> None:
    # 100 000 bytes of plate leave half of the budget: the video loses 3 dB.
    points = PLAIN + curve(2, 60, 100_000, 30.0 + gain)
    choice = choose_by_bytes(points, 200_000, "it")
    assert choice.quality == quality
    assert choice.video_bytes + choice.plate_bytes == pytest.approx(200_000, rel=1e-3)


@pytest.mark.parametrize(("gain", "networks"), [(0.3, False), (0.6, True)])
def test_networks_are_taken_where_they_gain_more_than_their_bytes(
    gain: float, networks: bool
) -> None:
    # 10 % of the bytes are worth 0.44 dB of video.
    points = [replace(point, interpolated=point.psnr_y - gain) for point in PLAIN]
    choice = choose_by_bytes(points, 110_000, "it", plans=10_000)
    assert choice.networks == networks
    assert choice.video_bytes == pytest.approx(100_000 if networks else 110_000, rel=1e-3)
    assert choice.gain == pytest.approx(gain if networks else 0, abs=0.01)
    assert choose_by_psnr(points, choice.psnr_y, plans=10_000).networks == networks
    assert worth_as_video(points, 2, 100_000, 10_000) == pytest.approx(0.41, abs=0.03)


def test_where_there_may_be_no_networks_only_interpolation_is_chosen_from() -> None:
    surveyed = PLAIN + curve(2, 60, 9, 40.0)
    points = [replace(point, interpolated=point.psnr_y - 3) for point in surveyed]
    choice = choose_by_psnr(points, 29.0, plans=1e6, networks=False)
    assert (choice.networks, choice.quality, choice.gain) == (False, 0, 0)
    assert choice.psnr_y == pytest.approx(29.0, abs=0.01)
    assert choice.crf == pytest.approx(26, abs=0.1)
    assert not choose_by_bytes(points, 1e5, "it", networks=False).networks
    with pytest.raises(CrispcastError, match=r"about 30\.0 dB is the most"):
        choose_by_psnr(points, 31.0, networks=False)


def test_nothing_is_known_of_interpolation_that_was_not_surveyed() -> None:
    assert choose_by_bytes(PLAIN, 1e5, "it", plans=1e4).networks
    assert worth_as_video(PLAIN, 2, 1e5, 1e4) == 0
    assert worth_as_video(PLAIN, 4, 1e5, 1e4) == 0


def test_low_rates_take_a_larger_scale() -> None:
    flat = [
        SurveyPoint("h264", 4, p.crf, 0, p.video_bytes // 4, 0, 28.5 + 0.3 * (30 - p.crf) / 6)
        for p in PLAIN
    ]
    points = PLAIN + flat
    assert choose_by_bytes(points, 20_000, "it").scale == 4
    assert choose_by_bytes(points, 150_000, "it").scale == 2


def test_above_the_survey_nothing_more_is_promised() -> None:
    choice = choose_by_bytes(PLAIN, 1e9, "it")
    assert choice.psnr_y == pytest.approx(33.0)
    assert choice.video_bytes < 1e7


def test_too_few_bytes_are_refused_with_what_it_takes() -> None:
    with pytest.raises(CrispcastError, match=r"8 kb/s cannot be met: .* take 8839 bytes"):
        choose_by_bytes(PLAIN, 1000, "8 kb/s")


def test_a_quality_takes_the_fewest_bytes() -> None:
    points = PLAIN + curve(2, 60, 50_000, 34.0)
    assert choose_by_psnr(points, 31.0).quality == 60
    # So few dB are had for less than the plate alone takes.
    assert choose_by_psnr(points, 24.5).quality == 0


def test_quality_and_bytes_agree() -> None:
    choice = choose_by_psnr(PLAIN, 31.0)
    assert choice.psnr_y == pytest.approx(31.0, abs=0.01)
    again = choose_by_bytes(PLAIN, choice.video_bytes, "it")
    assert again == Choice(**{**vars(again), "crf": choice.crf})


def test_an_unreachable_quality_is_refused_with_the_best() -> None:
    with pytest.raises(CrispcastError, match=r"50 dB is out of reach: about 33\.0 dB"):
        choose_by_psnr(PLAIN, 50.0)
