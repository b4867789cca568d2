"""Jobs on a real Ray cluster of two nodes beside its head, one of which dies at its work."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kernels.errors import CrispcastError
from server.encoding import EncodeConfig, encode
from server.encoding.engine import JobProgress, LocalEngine
from server.encoding.graph import Job
from server.encoding.ray_engine import RayEngine
from server.encoding.shared_store import SharedStore
from server.encoding.store import Store
from tests.server.encoding.sums import add, number, wait_for_word

pytest.importorskip("ray", reason="the engine ray needs crispcast[ray]")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        made.add_node(num_cpus=1)
    ray.init(made.address, log_to_driver=False, logging_level=40)
    yield made
    ray.shutdown()
    made.shutdown()


def graph(left: int, right: int, fails: bool = False) -> Job:
    one, two = (Job(f"{value}", number, {"value": value}) for value in (left, right))
    return Job("total", add, {"plus": 1, "fails": fails}, {"a": one, "b": two})


def test_a_cluster_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def init(*_: object, **__: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nAnd more.")

    monkeypatch.setattr(ray, "init", init)  # which tries for minutes by itself
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(CrispcastError, match=r"no Ray cluster at auto: .* instance\.; start one"):
        RayEngine("auto").run([graph(1, 2)], Store(tmp_path), lambda _: None)


def test_jobs_are_done_on_the_cluster(cluster: Any, tmp_path: Path) -> None:
    store = SharedStore(f"file://{tmp_path}/far", tmp_path / "near")
    news: list[JobProgress] = []
    done = RayEngine(cluster.address).run([graph(2, 3)], store, news.append)
    assert (done["total"].folder / "value").read_text() == "6"
    assert {said.job for said in news if said.fraction == 1.0} == {"2", "3", "total"}
    assert JobProgress("total", 0.5, 30.0) in news or JobProgress("total", 1.0) in news
    again: list[JobProgress] = []
    RayEngine(cluster.address).run([graph(2, 3)], store, again.append)
    assert all(said.reused for said in again)


def test_a_failure_comes_through(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="asked to fail"):
        RayEngine(cluster.address).run([graph(2, 3, fails=True)], Store(tmp_path), lambda _: None)


@contextmanager
def waiting_job(cluster: Any, folder: Path) -> Iterator[Callable[[], int]]:
    """A job is done that waits for a word, which it gets, and does it. Who is at it, each in turn.

    A process that tells of itself waits until it is asked for, and the word comes once, at the
    block's end: so all but the last must have been lost.
    """
    for pipe in ("begun", "go"):
        os.mkfifo(folder / pipe)
    job = Job("slow", wait_for_word, {"folder": str(folder)})
    done: dict[str, Any] = {}

    def run() -> None:
        done.update(RayEngine(cluster.address).run([job], Store(folder / "store"), lambda _: None))

    driver = threading.Thread(target=run, daemon=True)
    driver.start()
    yield lambda: int((folder / "begun").read_text())
    (folder / "go").write_text("done")
    driver.join()
    assert (done["slow"].folder / "value").read_text() == "done"


def test_a_worker_that_dies_at_its_work_is_made_up_for(cluster: Any, tmp_path: Path) -> None:
    with waiting_job(cluster, tmp_path) as at_it:
        worker = at_it()
        os.kill(worker, signal.SIGKILL)
        assert at_it() != worker


def test_a_whole_node_that_is_lost_is_made_up_for_by_another(cluster: Any, tmp_path: Path) -> None:
    with waiting_job(cluster, tmp_path) as at_it:
        first = node_of(cluster, at_it())
        cluster.remove_node(first, allow_graceful=False)
        assert node_of(cluster, at_it()) is not first
    cluster.add_node(num_cpus=1)  # for the tests that follow


def node_of(cluster: Any, worker: int) -> Any:
    """The node whose raylet began that process."""
    parent = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    for node in cluster.list_all_nodes():
        if parent in {each.process.pid for each in node.all_processes["raylet"]}:
            return node
    raise AssertionError("a worker of no node")


def test_an_encode_gives_the_same_bytes(cluster: Any, small_video: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 10, "threads": 1, "chunks": 2}
    near = EncodeConfig(small_video, tmp_path / "a" / "x.crisp", store=tmp_path / "s", **settings)
    far = EncodeConfig(
        small_video,
        tmp_path / "b" / "x.crisp",
        store=f"file://{tmp_path}/far",
        engine="ray",
        address=cluster.address,
        **settings,
    )
    for config in (near, far):
        config.output.parent.mkdir()
        encode(config)
    files = [path for path in near.output.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        assert (far.output / path.relative_to(near.output)).read_bytes() == path.read_bytes()


def test_the_engines_agree(cluster: Any, tmp_path: Path) -> None:
    near = LocalEngine(1).run([graph(2, 3)], Store(tmp_path / "a"), lambda _: None)
    far = RayEngine(cluster.address).run([graph(2, 3)], Store(tmp_path / "b"), lambda _: None)
    assert {name: made.sha256 for name, made in near.items()} == {
        name: made.sha256 for name, made in far.items()
    }
