"""Canvases are made where the camera moves and they pay, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from kernels.canvas import UNITS
from kernels.errors import CrispcastError
from kernels.runtime import Canvas
from overfit.canvas import CanvasConfig, make_canvas, make_canvases, map_of, views_of
from overfit.plates import PlateConfig
from tests.overfit.test_plates import low, place

WIDTH, HEIGHT = 240, 160
CONFIG, PLATES = CanvasConfig(), PlateConfig()


def maps(frames: int, step: float = 3.37) -> list[np.ndarray]:
    """A pan with some zoom, roll and perspective: from a frame's samples to the place's."""
    made = []
    for n in range(frames):
        zoom, roll = 1 + 0.004 * n, 0.003 * n
        made.append(
            np.array(
                [
                    (np.cos(roll) * zoom, -np.sin(roll), 20 + step * n),
                    (np.sin(roll), np.cos(roll) * zoom, 40 + 0.61 * n),
                    (1e-6 * n, 2e-6 * n, 1),
                ]
            )
        )
    return made


def pan(world: np.ndarray, there: list[np.ndarray]) -> np.ndarray:
    """What a camera sees that moves over a place, u8 [T, HEIGHT, WIDTH]."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpPerspective(world, m, (WIDTH, HEIGHT), flags=flags) for m in there])


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    return cv2.GaussianBlur(place(1, 300, 460), (0, 0), 0.7)


def test_the_cameras_way_is_found_to_a_tenth_of_a_sample(world: np.ndarray) -> None:
    there = maps(24)
    hr = pan(world, there)
    made = make_canvas(hr, low(hr), 2, (0, 24), CONFIG, PLATES, video_bytes=200_000)
    assert made.plate is not None
    assert made.views is not None
    # The canvas lies in the plane of the middle frame; all others are held against it.
    found = [map_of(view, WIDTH, HEIGHT) for view in made.views]
    points = np.array([(x, y) for x in (0, 80, 160, 240) for y in (0, 50, 100, 160)], np.float64)
    for n in range(24):
        true = np.linalg.inv(there[12]) @ there[n]
        mine = np.linalg.inv(found[12]) @ found[n]
        apart = [cv2.perspectiveTransform(points[:, None], m)[:, 0] for m in (true, mine)]
        assert np.abs(apart[0] - apart[1]).max() < 0.1


def test_what_a_view_shows_is_nearly_the_frame(world: np.ndarray) -> None:
    hr = pan(world, maps(24))
    made = make_canvas(hr, low(hr), 2, (0, 24), CONFIG, PLATES, video_bytes=200_000)
    assert made.plate is not None
    assert made.views is not None
    assert made.gain > 3
    height, width = made.plate.luma.shape
    assert width > WIDTH + 60
    assert height > HEIGHT
    for n in (0, 11, 23):
        seen = Canvas(made.plate.luma).render(made.views[n], WIDTH, HEIGHT)
        inside = np.s_[4:-4, 4:-4]
        assert np.abs(seen[inside].astype(float) - hr[n][inside]).mean() < 4


def test_what_moves_by_itself_is_taken_away(world: np.ndarray) -> None:
    there = maps(24)
    hr = pan(world, there)
    walked = hr.copy()
    for n in range(24):
        walked[n, 60:100, 8 * n : 8 * n + 30] = 10
    made = make_canvas(walked, low(walked), 2, (0, 24), CONFIG, PLATES, video_bytes=200_000)
    assert made.plate is not None
    assert made.views is not None
    seen = Canvas(made.plate.luma).render(made.views[12], WIDTH, HEIGHT).astype(float)
    assert np.abs(seen[60:100, 96:126] - hr[12, 60:100, 96:126]).mean() < 8


def test_near_things_that_pass_far_ones_are_refused(world: np.ndarray) -> None:
    # Stripes of the picture move apart as four planes at four distances do.
    hr = np.concatenate(
        [
            pan(world, maps(24, step))[:, 40 * i : 40 * i + 40]
            for i, step in enumerate((1, 3, 6, 9))
        ],
        axis=1,
    )
    made = make_canvas(hr, low(hr), 2, (0, 24), CONFIG, PLATES, video_bytes=20_000)
    assert made.plate is None
    assert made.refused


def test_a_picture_without_detail_cannot_be_followed() -> None:
    hr = np.full((12, HEIGHT, WIDTH), 90, np.uint8)
    made = make_canvas(hr, low(hr), 2, (0, 12), CONFIG, PLATES, video_bytes=20_000)
    assert made.plate is None
    assert "followed" in made.refused


def test_a_canvas_that_costs_more_than_it_gains_is_refused(world: np.ndarray) -> None:
    hr = pan(world, maps(12))
    made = make_canvas(hr, low(hr), 2, (0, 12), CONFIG, PLATES, video_bytes=100)
    assert made.plate is None
    assert "bytes" in made.refused


def test_a_way_too_long_for_one_canvas_is_halved_where_a_segment_begins(world: np.ndarray) -> None:
    hr = pan(world, maps(24, 8.0))
    small = replace(CONFIG, largest=1.7)
    made = make_canvases(
        hr, low(hr), 2, (0, 24), [0, 7, 13, 20], small, PLATES, video_bytes=200_000
    )
    assert [(part.start, part.stop) for part in made] == [(0, 13), (13, 24)]
    assert all(part.plate is not None for part in made)


def test_a_way_longer_than_any_side_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of seven and a half frames, so there is area enough.
    frames = np.stack([place(1, 64, 2200)] * 12)
    way = [np.array([(1, 0, 1300.0 * n), (0, 1, 0), (0, 0, 1)]) for n in range(12)]
    monkeypatch.setattr("overfit.canvas.follow", lambda *_: way)
    made = make_canvas(frames, low(frames), 2, (0, 12), CONFIG, PLATES, video_bytes=50_000_000)
    assert made.plate is None
    assert made.refused == "the canvas would be 16500x64"
    assert made.too_long


@pytest.mark.parametrize(
    ("wrong", "says"),
    [(np.diag([100.0, 100.0, 1]), "would be"), (np.diag([-1.0, 1, 1]), "mirror the frame")],
)
def test_a_frame_that_is_aligned_wrongly_ends_the_canvas_and_not_the_encode(
    world: np.ndarray, monkeypatch: pytest.MonkeyPatch, wrong: np.ndarray, says: str
) -> None:
    def aligned(_: object, there: list[np.ndarray], *__: object) -> list[np.ndarray]:
        return [*there[:5], there[5] @ wrong, *there[6:]]

    monkeypatch.setattr("overfit.canvas.align", aligned)
    hr = pan(world, maps(12))
    made = make_canvas(hr, low(hr), 2, (0, 12), CONFIG, PLATES, video_bytes=200_000)
    assert made.plate is None
    assert says in made.refused
    assert made.too_long


def test_views_are_rounded_once(world: np.ndarray) -> None:
    there = maps(6)
    views = views_of(there, WIDTH, HEIGHT)
    again = views_of([map_of(view, WIDTH, HEIGHT) for view in views], WIDTH, HEIGHT)
    assert np.array_equal(views, again)
    corner = cv2.perspectiveTransform(np.array([[(240.0, 160.0)]]), there[5])[0, 0]
    assert np.abs(views[5, 4:6] / UNITS - corner).max() <= 0.5 / UNITS + 1e-3


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(CrispcastError):
        CanvasConfig(samples=2)
    with pytest.raises(CrispcastError):
        CanvasConfig(largest=9)
