"""Encodes that stand still are begun anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.errors import VideoError
from overfit.video import read_rung, rung_file, standstill, svt_av1
from overfit.video.frames import Planes
from overfit.video.rung_config import RungConfig
from overfit.video.rungs import write_rung
from overfit.video.source import probe
from overfit.video.standstill import StandstillError, Watched
from tests.overfit.making import write_video


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standstill, "STILL", 1.0)
    monkeypatch.setattr(standstill, "_LOOK", 0.05)


def test_work_gives_and_raises_as_it_does_by_itself() -> None:
    watched = Watched()
    assert watched.run(lambda: sum(watched.items(range(5)))) == 10
    with pytest.raises(KeyError):
        watched.run(lambda: dict[str, int]()["a"])
    with pytest.raises(TimeoutError, match="its own"):
        watched.run(lambda: (_ for _ in ()).throw(TimeoutError("its own")))


@pytest.mark.usefixtures("quick")
def test_what_stands_still_is_told() -> None:
    for_ever = threading.Event()
    with pytest.raises(StandstillError):
        Watched().run(for_ever.wait)
    for_ever.set()


def test_half_a_minute_in_which_nothing_goes_on_is_a_standstill() -> None:
    """Looks by clocks of ours: seconds, and seconds of processor time."""
    watched = Watched()
    assert not any(watched.stands_still(now, 0.01 * now) for now in range(31))
    assert watched.stands_still(31, 0.31)


def test_what_takes_computes_or_waits_for_a_source_goes_on() -> None:
    watched = Watched()
    taken = watched.items(range(100))
    for now in range(0, 100, 25):
        next(taken)
        assert not watched.stands_still(now, 0)
    assert not watched.stands_still(100, 0)  # 25 s after the last one
    assert not watched.stands_still(120, 9)  # it computed
    assert not watched.stands_still(140, 9)
    assert watched.stands_still(151, 9)

    def slow() -> Iterator[int]:  # a source on a disk that takes its time
        assert not any(waiting.stands_still(now, 0) for now in range(0, 1000, 10))
        yield 7

    waiting = Watched()
    assert list(waiting.items(slow())) == [7]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("stuck", [1, 3])
def test_an_encode_that_stands_still_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: int
) -> None:
    source = write_video(tmp_path / "a.mp4", width=128, height=96, frames=20)
    grey = np.full((48, 64), 128, np.uint8)
    picture: Planes = (np.full((96, 128), 90, np.uint8), grey, grey)
    begun: list[Path] = []
    for_ever = threading.Event()

    def now_and_then(planes: Iterator[Any], path: Path, *rest: Any) -> Any:
        begun.append(path)
        if len(begun) <= stuck:
            next(planes)
            for_ever.wait()
        return rung_file.encode(planes, path, *rest)

    monkeypatch.setattr(svt_av1, "encode", now_and_then)
    info = probe(source)

    def written() -> int:
        config = RungConfig(crf=50, codec="av1", preset="fast")
        planes = [picture] * 20
        out = tmp_path / "r.mp4"
        return write_rung(lambda: planes, out, info=info, starts=[0], config=config).frames

    if stuck < 3:
        assert written() == 20
        assert len(list(read_rung(tmp_path / "r.mp4"))) == 20
    else:
        with pytest.raises(VideoError, match="stood still 3 times: encode with --codec h264"):
            written()
    assert {path.name for path in tmp_path.glob("*.mp4")} <= {"a.mp4", "r.mp4"}
    assert len(set(begun)) == len(begun) == min(stuck + 1, 3)
    for_ever.set()
