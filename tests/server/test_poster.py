"""Posters: of the size that the manifest says, made once, by whoever and however many ask."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client_sdk.contract import Package, open_package
from kernels.errors import PackageError, VideoError
from overfit.measurement import paired_frames
from overfit.video import probe
from server.media import PackageMedia
from server.pages import poster
from server.pages.poster import Posters, make_poster
from tests.client_sdk.test_rung_mp4 import LARGE, write
from tests.server.serving import serving


@pytest.fixture
def package(tiny_path: Path, tmp_path: Path) -> Package:
    return open_package(Path(shutil.copytree(tiny_path, tmp_path / "tiny.crisp")))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages of which a poster was made."""
    made: list[str] = []

    def make(package: Package) -> bytes:
        made.append(package.name)
        return make_poster(package)

    monkeypatch.setattr(poster, "make_poster", make)
    return made


def test_many_who_ask_at_once_make_one(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    posters, asked, making = Posters(), threading.Semaphore(0), itertools.count(1)

    def make(package: Package) -> bytes:
        if next(making) == 1:
            for _ in range(8):  # until all have asked
                assert asked.acquire(timeout=20)
        return make_poster(package)

    def ask(_: int) -> bytes | None:
        asked.release()
        return posters.of(package)

    monkeypatch.setattr(poster, "make_poster", make)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ask, range(32)))
    assert next(making) == 2
    assert made[0] is not None
    assert set(made) == {made[0]}


def test_what_failed_is_tried_again_when_it_was_mended(package: Package, calls: list[str]) -> None:
    posters, video = Posters(), package.video_path(0)
    good = video.read_bytes()
    video.write_bytes(b"nothing")
    assert [posters.of(package) for _ in range(3)] == [None] * 3
    assert len(calls) == 1
    video.write_bytes(good)
    assert posters.of(package) is not None
    assert len(calls) == 2


def test_the_oldest_go(package: Package, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster, "MOST_POSTERS", 2)
    names = iter("abcab")
    monkeypatch.setattr(poster, "_key", lambda _: (next(names), "", 0, 0))
    posters = Posters()
    for _ in range(5):
        posters.of(package)
    assert len(calls) == 5


def test_a_picture_of_another_size_is_not_decoded(package: Package) -> None:
    """A few bytes can be a picture that takes gigabytes."""
    write(package.video_path(0), "h264", LARGE)
    with pytest.raises(PackageError, match="its pictures are 640 x 480 pixels"):
        make_poster(package)
    with pytest.raises(PackageError, match="its pictures are 640 x 480 pixels"):
        PackageMedia.open(package)


def test_the_report_decodes_none_either(package: Package, small_video: Path) -> None:
    write(package.video_path(0), "h264", LARGE)
    with pytest.raises(VideoError, match="its pictures are 640 x 480 pixels"):
        next(paired_frames(package, 0, probe(small_video)))


def test_a_refusal_does_not_say_where_files_are(package: Package) -> None:
    async def run() -> None:
        async with serving(package.path) as served:
            package.video_path(0).write_bytes(b"nothing")
            reply = await served.ask("GET", "/packages/tiny/poster.jpg")
            assert reply.status == 500
            told = json.loads(reply.body)["detail"]
            assert told == "package tiny has no poster: its video gives no picture"

    asyncio.run(run())
