"""SIGKILL before every change that an engine and its store make, and of workers of a pool."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kernels.errors import CrispcastError
from server.encoding import engine as engines
from server.encoding.engine import LocalEngine
from server.encoding.graph import Job
from server.encoding.shared_store import SharedStore
from server.encoding.store import Artefact, Store
from server.encoding.store_upkeep import list_store, tidy
from tests.faults import killed_before_change
from tests.server.encoding.sums import add, number, wait_for_word


def graph() -> Job:
    return Job("sum", add, {"plus": 1}, {"a": Job("two", number, {"value": 2})})


def encode(store: Store, reused: list[str] | None = None) -> dict[str, Artefact]:
    """What an encode does with its store, with small jobs."""
    tidy(store)
    with store.leased() as leased:
        return LocalEngine(1).run(
            [graph()],
            leased,
            lambda news: reused.append(news.job) if reused is not None and news.reused else None,
        )


def local(folder: Path) -> Store:
    return Store(folder / "store")


def shared(folder: Path) -> Store:
    pytest.importorskip("fsspec", reason="stores at URLs need crispcast[ray]")
    return SharedStore(f"file://{folder}/far", folder / "store")


@pytest.mark.parametrize("open_store", [local, shared])
def test_a_kill_before_any_change_loses_no_finished_job(
    open_store: Callable[[Path], Store], tmp_path: Path
) -> None:
    def sums(done: dict[str, Artefact]) -> dict[str, str]:
        return {name: artefact.sha256 for name, artefact in done.items()}

    wanted = sums(encode(open_store(tmp_path / "undisturbed")))
    for change in itertools.count(1):
        folder = tmp_path / str(change)
        if not killed_before_change(change, folder, lambda: encode(open_store(folder))):  # noqa: B023
            break
        store = open_store(folder)
        finished = {kept.job for kept in list_store(store)}
        reused: list[str] = []
        assert sums(encode(store, reused)) == wanted
        assert set(reused) >= finished
        tidy(Store(store.root), limit=0)
        left = [path for name in ("leases", "partial") for path in (store.root / name).iterdir()]
        assert [*left, *(store.root / "objects").glob("*/*")] == []
    assert change > 30


def begun_by(folder: Path) -> int:
    """The process that says next that it does the job `wait_for_word`."""
    return int((folder / "begun").read_text())


@pytest.fixture
def waiting(tmp_path: Path) -> Job:
    """A job that says who does it, and waits for a word."""
    for pipe in ("begun", "go"):
        os.mkfifo(tmp_path / pipe)
    return Job("slow", wait_for_word, {"folder": str(tmp_path)})


def test_a_worker_that_is_killed_is_made_up_for(waiting: Job, tmp_path: Path) -> None:
    beside = Job("beside", number, {"value": 5})
    done: dict[str, Artefact] = {}

    def run() -> None:
        store = Store(tmp_path / "store")
        done.update(LocalEngine(2).run([waiting, beside], store, lambda _: None))

    driver = threading.Thread(target=run, daemon=True)
    driver.start()
    first = begun_by(tmp_path)
    os.kill(first, signal.SIGKILL)
    assert begun_by(tmp_path) != first
    (tmp_path / "go").write_text("done")
    driver.join()
    assert (done["slow"].folder / "value").read_text() == "done"
    assert (done["beside"].folder / "value").read_text() == "5"


def test_workers_that_are_killed_again_and_again_are_a_sentence(
    waiting: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "RETRIES", 1)
    said: list[str] = []

    def run() -> None:
        beside = Job("beside", number, {"value": 5})
        try:
            LocalEngine(2).run([waiting, beside], Store(tmp_path / "store"), lambda _: None)
        except CrispcastError as error:
            said.append(str(error))

    driver = threading.Thread(target=run, daemon=True)
    driver.start()
    for _ in range(2):
        os.kill(begun_by(tmp_path), signal.SIGKILL)
    driver.join()
    assert said == [
        "worker processes were killed 2 times: where memory is short, --workers 1 needs less of it"
    ]


def test_workers_end_with_their_parent_and_hold_nothing(waiting: Job, tmp_path: Path) -> None:
    """One that lived on would hold its job's lock, and the next run would wait for it."""
    program = (
        "import sys; from pathlib import Path;"
        "from server.encoding.engine import LocalEngine; from server.encoding.graph import Job;"
        "from server.encoding.store import Store;"
        "from tests.server.encoding.sums import number, wait_for_word;"
        "folder = Path(sys.argv[1]);"
        "slow = Job('slow', wait_for_word, {'folder': str(folder)});"
        "beside = Job('beside', number, {'value': 5});"
        "LocalEngine(2).run([slow, beside], Store(folder / 'store'), lambda _: None)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert begun_by(tmp_path) != parent.pid
    parent.kill()
    parent.communicate(timeout=60)  # comes back once all have ended that inherited its output

    done: dict[str, Artefact] = {}
    store = Store(tmp_path / "store")
    driver = threading.Thread(
        target=lambda: done.update(LocalEngine(1).run([waiting], store, lambda _: None)),
        daemon=True,
    )
    driver.start()
    assert begun_by(tmp_path) == os.getpid()
    (tmp_path / "go").write_text("done")
    driver.join()
    assert (done["slow"].folder / "value").read_text() == "done"
