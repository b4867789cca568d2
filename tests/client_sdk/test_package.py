"""A package is whole, or opening it says which file is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from client_sdk.contract import Package, open_package
from kernels.errors import PackageError


def _file(root: Path, kind: str) -> Path:
    return {
        "manifest": root / "manifest.json",
        "video": root / "video" / "lr.mp4",
        "maps": root / "maps" / "lr.maps",
        "audio": root / "audio" / "track.ogg",
        "plan": next((root / "plans").iterdir()),
        "plate": next((root / "plates").iterdir()),
    }[kind]


KINDS = ["manifest", "video", "maps", "audio", "plan", "plate"]


def test_a_whole_package_opens_and_gives_every_asset(tiny: Package) -> None:
    for sha256, place in tiny.places.items():
        assert len(tiny.asset(sha256)) == place.bytes
    for segment in range(len(tiny.manifest.segments)):
        assert tiny.patch_map(0, segment).highest <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_named(tiny_copy: Path, kind: str) -> None:
    path = _file(tiny_copy, kind)
    path.unlink()
    with pytest.raises(PackageError, match=path.name):
        open_package(tiny_copy)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_named(tiny_copy: Path, kind: str) -> None:
    path = _file(tiny_copy, kind)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(PackageError, match=path.name):
        open_package(tiny_copy)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tampered_file_is_named(tiny_copy: Path, kind: str) -> None:
    path = _file(tiny_copy, kind)
    data = bytearray(path.read_bytes())
    data[-8] ^= 0x10
    path.write_bytes(data)
    if kind == "manifest":
        with pytest.raises(PackageError, match=path.name):
            open_package(tiny_copy)
        return
    with pytest.raises(PackageError, match="damaged"):
        open_package(tiny_copy)


def test_a_link_out_of_the_package_is_refused(tiny_copy: Path, tmp_path: Path) -> None:
    plan = _file(tiny_copy, "plan")
    elsewhere = tmp_path / "elsewhere"
    plan.rename(elsewhere)
    plan.symlink_to(elsewhere)
    with pytest.raises(PackageError, match="missing"):
        open_package(tiny_copy)


def test_a_folder_that_leads_out_of_the_package_is_refused(tiny_copy: Path, tmp_path: Path) -> None:
    (tiny_copy / "video").rename(tmp_path / "elsewhere")
    (tiny_copy / "video").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageError, match="video"):
        open_package(tiny_copy)


def test_a_manifest_that_is_no_file_is_refused_at_once(tiny_copy: Path) -> None:
    (tiny_copy / "manifest.json").unlink()
    os.mkfifo(tiny_copy / "manifest.json")
    with pytest.raises(PackageError, match="not a package"):
        open_package(tiny_copy)


def test_a_manifest_that_is_a_link_is_refused(tiny_copy: Path, tmp_path: Path) -> None:
    (tiny_copy / "manifest.json").rename(tmp_path / "elsewhere")
    (tiny_copy / "manifest.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageError, match=r"manifest\.json is a link"):
        open_package(tiny_copy)


@pytest.mark.parametrize("kind", ["video", "maps", "audio", "plan", "plate"])
def test_a_file_that_is_a_pipe_is_refused_at_once(tiny_copy: Path, kind: str) -> None:
    path = _file(tiny_copy, kind)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PackageError, match=path.name):
        open_package(tiny_copy)


def test_an_asset_that_became_a_pipe_is_refused_at_once(tiny_copy: Path) -> None:
    package = open_package(tiny_copy)
    path = _file(tiny_copy, "plan")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PackageError, match="no file"):
        package.asset(path.stem)


def test_a_map_outside_its_file_is_refused(tiny_copy: Path) -> None:
    manifest = tiny_copy / "manifest.json"
    tree = json.loads(manifest.read_bytes())
    tree["rungs"][0]["segments"][2]["map"]["offset"] += 1
    manifest.write_text(json.dumps(tree))
    with pytest.raises(PackageError, match="outside the file"):
        open_package(tiny_copy)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_no_package_is_said_to_be_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PackageError, match="is not a package"):
        open_package(tmp_path / name)
