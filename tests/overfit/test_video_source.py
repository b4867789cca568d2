"""Any file FFmpeg reads comes in as upright I420 on a constant grid, or is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from kernels.errors import VideoError
from overfit.video import probe, read_frames
from overfit.video.source import _Grid
from tests.overfit.making import picture, write_video


def frames_of(path: Path) -> list:
    return list(read_frames(path, probe(path)))


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
)
def test_every_format_keeps_its_code_values(tmp_path: Path, pix_fmt: str, full_range: bool) -> None:
    path = write_video(tmp_path / "a.mkv", pix_fmt=pix_fmt, full_range=full_range, frames=3)
    info = probe(path)
    assert info.colour.range == ("full" if full_range else "limited")
    assert (info.colour.primaries, info.colour.transfer, info.colour.matrix) == (1, 1, 1)
    for frame in read_frames(path, info):
        assert frame.y.shape == (64, 96)
        assert frame.u.shape == frame.v.shape == (32, 48)
        wanted = picture(frame.number, 96, 64).astype(int)
        assert np.abs(frame.y - wanted).mean() < 1.5
        assert abs(float(frame.y.mean()) - wanted.mean()) < 0.6
        assert np.abs(frame.u.astype(int) - 128).max() <= 1


def test_odd_sizes_round_chroma_up(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", codec="ffv1", width=97, height=65, options={}, frames=2)
    frame = frames_of(path)[1]
    assert frame.y.shape == (65, 97)
    assert frame.v.shape == (33, 49)
    assert np.array_equal(frame.y, picture(1, 97, 65))


def test_rgb_becomes_limited_bt709(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    write_video(
        path,
        codec="ffv1",
        pix_fmt="gbrp10le",
        full_range=True,
        colour=(1, 1, 0),
        options={},
        frames=2,
    )
    info = probe(path)
    assert (info.colour.range, info.colour.matrix) == ("limited", 1)
    # The picture is green's plane; red and blue are 128 everywhere (BT.709 luma, limited range).
    green = picture(0, 96, 64).astype(float)
    wanted = 16 + 219 / 255 * (0.7152 * green + (0.2126 + 0.0722) * 128)
    assert np.abs(frames_of(path)[0].y - wanted).max() < 2


def test_variable_rate_is_put_on_a_grid(tmp_path: Path) -> None:
    # 40 ms a frame, with one hole of 120 ms after the third picture.
    times = [0, 40, 80, 200, 240, 280]
    path = write_video(
        tmp_path / "a.mkv", times=times, time_base=Fraction(1, 1000), codec="ffv1", options={}
    )
    info = probe(path)
    assert info.fps == 25
    frames = frames_of(path)
    assert len(frames) == info.frames == 8
    shown = [next(n for n in range(6) if np.array_equal(f.y, picture(n, 96, 64))) for f in frames]
    assert shown == [0, 1, 2, 2, 2, 3, 4, 5]


@pytest.mark.parametrize("minutes", [(0, 1.5), (0, 1.5, 3), (0, 2, 4, 6, 10)])
def test_pictures_may_be_minutes_apart(tmp_path: Path, minutes: tuple[float, ...]) -> None:
    times = [round(60_000 * minute) for minute in minutes]
    path = write_video(
        tmp_path / "a.mkv", times=times, time_base=Fraction(1, 1000), codec="ffv1", options={}
    )
    info = probe(path)
    assert info.fps == Fraction(1000, times[1])
    shown = [
        next(n for n in range(9) if np.array_equal(f.y, picture(n, 96, 64)))
        for f in frames_of(path)
    ]
    assert shown == [0, 1, 2, 3, 3, 4][: len(minutes) + (len(minutes) > 4)]


@pytest.mark.parametrize("wrong", [97, 98, 99])
def test_one_stamp_that_goes_back_neither_repeats_nor_drops_a_frame(wrong: int) -> None:
    # bbb_sunflower_1080p25.mp4 has one such stamp every hundred frames.
    stamps = [*range(100), wrong, *range(101, 200)]
    grid = _Grid(Fraction(25), Fraction(1, 25), timed=True)
    assert [grid.advance(stamp) for stamp in stamps[:1]] == [(True, 0)]
    assert [grid.advance(stamp) for stamp in stamps[1:]] == [(True, 1)] * 199


def test_a_clock_that_goes_back_for_good_goes_on_with_the_next_frame() -> None:
    grid = _Grid(Fraction(25), Fraction(1, 25), timed=True)
    holds = [grid.advance(stamp)[1] for stamp in [*range(50), *range(10, 40)]]
    assert sum(holds) == 79


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(60), Fraction(24), Fraction(12)])
def test_the_exact_rate_survives_a_millisecond_clock(tmp_path: Path, fps: Fraction) -> None:
    info = probe(write_video(tmp_path / "a.mkv", fps=fps, frames=20))
    assert (info.fps, info.frames) == (fps, 20)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, rotation: int) -> None:
    path = write_video(
        tmp_path / "a.mp4", rotation=rotation, frames=2, options={"qp": "1"}, aspect=Fraction(4, 3)
    )
    info = probe(path)
    turned = rotation != 180
    assert (info.width, info.height) == ((64, 128) if turned else (128, 64))
    assert info.sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))
    # FFmpeg's rotation is counter-clockwise, as numpy's.
    wanted = np.rot90(cv2.resize(picture(0, 96, 64), (128, 64)), rotation // 90)
    frame = frames_of(path)[0]
    assert np.abs(frame.y.astype(int) - wanted).mean() < 2
    assert frame.u.shape == ((64, 32) if turned else (32, 64))


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(4, 3), (128, 64)),
        (Fraction(8, 9), (96, 72)),
        (Fraction(64, 45), (136, 64)),
        (Fraction(1216, 1215), (96, 64)),
        (Fraction(100, 1), (96, 64)),
    ],
    ids=["HDV", "DV", "wide DVD", "as good as square", "a mistake"],
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "a.mp4", frames=2, aspect=aspect, options={"qp": "1"})
    info = probe(path)
    assert (info.width, info.height) == size
    assert info.sample_aspect_ratio == (aspect if size != (96, 64) else 1)
    frame = frames_of(path)[1]
    assert frame.y.shape == size[::-1]
    assert frame.u.shape == (size[1] // 2, size[0] // 2)
    wanted = cv2.resize(picture(1, 96, 64), size, interpolation=cv2.INTER_CUBIC)
    assert np.abs(frame.y.astype(int) - wanted).mean() < 2


def test_a_raw_stream_has_no_timestamps_and_every_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.264", container_format="h264", frames=9)
    info = probe(path)
    assert (info.frames, info.fps, info.timed) == (9, Fraction(25), False)
    assert [frame.number for frame in frames_of(path)] == list(range(9))


def test_a_truncated_file_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.ts", frames=40, options={"g": "10", "crf": "12"})
    data = whole.read_bytes()
    part = tmp_path / "part.ts"
    part.write_bytes(data[: len(data) // 2])
    info = probe(part)
    assert 5 < info.frames < 40
    assert len(frames_of(part)) == info.frames


def test_damage_in_the_middle_is_survived(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=40, options={"g": "10", "crf": "12"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    assert len(frames_of(path)) == probe(path).frames > 10


def test_a_file_without_its_index_is_refused(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mp4", frames=20).read_bytes()
    path = tmp_path / "part.mp4"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="not a video"):
        probe(path)


@pytest.mark.parametrize("name", ["a.txt", "a.mp4", "a.png"])
def test_what_is_not_a_video_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.png":
        Image.new("RGB", (64, 64)).save(path)
    else:
        path.write_text("this is no video\n" * 50)
    with pytest.raises(VideoError, match="not a video"):
        probe(path)


def test_an_empty_file_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path in (empty, tmp_path, tmp_path / "missing.mp4"):
        with pytest.raises(VideoError):
            probe(path)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(track.encode(frame))
    with pytest.raises(VideoError, match="no video stream"):
        probe(path)


def test_sixteen_pixels_are_too_small(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="16x16 pixels is too small"):
        probe(write_video(tmp_path / "a.mkv", width=16, height=16))


def test_one_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="one frame"):
        probe(write_video(tmp_path / "a.mkv", frames=1))


def test_an_hour_declared_but_empty_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "a.mp4", frames=30).read_bytes())
    at = data.index(b"mvhd")
    data[at + 20 : at + 24] = (3600 * 1000).to_bytes(4, "big")
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
    path = tmp_path / "hour.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoError, match="no frame can be decoded"):
        probe(path)
