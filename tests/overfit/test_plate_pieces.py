"""Plates come in pieces: where they pay, the most useful first, anew only where light changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from client_sdk.contract.bounds import MAX_PIECES, MAX_SIDE
from client_sdk.contract.plate import ABSENT, decode_plate
from overfit.plate_pieces import Market, composed, regions
from overfit.plates import PlateConfig, Plates, make_plates, shot_motion
from tests.overfit.test_plates import low, place

CONFIG = PlateConfig()
WIDTH, HEIGHT = 576, 288


def made_of(hr: np.ndarray, config: PlateConfig = CONFIG, video_bytes: int = 100_000) -> Plates:
    shots = [(0, len(hr))]
    motions = [shot_motion(hr, 2, 0, len(hr), config)]
    return make_plates(hr, low(hr), 2, shots, motions, config, video_bytes=video_bytes)


@pytest.mark.parametrize(
    "size",
    [
        *((96, 64), (1280, 720), (1920, 1080), (288, 2000), (1000, 36)),
        *((3840, 2160), (2160, 3840), (3840, 1600), (3200, 1800), (7680, 4320)),
        (MAX_SIDE, 36),
    ],
)
def test_regions_tile_the_frame_and_a_manifest_takes_them(size: tuple[int, int]) -> None:
    covered = np.zeros(size[::-1], np.uint8)
    made = regions(*size)
    for x, y, width, height in made:
        assert (x % 48, y % 48) == (0, 0)
        covered[y : y + height, x : x + width] += 1
    assert (covered == 1).all()
    assert len(made) <= MAX_PIECES


def test_pieces_are_as_small_as_a_manifest_takes() -> None:
    assert len(regions(1280, 720)) == 8
    for size in ((3840, 2160), (MAX_SIDE, MAX_SIDE)):
        assert 50 < len(regions(*size)) <= MAX_PIECES


def test_pieces_compose_to_what_clients_decode() -> None:
    hr = np.stack([place(1, HEIGHT, WIDTH)] * 9)
    [plate] = made_of(hr).plates
    assert len(plate.pieces) == 2
    for piece in plate.pieces:
        x, y, width, height = piece.region
        luma = decode_plate(piece.data, width, height)
        assert np.array_equal(plate.luma[y : y + height, x : x + width], luma)


def test_a_part_that_is_never_still_gets_no_piece() -> None:
    random = np.random.default_rng(3)
    hr = np.stack([place(1, HEIGHT, WIDTH)] * 21)
    hr[:, :, 288:] = 128 + random.normal(0, 6, (21, HEIGHT, 288))
    [plate] = made_of(hr, video_bytes=400_000).plates
    assert [piece.region for piece in plate.pieces] == [(0, 0, 288, 288)]
    assert (plate.luma[:, 288:] == ABSENT).all()
    assert np.array_equal(plate.luma, composed(plate.pieces, WIDTH, HEIGHT))


def test_the_most_useful_piece_comes_first() -> None:
    flat = place(1, HEIGHT, WIDTH)
    flat[:, :288] = 90 + flat[:, :288] // 12  # little detail: little to gain
    plates = made_of(np.stack([flat] * 9), video_bytes=10_000_000).plates
    assert plates[0].pieces[0].region[0] == 288


def test_only_pieces_whose_light_changed_are_sent_anew() -> None:
    still = place(1, HEIGHT, WIDTH)
    later = still.copy()
    later[:, 288:] = np.clip(still[:, 288:].astype(int) - 40, 0, 255)
    hr = np.concatenate((np.stack([still] * 20), np.stack([later] * 20)))
    made = made_of(hr, replace(CONFIG, span=20), video_bytes=400_000)
    assert [shot.plate for shot in made.shots] == [0, 1]
    first, second = ({p.region[0]: p.sha256 for p in plate.pieces} for plate in made.plates)
    assert first[0] == second[0]
    assert first[288] != second[288]


def test_a_steady_place_is_sent_once() -> None:
    made = made_of(np.stack([place(1, HEIGHT, WIDTH)] * 40), replace(CONFIG, span=10))
    assert len(made.plates) == 1
    assert [shot.plate for shot in made.shots] == [0, 0, 0, 0]


def test_bytes_are_worth_what_the_video_would_make_of_them() -> None:
    market = Market(error=1000.0, bytes=50_000, db_per_doubling=3.0103)
    assert market.worth(50_000) == pytest.approx(500, rel=1e-4)  # 3.01 dB halve the error
    assert market.worth(0) == 0
