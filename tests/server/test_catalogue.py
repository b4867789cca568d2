"""Packages come, go and change while the server runs, and nobody who watches is disturbed."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path

import pytest

from client_sdk.contract import Package, open_package
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from server.catalogue import Catalogue, open_catalogue
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS, write_tiny
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
            while catalogue.packages.get("tiny") is before:
                await asyncio.sleep(0.01)
            new = await Session(f"{served.url}/whep/tiny", PlayOptions()).run()
            stats = await task
            assert session.manifest.result() == before.manifest
            assert (stats.frames, stats.frames_lost) == (sum(SEGMENTS), 0)
            assert (new.frames, new.late_plans, new.frames_interpolated) == (SEGMENTS[0], 0, 0)
            await served.viewers.all_gone.wait()
            # The files of the old one are given back.
            assert [media.package for media in served.viewers._media] == [
                catalogue.packages["tiny"]
            ]

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
