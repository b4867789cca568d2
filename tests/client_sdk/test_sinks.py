"""Files hold what was shown, in its time, with its sound."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from client_sdk.contract import Package
from client_sdk.picture import planes_of
from client_sdk.sinks import check_output, open_sink
from client_sdk.upscaler import Planes
from kernels.errors import StreamError
from tests.client_sdk.tiny import HEIGHT, WIDTH
from tests.faults import small_disk


def picture(value: int) -> Planes:
    half = (HEIGHT + 1) // 2, (WIDTH + 1) // 2
    return (
        np.full((HEIGHT, WIDTH), value, np.uint8),
        np.full(half, 100, np.uint8),
        np.full(half, 140, np.uint8),
    )


def test_a_y4m_repeats_what_was_lost_so_that_numbers_stay_right(
    tiny: Package, tmp_path: Path
) -> None:
    path = tmp_path / "out.y4m"
    sink = open_sink(path, tiny.manifest)
    for position in (0, 1, 4):
        sink.video(position, picture(50 + position))
    sink.close()
    with av.open(str(path)) as container:
        frames = [planes_of(frame)[0].copy() for frame in container.decode(video=0)]
        rate = container.streams.video[0].average_rate
    assert rate == Fraction(25)
    assert [int(frame[0, 0]) for frame in frames] == [50, 51, 51, 51, 54]


def test_an_mp4_keeps_time_and_sound_and_odd_sizes(tiny: Package, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = open_sink(path, tiny.manifest)
    for position in (0, 1, 4):
        sink.video(position, picture(50 + position))
    for start in range(0, 9600, 960):
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), "s16", "stereo")
        sound.sample_rate, sound.pts = 48_000, start
        sink.audio(sound)
    sink.close()
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == (WIDTH + 1, HEIGHT + 1)
        times = [float(frame.time or 0) for frame in container.decode(video)]
        assert audio.duration is not None
        assert audio.time_base is not None
        assert float(audio.duration * audio.time_base) == pytest.approx(0.2, abs=0.03)
    assert times == pytest.approx([0, 0.04, 0.16])


def test_sound_of_another_connection_goes_on_where_the_picture_is(
    tiny: Package, tmp_path: Path
) -> None:
    path = tmp_path / "out.mp4"
    sink = open_sink(path, tiny.manifest)

    def hear(loudness: int) -> None:
        wave = loudness * (-1) ** (np.arange(1920) // 96 % 2)
        for start in range(0, 9600, 960):  # each connection counts from 0
            sound = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "stereo")
            sound.sample_rate, sound.pts = 48_000, start
            sink.audio(sound)

    hear(0)
    for position in range(8):  # 0.32 s of picture beside 0.2 s of sound
        sink.video(position, picture(100))
    hear(20_000)
    for position in range(8, 13):
        sink.video(position, picture(100))
    sink.close()
    with av.open(str(path)) as container:
        heard = [
            float(frame.time or 0)
            for frame in container.decode(audio=0)
            if np.abs(frame.to_ndarray()).max() > 0.1
        ]
    # A coded frame, of 1024 samples, lies across the gap.
    assert heard[1] == pytest.approx(0.32, abs=0.03)
    assert heard[-1] == pytest.approx(0.52, abs=0.03)


@pytest.mark.parametrize("name", ["out.avi", "out", "nowhere/out.mp4"])
def test_an_output_that_cannot_be_is_refused_before_the_play(tmp_path: Path, name: str) -> None:
    with pytest.raises(StreamError):
        check_output(tmp_path / name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_said(tiny: Package, tmp_path: Path) -> None:
    path = tmp_path / "out.y4m"
    path.symlink_to("/dev/full")
    sink = open_sink(path, tiny.manifest)
    with pytest.raises(StreamError, match="No space left"):
        sink.video(0, picture(1))


@pytest.mark.parametrize("name", ["out.y4m", "out.mp4"])
def test_a_disk_that_fills_up_is_said_and_closing_is_no_crash(tiny: Package, name: str) -> None:
    random = np.random.default_rng(1)

    def fill(path: Path) -> None:
        sink = open_sink(path, tiny.manifest)
        try:
            for position in range(600):
                y, u, v = (random.integers(0, 256, p.shape, np.uint8) for p in picture(1))
                sink.video(position, (y, u, v))
        finally:
            with suppress(StreamError):
                sink.close()

    with small_disk("200k") as disk, pytest.raises(StreamError, match="No space left"):
        fill(disk / name)


def test_a_folder_in_the_way_is_said(tiny: Package, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(StreamError, match="cannot be written"):
        open_sink(tmp_path / "out.mp4", tiny.manifest)
