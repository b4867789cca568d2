"""A survey tells what rates, scales and plates would give, and learns only where there is more."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from overfit.chunking import Segment
from overfit.metrics import psnr_y
from overfit.survey import SurveyConfig, _read, survey
from overfit.survey_point import SurveyPoint
from overfit.video import (
    Codec,
    RungConfig,
    downscale,
    probe,
    read_frames,
    read_rung,
    write_rung,
)
from tests.overfit.making import passed_by, texture, write_frames

FRAMES = 24
CONFIG = SurveyConfig(
    crfs=(30, 50), qualities=(60,), segments=1, pictures=FRAMES, compared=FRAMES, steps=40
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("survey") / "still.mp4"
    return write_frames(path, passed_by(texture(1, 256, 192), FRAMES))


def surveyed(source: Path, scale: int, config: SurveyConfig) -> tuple[SurveyPoint, ...]:
    config = replace(config, threads=1)
    return survey(probe(source), [Segment(0, FRAMES)], [0], scale, config)


@pytest.mark.parametrize("codec", ["av1", "h264"])
def test_a_video_of_its_own_size_is_told_as_it_is(
    source: Path, tmp_path: Path, codec: Codec
) -> None:
    points = surveyed(source, 1, replace(CONFIG, codec=codec))
    assert [(point.crf, point.quality, point.plate_bytes) for point in points] == [
        (30, 0, 0),
        (50, 0, 0),
    ]
    info = probe(source)
    preset = "medium" if codec == "av1" else "fast"
    facts = write_rung(
        lambda: (downscale(frame, 1) for frame in read_frames(source, info)),
        tmp_path / "r.mp4",
        info=info,
        starts=[0],
        config=RungConfig(crf=30, codec=codec, preset=preset, filtered=True),  # type: ignore[arg-type]
    )
    assert points[0].video_bytes == facts.bytes
    shown = zip(read_frames(source, info), read_rung(tmp_path / "r.mp4"), strict=True)
    told = [psnr_y(frame.y, low.y) for frame, low in shown]
    assert points[0].psnr_y == pytest.approx(np.mean(told))


def test_nothing_is_learned_for_it(source: Path) -> None:
    steps: list[int] = []

    def told(step: int, *_: float) -> None:
        steps.append(step)

    config = replace(CONFIG, threads=1)
    survey(probe(source), [Segment(0, FRAMES)], [0], 1, config, on_progress=told)
    assert steps == []


def test_where_there_are_to_be_no_networks_it_tells_what_interpolation_gives(source: Path) -> None:
    steps: list[float] = []
    config = replace(CONFIG, threads=1, networks=False)
    points = survey(
        probe(source),
        [Segment(0, FRAMES)],
        [0],
        2,
        config,
        on_progress=lambda *s: steps.append(s[0]),
    )
    assert [(point.crf, point.quality, point.plate_bytes) for point in points] == [
        (30, 0, 0),
        (50, 0, 0),
    ]
    assert all(point.psnr_y == point.interpolated > 0 for point in points)
    assert steps == []


def test_a_still_camera_has_points_with_plates_that_are_better(source: Path) -> None:
    points = surveyed(source, 2, replace(CONFIG, steps=40))
    plain = {point.crf: point for point in points if point.quality == 0}
    plated = {point.crf: point for point in points if point.quality == 60}
    assert plain.keys() == plated.keys() == {30, 50}
    assert plain[30].video_bytes > plain[50].video_bytes
    for crf, point in plated.items():
        assert point.plate_bytes > 0
        assert point.video_bytes == plain[crf].video_bytes
        assert point.psnr_y > plain[crf].psnr_y + 1


def test_without_plates_nobody_makes_any(source: Path) -> None:
    points = surveyed(source, 2, replace(CONFIG, qualities=(), steps=5))
    assert {point.quality for point in points} == {0}


def test_a_sample_takes_memory_for_a_few_frames_only(tmp_path: Path) -> None:
    frames = 6 * passed_by(texture(1, 256, 192), FRAMES)
    source = write_frames(tmp_path / "long.mp4", frames)
    info = probe(source)
    config = replace(CONFIG, pictures=3, compared=3)
    tracemalloc.start()
    try:
        sample = _read(info, [Segment(0, len(frames))], [0], 1, config, tmp_path)
        taken, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole = len(frames) * 256 * 192 * 3 // 2
    assert taken < whole / 10
    assert most < whole / 5
    assert len(sample.lr) == len(frames)
    assert [path.name for path in tmp_path.iterdir()] == ["long.mp4"]
    for frame, planes in zip(read_frames(source, info), sample.lr, strict=True):
        for plane, small in zip(planes, downscale(frame, 1), strict=True):
            assert np.array_equal(plane, small)
