"""Packages come, go and change while the server runs, and nobody who watches is disturbed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from client_sdk.contract import Package, open_package
from client_sdk.contract.rung import Rung
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from kernels.errors import PackageError
from server.catalogue import Catalogue, open_catalogue
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.faults import done_as_nobody
from tests.server.serving import Served, serving
from tests.server.test_http import SDP_HEADERS, offer

OFTEN = Settings(look_seconds=0.02)


@pytest.fixture(scope="session")
def other_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the same name, one segment long."""
    return write_tiny(tmp_path_factory.mktemp("other"), segments=SEGMENTS[:1])


@pytest.fixture
def folder(tiny_path: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_path, tmp_path / "packages" / "tiny.crisp")
    return tmp_path / "packages"


def replace(folder: Path, package: Path) -> None:
    """As an encode with --force does: a folder beside it, renamed into its place."""
    shutil.copytree(package, folder / ".new")
    (folder / "tiny.crisp").rename(folder / ".old")
    (folder / ".new").rename(folder / "tiny.crisp")
    shutil.rmtree(folder / ".old")


async def listed(catalogue: Catalogue, *names: str) -> None:
    async with asyncio.timeout(20):
        while sorted(catalogue.packages) != sorted(names):
            await asyncio.sleep(0.01)


async def playing(served: Served, name: str = "tiny") -> tuple[Session, asyncio.Task]:
    session = Session(f"{served.url}/whep/{name}", PlayOptions())
    task = asyncio.create_task(session.run())
    await asyncio.wait_for(session.first_frame.wait(), 20)
    return session, task


def test_who_watches_a_package_that_is_replaced_sees_it_to_its_end(
    folder: Path, other_path: Path
) -> None:
    async def run() -> None:
        async with serving(folder, OFTEN) as served, asyncio.timeout(60):
            catalogue = served.viewers.catalogue
            before = catalogue.packages["tiny"]
            session, task = await playing(served)
            replace(folder, other_path)
            # A look between the two renames sees none.
            while (now := catalogue.packages.get("tiny")) is None or now is before:
                await asyncio.sleep(0.01)
            new = await Session(f"{served.url}/whep/tiny", PlayOptions()).run()
            stats = await task
            assert session.manifest.result() == before.manifest
            assert (stats.frames, stats.frames_lost) == (sum(SEGMENTS), 0)
            assert (new.frames, new.late_plans, new.frames_interpolated) == (SEGMENTS[0], 0, 0)
            await served.viewers.all_gone.wait()
            # The files of the old one are given back.
            assert served.viewers.media.packages == [catalogue.packages["tiny"]]

    asyncio.run(run())


def test_who_watches_a_package_that_is_deleted_sees_it_to_its_end(
    folder: Path, tiny_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(tiny_path, folder / "other.crisp")

    async def run() -> None:
        async with serving(folder, OFTEN) as served, asyncio.timeout(60):
            catalogue = served.viewers.catalogue
            _, task = await playing(served)
            shutil.rmtree(folder / "tiny.crisp")
            await listed(catalogue, "other")
            while "tiny" in catalogue.broken:  # it was looked at half deleted
                await asyncio.sleep(0.01)
            refused = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            assert refused.status == 404
            assert (await task).frames == sum(SEGMENTS)
            again = await Session(f"{served.url}/whep/other", PlayOptions()).run()
            assert again.frames == sum(SEGMENTS)

    with caplog.at_level(logging.WARNING, "crispcast.server"):
        asyncio.run(run())
    assert "package tiny is gone" in caplog.text


def test_a_package_that_comes_later_can_be_watched(folder: Path, tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(folder, OFTEN) as served:
            assert (await served.ask("GET", "/whep/late")).status == 404
            shutil.copytree(tiny_path, folder / ".late")
            (folder / ".late").rename(folder / "late.crisp")
            await listed(served.viewers.catalogue, "late", "tiny")
            assert (await served.ask("GET", "/whep/late")).status == 204

    asyncio.run(run())


def test_a_package_that_breaks_is_409_until_it_is_mended(folder: Path) -> None:
    async def run() -> None:
        async with serving(folder, OFTEN) as served:
            catalogue = served.viewers.catalogue
            manifest = folder / "tiny.crisp" / "manifest.json"
            whole = manifest.read_bytes()
            manifest.write_bytes(whole[:100])
            await listed(catalogue)
            assert (await served.ask("GET", "/whep/tiny")).status == 409
            assert (await served.ask("GET", "/readyz")).status == 503
            manifest.write_bytes(whole)
            await listed(catalogue, "tiny")
            assert (await served.ask("GET", "/whep/tiny")).status == 204

    asyncio.run(run())


def test_a_package_that_is_mended_while_it_is_opened_is_opened_once_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = open_catalogue(folder)
    manifest = folder / "tiny.crisp" / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:100])

    def mended_too_late(path: Path) -> Package:
        try:
            return open_package(path)
        finally:
            manifest.write_bytes(whole)

    with monkeypatch.context() as patch:
        patch.setattr("server.catalogue.open_package", mended_too_late)
        catalogue.look()
    assert "tiny" in catalogue.broken
    catalogue.look()
    assert "tiny" in catalogue.packages


