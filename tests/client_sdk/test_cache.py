"""The cache gives back what was put in, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client_sdk.cache import AssetCache, user_folder
from kernels.errors import StreamError
from tests.client_sdk.tiny import sha
from tests.faults import UNREADABLE, small_disk


def test_an_asset_outlives_the_process_on_disk(tmp_path: Path) -> None:
    AssetCache(tmp_path / "cache").put(sha(b"plan"), b"plan")
    assert AssetCache(tmp_path / "cache").get(sha(b"plan")) == b"plan"


def test_without_a_folder_it_is_kept_in_memory() -> None:
    cache = AssetCache()
    cache.put(sha(b"plan"), b"plan")
    assert cache.get(sha(b"plan")) == b"plan"
    assert AssetCache().get(sha(b"plan")) is None


def test_a_damaged_file_counts_as_absent_and_goes(tmp_path: Path) -> None:
    AssetCache(tmp_path).put(sha(b"plan"), b"plan")
    (tmp_path / sha(b"plan")).write_bytes(b"lies")
    assert AssetCache(tmp_path).get(sha(b"plan")) is None
    assert not list(tmp_path.iterdir())


def test_a_wrong_hash_is_not_kept() -> None:
    with pytest.raises(StreamError, match="damaged"):
        AssetCache().put(sha(b"plan"), b"other")


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    parts = [bytes([n]) * 100 for n in range(4)]
    cache = AssetCache(tmp_path, limit=250)
    for part in parts:
        cache.put(sha(part), part)
    kept = [cache.get(sha(part)) is not None for part in parts]
    assert kept == [False, False, True, True]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 250


def test_what_killed_processes_left_half_written_counts_and_goes(tmp_path: Path) -> None:
    half = tmp_path / ".asset-abc"
    half.write_bytes(bytes(300))
    os.utime(half, (1000, 1000))
    cache = AssetCache(tmp_path, limit=400)
    one, two = b"1" * 90, b"2" * 90
    cache.put(sha(one), one)
    assert half.exists()
    cache.put(sha(two), two)
    assert {path.name for path in tmp_path.iterdir()} == {sha(one), sha(two)}


def test_on_a_full_disk_assets_are_kept_in_memory_and_nothing_by_half() -> None:
    data = os.urandom(200_000)
    with small_disk("100k") as disk:
        cache = AssetCache(disk / "cache")
        cache.put(sha(data), data)
        assert cache.get(sha(data)) == data
        assert list((disk / "cache").iterdir()) == []


@pytest.mark.skipif(not UNREADABLE.exists(), reason="needs /proc/self/mem")
def test_what_cannot_be_read_counts_as_absent(tmp_path: Path) -> None:
    data = b"an asset"
    (tmp_path / sha(data)).symlink_to(UNREADABLE)
    cache = AssetCache(tmp_path)
    assert cache.get(sha(data)) is None
    cache.put(sha(data), data)
    assert cache.get(sha(data)) == data


def test_a_name_with_tricks_finds_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    assert AssetCache(tmp_path / "cache").get("../secret") is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StreamError, match="cannot be made"):
        AssetCache(tmp_path / "file" / "cache")


def test_a_users_folder_is_where_the_platform_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    for platform, folder in (
        ("linux", ".cache/crispcast"),
        ("darwin", "Library/Caches/crispcast"),
        ("win32", "Local/crispcast/cache"),
    ):
        monkeypatch.setattr("client_sdk.cache.sys.platform", platform)
        assert user_folder() == tmp_path / folder
        assert (tmp_path / folder).is_dir()
    monkeypatch.setattr("client_sdk.cache.sys.platform", "linux")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert user_folder() is None
