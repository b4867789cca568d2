"""Encodes on a disk that is full, or cannot be read: a sentence, nothing half-written, and on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kernels.errors import CrispcastError
from server.encoding import EncodeConfig, encode
from server.encoding.store import Store
from tests.faults import UNREADABLE, small_disk

FREE = (0, 4, 12, 40, 120, 400, 1200, 4000)
"""KiB, one try after the other: more jobs come to their end each time, and others to no space."""

needs_unreadable = pytest.mark.skipif(not UNREADABLE.exists(), reason="needs /proc/self/mem")


def config(source: Path, output: Path, store: Path) -> EncodeConfig:
    return EncodeConfig(source, output, store=store, preset="fast", steps=6, threads=1)


def files_of(package: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(small_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an encode: its package `a.crisp` and its `store`."""
    folder = tmp_path_factory.mktemp("undisturbed")
    encode(config(small_video, folder / "a.crisp", folder / "store"))
    return folder


def leave(disk: Path, kilobytes: int) -> None:
    """So much room."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    facts = os.statvfs(disk)
    taken = facts.f_bavail * facts.f_frsize - kilobytes * 1024
    if taken > 0:
        ballast.write_bytes(bytes(taken))


def test_a_full_disk_under_the_store_is_a_sentence_until_there_is_room(
    small_video: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output, said = tmp_path / "out" / "a.crisp", list[str]()
    with small_disk("6m") as disk:
        (disk / "store").mkdir()
        for kilobytes in FREE:
            leave(disk, kilobytes)
            try:
                encode(config(small_video, output, disk / "store"))
                break
            except CrispcastError as error:
                said.append(str(error))
            assert not output.exists()
            assert list(disk.glob("store/partial/*/out")) == []
        done = {path.parent.name for path in disk.glob("store/objects/*/*/artefact.json")}
        assert done == {path.name for path in (undisturbed / "store").glob("objects/*/*")}
    assert files_of(output) == files_of(undisturbed / "a.crisp")
    assert len(said) >= 3
    assert all("No space left" in each and "free some space" in each for each in said), said


def test_a_full_disk_under_the_package_is_a_sentence_until_there_is_room(
    small_video: Path, undisturbed: Path, tmp_path: Path
) -> None:
    said = list[str]()
    with small_disk("1m") as disk:
        output = disk / "out" / "a.crisp"
        output.parent.mkdir()
        for kilobytes in FREE:
            leave(disk, kilobytes)
            try:
                result = encode(config(small_video, output, undisturbed / "store"))
                break
            except CrispcastError as error:
                said.append(str(error))
            assert list(output.parent.iterdir()) == []
        assert files_of(output) == files_of(undisturbed / "a.crisp")
    assert result.reused
    assert said
    assert all("disk is full" in each for each in said), said


@needs_unreadable
def test_a_video_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.symlink_to(UNREADABLE)
    with pytest.raises(CrispcastError, match=r"video\.mp4.*Input/output error") as refused:
        encode(config(video, tmp_path / "a.crisp", tmp_path / "store"))
    assert "space" not in str(refused.value)


@needs_unreadable
def test_artefacts_that_cannot_be_read_are_made_again(
    small_video: Path, undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed / "store", tmp_path / "store")
    unreadable = {"info.json", "artefact.json", "expert.plan", "low.npy"}
    for path in (tmp_path / "store").rglob("*"):
        if path.name in unreadable:
            path.unlink()
            path.symlink_to(UNREADABLE)
            unreadable.discard(path.name)
    assert not unreadable
    encode(config(small_video, tmp_path / "a.crisp", tmp_path / "store"))
    assert files_of(tmp_path / "a.crisp") == files_of(undisturbed / "a.crisp")
    assert not any(path.is_symlink() for path in (tmp_path / "store").rglob("*"))


@needs_unreadable
def test_what_fails_while_it_is_used_is_a_sentence_and_made_again_by_the_next(
    small_video: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed / "store", tmp_path / "store")
    trial = next((tmp_path / "store").rglob("trial.npz"))
    find = Store.find

    def fails_then(store: Store, key: str) -> object:
        found = find(store, key)
        if found is not None and found.folder == trial.parent and not trial.is_symlink():
            trial.unlink()
            trial.symlink_to(UNREADABLE)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Store, "find", fails_then)
        with pytest.raises(CrispcastError, match="Input/output error") as refused:
            encode(config(small_video, tmp_path / "a.crisp", tmp_path / "store"))
    assert "space" not in str(refused.value)
    assert not (tmp_path / "a.crisp").exists()
    encode(config(small_video, tmp_path / "a.crisp", tmp_path / "store"))
    assert files_of(tmp_path / "a.crisp") == files_of(undisturbed / "a.crisp")
