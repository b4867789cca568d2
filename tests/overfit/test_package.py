"""Packages are written whole or not at all, and read back as they were meant."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from client_sdk.contract import Grid, PatchMap, Segment, Source, open_package
from kernels.errors import PackageError
from overfit.package import (
    PackageParts,
    PlateParts,
    RungParts,
    SegmentParts,
    check_target,
    ledger,
    read_settings,
    write_package,
)
from server.encoding.graph import hash_file
from tests.faults import killed_before_change

PLAN = b"a plan, as far as a package is concerned"
PLATE = b"a plate, likewise"


@pytest.fixture
def parts(tmp_path: Path) -> PackageParts:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"video")
    grid = Grid(64, 32, 32, 16)
    segment = SegmentParts(PatchMap(grid, (0, 1, 1, 0)), (PLAN,), (PlateParts(PLATE),))
    plain = SegmentParts(PatchMap.uniform(64, 32, 0))
    return PackageParts(
        name="test",
        source=Source(sha256="0" * 64, width=128, height=64, frames=50, fps=(25, 1)),
        config={"scale": 2},
        method="stdo",
        segments=(Segment(start=0, frames=25), Segment(start=25, frames=25)),
        rungs=(
            RungParts(
                "32p", 64, 32, 2, "h264", "high", video, hash_file(video), 5, (segment, plain)
            ),
        ),
    )


def test_what_is_written_is_read(parts: PackageParts, tmp_path: Path) -> None:
    target = tmp_path / "out" / "test.crisp"
    manifest = write_package(target, parts)
    read = open_package(target)
    assert read.manifest == manifest
    first, second = read.manifest.rungs[0].segments
    assert [read.asset(sha) for sha in first.experts] == [PLAN]
    assert first.plate == 0
    assert [read.asset(piece.sha256) for piece in read.manifest.rungs[0].plates[0]] == [PLATE]
    assert second.experts == ()
    assert read.patch_map(0, 0) == parts.rungs[0].segments[0].patch_map
    assert read.patch_map(0, 1).highest == 0
    assert list(target.parent.iterdir()) == [target]


def test_the_ledger_counts_each_thing_once(parts: PackageParts, tmp_path: Path) -> None:
    rung = parts.rungs[0]
    both = replace(parts, rungs=(replace(rung, segments=(rung.segments[0],) * 2),))
    manifest = write_package(tmp_path / "test.crisp", both)
    sizes = ledger(manifest)
    assert (sizes.plans, sizes.plates, sizes.video) == (len(PLAN), len(PLATE), 5)
    assert sizes.maps == manifest.rungs[0].segments[0].map.bytes
    assert sizes.manifest == (tmp_path / "test.crisp" / "manifest.json").stat().st_size
    assert sizes.motion == 0
    parts_of_it = sizes.video + sizes.plans + sizes.plates + sizes.maps + sizes.manifest
    assert sizes.total == parts_of_it
    assert sizes.kbps(1000, manifest) == 4  # 8 kb over two seconds


def test_chroma_is_told_apart_and_raises_the_version(parts: PackageParts, tmp_path: Path) -> None:
    rung = parts.rungs[0]
    plate = PlateParts(PLATE, (0, 0, 48, 32), chroma=b"chroma, likewise")
    first = replace(rung.segments[0], plate=(plate,))
    coloured = replace(rung, segments=(first, rung.segments[1]), chroma_tolerance=20)
    plain = write_package(tmp_path / "plain.crisp", parts)
    manifest = write_package(tmp_path / "test.crisp", replace(parts, rungs=(coloured,)))
    assert (plain.version, manifest.version) == ("1.2", "1.3")
    assert b"chroma" not in plain.to_bytes()
    assert manifest.rungs[0].chroma_tolerance == 20
    [[piece]] = manifest.rungs[0].plates
    assert piece.chroma is not None
    assert open_package(tmp_path / "test.crisp").asset(piece.chroma) == b"chroma, likewise"
    sizes, before = ledger(manifest), ledger(plain)
    assert (sizes.plates, sizes.chroma, before.chroma) == (len(PLATE), 16, 0)
    assert sizes.total - sizes.manifest == before.total - before.manifest + 16


def test_an_existing_package_is_refused_and_kept(parts: PackageParts, tmp_path: Path) -> None:
    target = tmp_path / "test.crisp"
    write_package(target, parts)
    with pytest.raises(PackageError, match="--force"):
        write_package(target, parts)
    write_package(target, parts, force=True)
    assert open_package(target).manifest.name == "test"


def test_a_full_disk_leaves_what_was_there(
    parts: PackageParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "test.crisp"
    write_package(target, parts)
    before = (target / "manifest.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(PackageError, match="disk is full"):
        write_package(target, parts, force=True)
    assert (target / "manifest.json").read_bytes() == before
    assert list(target.parent.iterdir()) == [target]


def test_leftovers_of_a_kill_are_removed(parts: PackageParts, tmp_path: Path) -> None:
    target = tmp_path / "out" / "test.crisp"
    leftover = target.with_name(f".{target.name}.partial")
    leftover.mkdir(parents=True)
    (leftover / "half").touch()
    write_package(target, parts)
    assert list(target.parent.iterdir()) == [target]
    shutil.rmtree(target)


def files_of(package: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("at_once", [True, False])
def test_a_kill_at_any_moment_leaves_the_package_that_was_there_or_the_new_one(
    parts: PackageParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """Where folders cannot change places at once, the next encode puts back what was there."""

    def cannot(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    if not at_once:
        monkeypatch.setattr("client_sdk.contract.exchange._exchange_at_once", cannot)
    new = replace(parts, config={"scale": 2, "seed": 1})
    for name, each in (("old", parts), ("new", new)):
        write_package(tmp_path / name / "test.crisp", each)
    old_files, new_files = (files_of(tmp_path / name / "test.crisp") for name in ("old", "new"))
    assert old_files != new_files
    seen = set[bool]()
    for change in itertools.count(1):
        folder = tmp_path / str(change)
        target = folder / "test.crisp"
        write_package(target, parts)

        def run(target: Path = target) -> object:
            return write_package(target, new, force=True)

        if not killed_before_change(change, folder, run):
            break
        if not at_once:
            with pytest.raises(PackageError, match="--force"):
                check_target(target, force=False)
        assert files_of(target) in (old_files, new_files)
        seen.add(files_of(target) == new_files)
        write_package(target, new, force=True)
        assert files_of(target) == new_files
        assert list(folder.iterdir()) == [target]
    assert seen == {True, False}
    assert change > 15


def test_of_two_who_write_one_package_the_second_is_refused(
    parts: PackageParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "test.crisp"
    copy, lock = shutil.copyfile, fcntl.flock
    first_at_the_lock, second_at_the_lock = threading.Event(), threading.Event()

    def flock(descriptor: int, operation: int) -> None:
        (second_at_the_lock if first_at_the_lock.is_set() else first_at_the_lock).set()
        lock(descriptor, operation)

    def copy_once_the_other_waits(source: Path, destination: Path) -> Path:
        assert second_at_the_lock.wait(30)
        return Path(copy(source, destination))

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setattr("shutil.copyfile", copy_once_the_other_waits)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(write_package, target, parts) for _ in range(2)]
        errors = [writer.exception() for writer in both]
    assert [str(error).count("exists; choose") for error in errors if error is not None] == [1]
    assert open_package(target).manifest.name == "test"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_no_viewer_downloads_settings_or_what_is_null(parts: PackageParts, tmp_path: Path) -> None:
    target = tmp_path / "small.crisp"
    write_package(target, replace(parts, config={"scale": 2, "lr_crf": 36}))
    manifest = (target / "manifest.json").read_text()
    assert "lr_crf" not in manifest
    assert "null" not in manifest
    assert read_settings(target) == {"scale": 2, "lr_crf": 36}


def test_a_package_that_does_not_tell_its_settings(parts: PackageParts, tmp_path: Path) -> None:
    target = tmp_path / "small.crisp"
    write_package(target, parts)
    (target / "report" / "settings.json").write_text("[]")
    with pytest.raises(PackageError, match="how the package was encoded"):
        read_settings(target)
