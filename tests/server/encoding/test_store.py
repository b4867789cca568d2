"""The store keeps whole artefacts, whatever happens to those who make them."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from kernels.errors import CrispcastError
from server.encoding.store import Store, default_store

KEY = "ab" + "0" * 62


def make(store: Store, key: str, content: bytes) -> None:
    with store.working(key) as (out, _):
        (out / "result").write_bytes(content)
        store.finish(key, "test")


def test_what_was_made_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(KEY) is None
    make(store, KEY, b"content")
    found = Store(tmp_path).find(KEY)
    assert found is not None
    assert (found.folder / "result").read_bytes() == b"content"
    assert found.bytes == 7
    assert list((tmp_path / "partial").iterdir()) == []


def test_equal_content_has_an_equal_hash_under_any_key(tmp_path: Path) -> None:
    store = Store(tmp_path)
    other, third = "cd" + "0" * 62, "ef" + "0" * 62
    make(store, KEY, b"same")
    make(store, other, b"same")
    make(store, third, b"else")
    hashes = [artefact.sha256 for key in (KEY, other, third) if (artefact := store.find(key))]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_failed_job_leaves_its_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with suppress(RuntimeError), store.working(KEY) as (out, checkpoint):
        (out / "half").write_bytes(b"half")
        (checkpoint / "state").write_bytes(b"step 7")
        raise RuntimeError
    assert store.find(KEY) is None
    with store.working(KEY) as (out, checkpoint):
        assert list(out.iterdir()) == []
        assert (checkpoint / "state").read_bytes() == b"step 7"


def test_the_least_used_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = [f"{index:02x}" + "0" * 62 for index in range(3)]
    for index, key in enumerate(keys):
        make(store, key, bytes(100))
        marker = tmp_path / "objects" / key[:2] / key / "artefact.json"
        os.utime(marker, (1000 + index, 1000 + index))
    store.find(keys[0])  # the oldest is used again
    store.tidy(limit=200)
    assert [store.find(key) is not None for key in keys] == [True, False, True]


def test_old_partials_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    stale, fresh = tmp_path / "partial" / "stale", tmp_path / "partial" / "fresh"
    stale.mkdir()
    fresh.mkdir()
    os.utime(stale, (1000, 1000))
    store.tidy()
    assert not stale.exists()
    assert fresh.exists()


def test_a_store_in_an_impossible_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CrispcastError, match="--store"):
        Store(tmp_path / "file" / "store")


def test_the_environment_names_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRISPCAST_STORE", str(tmp_path))
    assert default_store() == tmp_path
    monkeypatch.delenv("CRISPCAST_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_store() == tmp_path / "crispcast" / "store"


def test_a_limit_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRISPCAST_STORE_LIMIT", "plenty")
    with pytest.raises(CrispcastError, match="CRISPCAST_STORE_LIMIT"):
        Store(tmp_path).tidy()


def test_those_who_waited_for_a_job_leave_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made: list[bool] = []

    def work() -> None:
        with store.working(KEY) as (out, _):
            made.append(store.find(KEY) is None)
            if made[-1]:
                (out / "result").write_bytes(b"content")
                store.finish(KEY, "test")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(40)]:
            done.result()
    assert made.count(True) == 1
    assert list((tmp_path / "partial").iterdir()) == []
