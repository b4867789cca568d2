"""Plates are made where the camera stands still and they pay, and nowhere else."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from client_sdk.contract.plate import decode_plate
from kernels.errors import CrispcastError
from overfit.metrics import psnr_y
from overfit.plates import (
    PlateConfig,
    Plates,
    Promise,
    encode_plate,
    global_motion,
    make_plates,
    promise,
    shot_motion,
    temporal_median,
)

CONFIG = PlateConfig()


def place(seed: int, height: int = 160, width: int = 240) -> np.ndarray:
    """A place with detail of many sizes, u8."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width))
    for size in (1, 4, 16):
        shape = (width // size + 1, height // size + 1)
        noise = random.normal(0, 25, shape[::-1]).astype(np.float32)
        picture += np.asarray(Image.fromarray(noise).resize((width, height), 3))
    return np.clip(picture + 128, 0, 255).astype(np.uint8)


def shot(still: np.ndarray, frames: int, moving: bool = True) -> np.ndarray:
    """A square of grey walks over a place."""
    video = np.stack([still] * frames)
    for n in range(frames):
        if moving:
            video[n, 40:90, 24 * n : 24 * n + 40] = 100
    return video


def low(hr: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(
        hr.reshape(len(hr), hr.shape[1] // 2, 2, hr.shape[2] // 2, 2).mean((2, 4)).astype(np.uint8)
    )


def made_of(hr: np.ndarray, shots: list[tuple[int, int]], video_bytes: int) -> Plates:
    motions = [shot_motion(hr, 2, start, stop, CONFIG) for start, stop in shots]
    return make_plates(hr, low(hr), 2, shots, motions, CONFIG, video_bytes=video_bytes)


def test_the_median_takes_away_what_moves() -> None:
    still = place(1)
    assert np.array_equal(temporal_median(shot(still, 21), range(21)), still)


def test_a_still_camera_gets_one_plate_for_the_shot() -> None:
    hr = shot(place(1), 21)
    made = made_of(hr, [(0, 21)], video_bytes=100_000)
    assert len(made.plates) == 1
    assert made.shots[0].motion < 0.2
    assert made.shots[0].gain > 3
    assert made.of_frames(21).tolist() == [0] * 21
    [piece] = made.plates[0].pieces
    assert np.array_equal(decode_plate(piece.data, 240, 160), made.plates[0].luma)


def test_a_panning_camera_gets_none() -> None:
    wide = place(2, width=400)
    hr = np.stack([wide[:, 4 * n : 4 * n + 240] for n in range(21)])
    made = made_of(hr, [(0, 21)], video_bytes=100_000)
    assert made.shots[0].motion > CONFIG.still
    assert (made.plates, made.of_frames(21).max()) == ((), -1)


def test_a_zooming_camera_moves() -> None:
    picture = Image.fromarray(place(3))
    frames = [
        np.asarray(picture.resize((240, 160), 3, box=(n, n * 2 / 3, 240 - n, 160 - n * 2 / 3)))
        for n in range(12)
    ]
    assert global_motion(np.stack(frames)) > CONFIG.still


def test_a_picture_of_nothing_cannot_be_followed() -> None:
    assert global_motion(np.full((5, 60, 80), 90, np.uint8)) == np.inf


def test_returning_to_a_place_costs_no_second_plate() -> None:
    hr = np.concatenate((shot(place(1), 9), shot(place(4), 9), shot(place(1), 9, moving=False)))
    shots = [(0, 9), (9, 18), (18, 27)]
    made = made_of(hr, shots, video_bytes=200_000)
    assert [s.plate for s in made.shots] == [0, 1, 0]
    assert len({piece.sha256 for plate in made.plates for piece in plate.pieces}) == 2


def test_many_shots_are_linear_work_and_still_find_their_place_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = 0

    def counted(*facts: Any) -> Promise:
        nonlocal tried
        tried += 1
        return promise(*facts)

    monkeypatch.setattr("overfit.plates.promise", counted)
    places = list(range(12)) * 2
    stills = [place(100 + index, 96, 128) for index in places]
    hr = np.concatenate([np.stack([still] * 5) for still in stills])
    shots = [(5 * index, 5 * index + 5) for index in range(len(places))]
    made = make_plates(hr, low(hr), 2, shots, [0.0] * 24, CONFIG, video_bytes=2_000_000)
    assert [shot.plate for shot in made.shots] == places
    assert tried <= 4 * len(places)


def test_a_plate_that_costs_more_than_the_video_is_not_worth_it() -> None:
    hr = shot(place(1), 9)
    made = made_of(hr, [(0, 9)], video_bytes=50)
    assert made.plates == ()


def test_the_same_plate_has_the_same_bytes() -> None:
    assert len({encode_plate(place(5), CONFIG).pieces[0].sha256 for _ in range(2)}) == 1


@pytest.mark.parametrize("quality", [50, 90])
def test_a_plate_is_monochrome_and_close(quality: int) -> None:
    still = place(6)
    plate = encode_plate(still, PlateConfig(quality=quality))
    assert plate.luma.shape == still.shape
    assert np.abs(plate.luma.astype(int) - still).mean() < (12 if quality == 50 else 3)
    assert b"av1C" in plate.pieces[0].data


def test_a_plate_has_the_least_squared_error_for_its_bytes() -> None:
    """And not what libaom's own tuning finds best for eyes."""

    def for_eyes(quality: int) -> tuple[int, float]:
        file = io.BytesIO()
        options = {"quality": quality, "speed": 4, "subsampling": "4:0:0", "range": "full"}
        Image.fromarray(still).save(file, "AVIF", **options)
        return file.tell(), psnr_y(still, decode_plate(file.getvalue(), 192, 144))

    y, x = np.mgrid[0:144, 0:192]
    noise = np.random.default_rng(3).normal(0, 9, x.shape) * (x > 70)
    waves = 110 + 60 * np.sin(x / 17 + y / 23) + 40 * ((x // 24 + y // 24) % 2)
    still = np.clip(waves + noise, 0, 255).astype(np.uint8)
    (coarse, low), (fine, high) = for_eyes(70), for_eyes(80)
    plate = encode_plate(still, PlateConfig(quality=70))
    there = low + (high - low) * math.log(plate.size / coarse) / math.log(fine / coarse)
    assert psnr_y(still, plate.luma) > there + 0.3


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"samples": 4}, {"speed": 11}])
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(CrispcastError):
        PlateConfig(**wrong)