def test_a_package_that_is_copied_in_place_is_taken_when_it_is_whole(
    folder: Path, tiny_path: Path
) -> None:
    catalogue = open_catalogue(folder)
    copy = folder / "copy.crisp"
    (copy / "video").mkdir(parents=True)
    shutil.copy(tiny_path / "manifest.json", copy)
    catalogue.look()
    assert "copy" in catalogue.broken
    shutil.copytree(tiny_path, copy, dirs_exist_ok=True)
    catalogue.look()
    assert sorted(catalogue.packages) == ["copy", "tiny"]


def test_what_has_not_changed_is_not_opened_again(folder: Path) -> None:
    catalogue = open_catalogue(folder)
    package = catalogue.packages["tiny"]
    (folder / "tiny.crisp" / "report").mkdir()
    catalogue.look()
    assert catalogue.packages["tiny"] is package
    os.utime(folder / "tiny.crisp" / "manifest.json", ns=(1, 1))
    catalogue.look()
    assert catalogue.packages["tiny"] is not package


def test_a_look_that_takes_long_does_not_hold_up_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, may_end, ended = threading.Event(), threading.Event(), threading.Event()
    catalogue = open_catalogue(folder)

    def look() -> None:
        looking.set()
        may_end.wait(10)
        ended.set()

    monkeypatch.setattr(catalogue, "look", look)

    async def run() -> None:
        following = asyncio.create_task(catalogue.follow(0.01, lambda: None))
        async with asyncio.timeout(20):
            while not looking.is_set():
                await asyncio.sleep(0.01)
        following.cancel()

    asyncio.run(run())
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(20)


def test_a_disk_that_is_gone_empties_the_catalogue_and_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalogue = open_catalogue(folder)
    folder.rename(folder.with_name("away"))
    with caplog.at_level(logging.ERROR, "crispcast.server"):
        catalogue.look()
    assert catalogue.packages == {}
    assert "cannot be read: No such file" in caplog.text
    folder.with_name("away").rename(folder)
    catalogue.look()
    assert list(catalogue.packages) == ["tiny"]


@pytest.fixture
def open_folder(folder: Path) -> Iterator[Path]:
    """The same where everybody may look."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        yield Path(shutil.copytree(folder, Path(made) / "packages"))


def test_a_folder_that_may_not_be_read_costs_no_package(open_folder: Path) -> None:
    # A volume's root has one, where the server runs as nobody.
    (open_folder / "lost+found").mkdir(mode=0o700)
    shutil.copytree(open_folder / "tiny.crisp", open_folder / "mine.crisp").chmod(0o700)

    def look() -> bool:
        catalogue = open_catalogue(open_folder)
        return list(catalogue.packages) == ["tiny"] and "denied" in catalogue.broken["mine"]

    assert done_as_nobody(look)


def test_a_package_that_may_not_be_read_is_said(open_folder: Path) -> None:
    package = open_folder / "tiny.crisp"
    package.chmod(0o700)

    def refused() -> bool:
        with pytest.raises(PackageError, match="Permission denied"):
            open_catalogue(package)
        return True

    assert done_as_nobody(refused)


def test_a_name_that_is_not_utf8_costs_its_package_only(folder: Path) -> None:
    strange = folder / os.fsdecode(b"caf\xe9.crisp")
    shutil.copytree(folder / "tiny.crisp", strange)

    async def run() -> None:
        async with serving(folder) as served:
            assert (await served.ask("GET", "/")).status == 200
            reply = await served.ask("GET", "/packages")
            assert [package["name"] for package in json.loads(reply.body)] == ["tiny"]
            (why,) = served.viewers.catalogue.broken.values()
            assert "caf\\udce9.crisp has a name that is not UTF-8" in why

    asyncio.run(run())


def test_of_two_folders_of_one_name_one_is_served_and_the_other_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Path(shutil.copytree(folder / "tiny.crisp", folder / "tiny"))
    with caplog.at_level(logging.WARNING, "crispcast.server"):
        catalogue = open_catalogue(folder)
        package = catalogue.packages["tiny"]
        assert package.path.name == "tiny.crisp"
        (other / "manifest.json").write_text("{}")
        catalogue.look()
    assert catalogue.packages["tiny"] is package
    assert not catalogue.broken
    assert [record.message for record in caplog.records] == [
        f"{other} is passed over: tiny.crisp has its name"
    ]


def test_who_comes_or_looks_costs_no_look_through_all_segments(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A film has thousands, and whoever is served meanwhile would wait.
    async def run() -> None:
        async with serving(folder) as served:
            before = [(await served.ask("GET", path)).body for path in ("/packages", "/")]
            looked = Mock(return_value=())
            monkeypatch.setattr(Rung, "assets_of", looked)
            after = [(await served.ask("GET", path)).body for path in ("/packages", "/")]
            session, task = await playing(served)
            assert not looked.called
            assert before == after
            session.stop()
            await task

    asyncio.run(run())
