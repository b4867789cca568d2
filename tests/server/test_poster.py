"""Posters: of the size that the manifest says, made once, by whoever and however many ask."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
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


def of_all(posters: Posters, *packages: Package) -> list[bytes | None]:
    """Posters that are asked for at once."""

    async def run() -> list[bytes | None]:
        return list(await asyncio.gather(*map(posters.of, packages)))

    return asyncio.run(run())


def one_by_one(posters: Posters, *packages: Package) -> list[bytes | None]:
    async def run() -> list[bytes | None]:
        return [await posters.of(package) for package in packages]

    return asyncio.run(run())


def test_many_who_ask_at_once_make_one(package: Package, calls: list[str]) -> None:
    made = of_all(Posters(), *[package] * 32)
    assert len(calls) == 1
    assert made[0] is not None
    assert set(made) == {made[0]}


def test_pages_are_served_while_many_wait_for_posters(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def make(package: Package) -> bytes:
        assert may_end.wait(20)
        return make_poster(package)

    async def begun(port: int, path: str) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        writers.append(writer)
        return reader

    async def run() -> None:
        async with serving(package.path) as served, asyncio.timeout(20):
            port = int(served.url.rsplit(":", 1)[1])
            waiting = [await begun(port, "/packages/tiny/poster.jpg") for _ in range(50)]
            page = await begun(port, "/watch/tiny")
            try:
                assert b"200" in await page.readline()
            finally:
                may_end.set()
            for reader in waiting:
                assert b"200" in await reader.readline()
            for writer in writers:
                writer.close()

    writers: list[asyncio.StreamWriter] = []
    monkeypatch.setattr(poster, "make_poster", make)
    asyncio.run(run())


def test_what_failed_is_tried_again_when_it_was_mended(package: Package, calls: list[str]) -> None:
    posters, video = Posters(), package.video_path(0)
    good = video.read_bytes()
    video.write_bytes(b"nothing")
    assert one_by_one(posters, *[package] * 3) == [None] * 3
    assert len(calls) == 1
    video.write_bytes(good)
    assert one_by_one(posters, package) != [None]
    assert len(calls) == 2


def test_the_oldest_go(package: Package, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poster, "MOST_POSTERS", 2)
    names = iter("abcab")
    monkeypatch.setattr(poster, "_key", lambda _: (next(names), "", 0, 0))
    one_by_one(Posters(), *[package] * 5)
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
