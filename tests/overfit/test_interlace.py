"""Interlaced video comes in as whole pictures, as many as there were and at their times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from overfit.video import probe, read_frames
from overfit.video.frames import Normaliser, colour_of
from overfit.video.interlace import deinterlaced
from tests.overfit.making import (
    flagged,
    gray_frame,
    picture,
    woven,
    write_interlaced,
    write_video,
)

WIDTH, HEIGHT = 96, 64
LOSSLESS = {"crf": "4", "preset": "ultrafast"}


@pytest.mark.parametrize("field", ["tff", "bff"])
@pytest.mark.parametrize(
    ("codec", "options"), [("ffv1", {}), ("libx264", {"flags": "+ildct", **LOSSLESS})]
)
def test_pictures_are_whole_and_of_the_first_fields_moment(
    tmp_path: Path, codec: str, options: dict[str, str], field: str
) -> None:
    path = write_interlaced(tmp_path / "a.mkv", range(0, 480, 40), codec, options, field)
    info = probe(path)
    assert info.interlaced
    assert (info.fps, info.frames) == (Fraction(25), 12)
    frames = list(read_frames(path, info))
    for frame in frames:
        wanted = picture(4 * frame.number, WIDTH, HEIGHT).astype(int)
        assert np.abs(woven(frame.number, "tff") - wanted).mean() > 5
        assert np.abs(frame.y - wanted).mean() < 1
    assert [frame.number for frame in frames] == list(range(12))


def test_they_keep_their_times(tmp_path: Path) -> None:
    path = write_interlaced(tmp_path / "a.mkv", [0, 40, 80, 200, 240, 280])
    frames = list(read_frames(path, probe(path)))
    assert len(frames) == 8
    shown = [
        min(
            range(6),
            key=lambda n: np.abs(frame.y - picture(4 * n, WIDTH, HEIGHT).astype(int)).sum(),
        )
        for frame in frames
    ]
    assert shown == [0, 1, 2, 2, 2, 3, 4, 5]


def test_progressive_video_is_not_touched(tmp_path: Path) -> None:
    assert not probe(write_video(tmp_path / "a.mkv", frames=3)).interlaced
    pictures = [gray_frame(picture(n, WIDTH, HEIGHT), "yuv420p") for n in range(3)]
    made = list(deinterlaced([pictures[0], None, *pictures[1:]]))
    assert all(a is b for a, b in zip(made, [pictures[0], None, *pictures[1:]], strict=True))


def test_no_picture_is_lost_or_moved_where_kinds_change() -> None:
    kinds = [
        *((96, "prog"), (96, "tff"), (96, "tff"), (96, "prog"), (96, "tff")),
        *((64, "prog"), (64, "bff"), (96, "tff"), (96, "prog")),
    ]
    pictures: list[av.VideoFrame | None] = []
    for number, (width, field) in enumerate(kinds):
        frame = gray_frame(picture(number, width, HEIGHT), "yuv420p")
        frame.pts, frame.time_base = (None if number == 2 else 7 * number), Fraction(1, 1000)
        pictures.append(flagged(frame, field))
    pictures.insert(3, None)
    made = [each for each in deinterlaced(pictures) if each is not None]
    assert [(each.width, each.pts, each.time_base) for each in made] == [
        (width, None if number == 2 else 7 * number, Fraction(1, 1000))
        for number, (width, _) in enumerate(kinds)
    ]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuv411p", "yuv422p10le", "yuv420p10be", "uyvy422", "nv12", "gray", "gray10le"],
)
def test_every_format_keeps_its_code_values(pix_fmt: str, full: bool) -> None:
    luma = av.VideoFrame.from_ndarray(picture(0, WIDTH, HEIGHT), "gray")
    pictures = []
    for number in range(4):
        frame = luma.reformat(format=pix_fmt, src_color_range=2, dst_color_range=2)
        frame.color_range, frame.pts = (2 if full else 1), number
        pictures.append(flagged(frame, "tff" if number == 0 else "prog"))
    normalise = Normaliser(WIDTH, HEIGHT, (1, 0, 0, 1))
    made = [each for each in deinterlaced(pictures) if each is not None]
    for before, after in zip(pictures[1:], made[1:], strict=True):
        assert colour_of(after) == colour_of(before)
        for a, b in zip(normalise(before), normalise(after), strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1
