"""Media are opened once for all viewers of a package, and given back when nobody needs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from client_sdk.contract import Package, open_package
from client_sdk.contract.rung_mp4 import open_rung
from kernels.errors import PackageError
from server.catalogue import Catalogue, open_catalogue
from server.media import PackageMedia
from server.open_media import MOST_IDLE, OpenMedia
from server.rung_video import HeldPayloads, RungVideo
from server.settings import Settings
from tests.server.serving import serving
from tests.server.test_http import SDP_HEADERS, offer


def opened_under(folder: Path) -> list[str]:
    """Files of the folder that this process has open."""
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("no /proc to look into")
    files = []
    for handle in os.listdir(handles):
        try:
            files.append(os.readlink(handles / handle))
        except OSError:
            continue  # that of the listing itself
    return [file for file in files if file.startswith(str(folder))]


@pytest.fixture
def folder(tiny_path: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_path, tmp_path / "packages" / "tiny.crisp")
    return tmp_path / "packages"


@pytest.fixture
def catalogue(folder: Path) -> Catalogue:
    return open_catalogue(folder)


def test_a_package_that_cannot_be_opened_leaves_no_file_open(tiny_copy: Path) -> None:
    package = open_package(tiny_copy)
    assert package.audio_path is not None
    package.audio_path.write_bytes(b"no sound")
    with pytest.raises(PackageError, match="not Ogg Opus"):
        PackageMedia.open(package)
    assert not opened_under(tiny_copy)


def test_files_of_a_package_that_is_gone_are_given_back_though_nobody_comes_or_goes(
    folder: Path, tiny_path: Path
) -> None:
    shutil.copytree(tiny_path, folder / "other.crisp")

    async def run() -> None:
        async with (
            serving(folder, Settings(look_seconds=0.02)) as served,
            asyncio.timeout(20),
        ):
            reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            await served.ask("DELETE", reply.headers["Location"])
            assert opened_under(folder / "tiny.crisp")
            shutil.rmtree(folder / "tiny.crisp")
            while opened_under(folder / "tiny.crisp"):
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_few_packages_stay_open_that_nobody_watches(folder: Path, tiny_path: Path) -> None:
    names = ["tiny", *(f"copy{number}" for number in range(MOST_IDLE + 2))]
    for name in names[1:]:
        (folder / f"{name}.crisp").symlink_to(tiny_path)

    async def run() -> None:
        catalogue = open_catalogue(folder)
        media = OpenMedia(catalogue, lambda _: False)
        watched = await media.take("tiny")
        for name in names[1:]:
            media.give_back(await media.take(name))
        open_now = [package.name for package in media.packages]
        assert sorted(open_now) == sorted(["tiny", *names[-MOST_IDLE:]])
        assert await media.take("tiny") is watched
        assert await media.take(names[-1]) is await media.take(names[-1])
        media.close()
        assert not opened_under(folder)

    asyncio.run(run())


def test_a_channel_goes_on_while_its_package_stays_the_same(
    catalogue: Catalogue, folder: Path
) -> None:
    async def run() -> None:
        media = OpenMedia(catalogue, lambda _: True)
        first = await media.take("tiny")
        # As `crispcast key sign` does: the package is opened anew.
        os.utime(folder / "tiny.crisp" / "manifest.json", ns=(1, 1))
        catalogue.look()
        second = await media.take("tiny")
        assert second is not first
        assert first.channel is not None
        assert second.channel == first.channel
        media.close()

    asyncio.run(run())


def test_a_package_that_is_slow_to_open_keeps_nobody_waiting(
    folder: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "slow.crisp").symlink_to(tiny_path)
    may_open, really = threading.Event(), PackageMedia.open
    opened: list[str] = []

    def held_up(package: Package, *more: object) -> PackageMedia:
        if package.path.name == "slow.crisp":
            assert may_open.wait(20)
        opened.append(package.name)
        return really(package)

    monkeypatch.setattr(PackageMedia, "open", held_up)

    async def run() -> None:
        media = OpenMedia(open_catalogue(folder), lambda _: False)
        slow = [asyncio.create_task(media.take("slow")) for _ in range(3)]
        await asyncio.sleep(0)
        slow[0].cancel()
        assert (await media.take("tiny")).package.name == "tiny"
        may_open.set()
        assert await slow[1] is await slow[2]
        assert opened == ["tiny", "slow"]
        media.close()

    asyncio.run(run())


def test_payloads_of_all_rungs_share_one_room(tiny: Package) -> None:
    held = HeldPayloads(limit=1000)
    rungs = [RungVideo(tiny, 0, held), RungVideo(tiny, 0, held)]
    for number in range(10):
        for rung in rungs:
            held.keep(rung, number, False, (bytes(100),))
    assert held.bytes == 1000
    assert held.get(rungs[0], 9, False) is not None
    assert held.get(rungs[0], 0, False) is None
    rungs[0].close()
    assert held.bytes == 500
    rungs[1].close()
    assert held.bytes == 0


def test_a_film_takes_few_bytes_a_frame(tiny: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = 100_000
    film = Mock(wraps=tiny)
    film.manifest = tiny.manifest.model_copy(
        update={"source": tiny.manifest.source.model_copy(update={"frames": frames})}
    )

    @contextlib.contextmanager
    def opened(path: Path, size: tuple[int, int]) -> Iterator[tuple[Mock, Mock]]:
        with open_rung(path, size) as (_, stream):
            told = Mock(codec_context=stream.codec_context)
            packets = (
                SimpleNamespace(pos=n << 12, size=4000, pts=n, dts=n, is_keyframe=n < 100)
                for n in range(frames)
            )
            yield Mock(demux=lambda _: packets), told

    monkeypatch.setattr("server.rung_video.open_rung", opened)
    tracemalloc.start()
    try:
        video = RungVideo(film, 0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert video.size(frames - 1) == 4000
    assert held < 20 * frames
    video.close()
