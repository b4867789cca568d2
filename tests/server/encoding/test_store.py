"""The store keeps whole artefacts, whatever happens to those who make them."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from crispcast import main
from kernels.errors import CrispcastError
from server.encoding import store as stores
from server.encoding import store_upkeep
from server.encoding.store import Store, contents, default_store
from server.encoding.store_upkeep import list_store, tidy, verify_store

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
    tidy(store, limit=200)
    assert [store.find(key) is not None for key in keys] == [True, False, True]


def leave(store: Store, key: str, checkpoint: bytes | None) -> Path:
    """What a killed job leaves: half a result, and a checkpoint where it had come to one."""
    partial = store.root / "partial" / key
    (partial / "out").mkdir(parents=True)
    (partial / "out" / "half").write_bytes(bytes(1000))
    (partial / "checkpoint").mkdir()
    if checkpoint is not None:
        (partial / "checkpoint" / "state.pt").write_bytes(checkpoint)
    return partial


def test_of_killed_jobs_only_checkpoints_stay_that_somebody_may_go_on_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    begun, halfway, done = (f"{index:02x}" + "0" * 62 for index in range(3))
    make(store, done, b"content")
    leave(store, done, b"a checkpoint")
    leave(store, begun, None)
    left = leave(store, halfway, b"a checkpoint")
    assert tidy(store).partials == 2
    assert [path.name for path in (tmp_path / "partial").iterdir()] == [halfway]
    assert not (left / "out").exists()
    assert (left / "checkpoint" / "state.pt").read_bytes() == b"a checkpoint"


def test_checkpoints_count_and_go_as_artefacts_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = [f"{index:02x}" + "0" * 62 for index in range(4)]
    for index in (0, 1):
        left = leave(store, keys[index], bytes(100)) / "checkpoint" / "state.pt"
        os.utime(left, (1000 + index, 1000 + index))
    for index in (2, 3):
        make(store, keys[index], bytes(100))
    gone = tidy(store, limit=300)
    assert (gone.artefacts, gone.partials, gone.bytes) == (0, 1, 100)
    assert [path.name for path in (tmp_path / "partial").iterdir()] == [keys[1]]


@pytest.mark.parametrize("then", [0, 4_000_000_000])
def test_a_clock_that_was_wrong_costs_no_checkpoint(tmp_path: Path, then: float) -> None:
    store = Store(tmp_path)
    left = leave(store, KEY, b"a checkpoint") / "checkpoint" / "state.pt"
    for path in (left, left.parent, left.parents[1]):
        os.utime(path, (then, then))
    tidy(store)
    assert left.read_bytes() == b"a checkpoint"


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
        tidy(Store(tmp_path))


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


def damage(folder: Path, how: str) -> None:
    if how == "another byte":
        (folder / "result").write_bytes(b"contenu")
    elif how == "a file lost":
        (folder / "result").unlink()
    elif how == "a file more":
        (folder / "other").touch()
    else:
        (folder / "artefact.json").write_bytes(b"{")


@pytest.mark.parametrize("how", ["another byte", "a file lost", "a file more", "no facts"])
def test_a_damaged_artefact_is_not_found_but_made_again(tmp_path: Path, how: str) -> None:
    make(Store(tmp_path), KEY, b"content")
    damage(Store(tmp_path).object(KEY), how)
    store = Store(tmp_path)
    assert store.find(KEY) is None
    make(store, KEY, b"content")
    found = Store(tmp_path).find(KEY)
    assert found is not None
    assert [path.name for path in found.folder.iterdir() if path.name != "artefact.json"] == [
        "result"
    ]


def test_upkeep_finds_and_removes_what_is_damaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keys = [f"{index:02x}" + "0" * 62 for index in range(3)]
    for key in keys:
        make(store, key, b"content")
    damage(store.object(keys[0]), "another byte")
    damage(store.object(keys[1]), "no facts")
    told = {kept.key: whole for kept, whole in verify_store(store)}
    assert told == {keys[0]: False, keys[1]: False, keys[2]: True}
    assert [kept.key for kept in list_store(store)] == [keys[2]]
    assert list(tmp_path.glob("objects/*/gone-*")) == []


@pytest.mark.parametrize("looks", ["an encode", "upkeep"])
def test_what_was_made_again_while_the_damaged_one_was_looked_at_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: str
) -> None:
    make(Store(tmp_path), KEY, b"content")
    damage(Store(tmp_path).object(KEY), "another byte")
    other, again = Store(tmp_path), iter([True])

    def slowly(folder: Path) -> tuple[str, int]:
        judged = contents(folder)
        if next(again, False):
            assert other.find(KEY) is None
            make(other, KEY, b"content")
        return judged

    monkeypatch.setattr(stores if looks == "an encode" else store_upkeep, "contents", slowly)
    if looks == "an encode":
        assert Store(tmp_path).find(KEY) is not None
    else:
        assert list(verify_store(Store(tmp_path))) == []
    assert (other.place(KEY) / "result").read_bytes() == b"content"


def test_what_a_running_encode_uses_stays(tmp_path: Path) -> None:
    keys = [f"{index:02x}" + "0" * 62 for index in range(4)]
    for key in keys[:3]:
        make(Store(tmp_path), key, bytes(100))
    with Store(tmp_path).leased() as encode:
        assert encode.find(keys[1]) is not None
        # A worker of it, in a process of its own.
        worker = Store(tmp_path, encode.lease)
        assert worker.find(keys[2]) is not None
        make(worker, keys[3], bytes(100))
        gone = tidy(Store(tmp_path), limit=0)
        assert (gone.artefacts, gone.bytes) == (1, 100)
        assert {kept.key for kept in list_store(encode)} == set(keys[1:])
    assert tidy(Store(tmp_path), limit=0).artefacts == 3
    assert list((tmp_path / "leases").iterdir()) == []


def test_the_lease_of_a_killed_encode_holds_nothing(tmp_path: Path) -> None:
    make(Store(tmp_path), KEY, bytes(100))
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from server.encoding.store import Store;"
        "lease = Store(Path(sys.argv[1])).leased(); store = lease.__enter__();"
        "assert store.find(sys.argv[2]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path), KEY], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "leases").iterdir())) == 1
    assert tidy(Store(tmp_path), limit=0).artefacts == 1
    assert list((tmp_path / "leases").iterdir()) == []


def test_an_old_partial_that_is_worked_on_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.working(KEY) as (_, checkpoint):
        os.utime(checkpoint.parent, (1000, 1000))
        assert tidy(store).partials == 0
        assert checkpoint.exists()


def test_a_killed_removal_is_finished(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for half in ("objects/ab/gone-0123", "partial/gone-4567"):
        (tmp_path / half).mkdir(parents=True)
    tidy(store)
    assert list(tmp_path.rglob("gone-*")) == []


def test_many_encodes_and_tidying_at_once_lose_nothing(tmp_path: Path) -> None:
    """Whoever found or made an artefact under a lease can read it until the lease ends."""
    keys = [f"{index:02x}" + "0" * 62 for index in range(6)]

    def encode(seed: int) -> None:
        with Store(tmp_path).leased() as store:
            for key in (*keys[seed % 6 :], *keys[: seed % 6]):
                found = store.find(key)
                if found is None:
                    with store.working(key) as (out, _):
                        found = store.find(key)
                        if found is None:
                            (out / "result").write_bytes(key.encode())
                            found = store.finish(key, "test")
                assert (found.folder / "result").read_bytes() == key.encode()
            for key in keys:
                assert (store.object(key) / "result").read_bytes() == key.encode()

    with ThreadPoolExecutor(8) as pool:
        encodes = [pool.submit(encode, seed) for seed in range(24)]
        removals = [pool.submit(tidy, Store(tmp_path), 0) for _ in range(24)]
        for done in encodes:
            done.result()
        for removal in removals:
            removal.result()


def test_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["store", *arguments])
        out, error = capfd.readouterr()
        return int(ended.value.code or 0), out, error

    folder = ("--store", str(tmp_path))
    for index in range(3):
        make(Store(tmp_path), f"{index:02x}" + "0" * 62, bytes(100))
    code, out, _ = run("ls", *folder, "--json")
    assert (code, json.loads(out)["bytes"]) == (0, 300)
    assert run("verify", *folder)[0] == 0
    damage(Store(tmp_path).object("00" + "0" * 62), "another byte")
    code, out, error = run("verify", *folder)
    assert code == 1
    assert "00000000" in error
    code, out, _ = run("gc", *folder, "--limit", "100", "--json")
    assert json.loads(out) == {"artefacts": 1, "partials": 0, "bytes": 100}
    for wrong in (("ls", "--store", str(tmp_path / "none")), ("gc", *folder, "--limit", "1Q")):
        code, _, error = run(*wrong)
        assert code == 1
        assert error.count("\n") == 1


def test_a_lease_begins_while_nobody_can_tidy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it could be taken for one that a killed encode left."""
    lock, seen = fcntl.flock, list[str]()

    def looked(file: IO[str], how: int) -> None:
        if Path(file.name).parent.name == "leases":
            with (tmp_path / "lock").open("a") as tidying, pytest.raises(BlockingIOError):
                lock(tidying, fcntl.LOCK_EX | fcntl.LOCK_NB)
            seen.append(file.name)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", looked)
    with Store(tmp_path).leased() as store:
        assert seen == [str(store.lease)]
