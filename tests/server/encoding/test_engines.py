"""The contract of engines, held against each of them: order, reuse, early cut-off, failure."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.encoding import engine as local
from server.encoding.engine import Engine, JobProgress, LocalEngine
from server.encoding.graph import Job, SourceFile, hash_file, in_order
from server.encoding.store import Store
from tests.server.encoding.sums import add, devices, number


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return LocalEngine(workers=request.param)


def graph(left: int, right: int, plus: int = 0, fails: bool = False) -> Job:
    one = Job("one", number, {"value": left})
    two = Job("two", number, {"value": right})
    total = Job("sum", add, {"plus": 0, "fails": fails}, {"a": one, "b": two})
    return Job("total", add, {"plus": plus}, {"sum": total})


def run(engine: Engine, job: Job, root: Path) -> tuple[int, set[str]]:
    """The value of a graph, and the names of the jobs that had to be done."""
    news: list[JobProgress] = []
    done = engine.run([job], Store(root), news.append)
    finished = {item.job for item in news if item.fraction == 1.0 and not item.reused}
    return int((done[job.name].folder / "value").read_text()), finished


def test_jobs_run_after_their_inputs_and_once(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, graph(2, 3, 10), tmp_path) == (15, {"one", "two", "sum", "total"})
    assert run(engine, graph(2, 3, 10), tmp_path) == (15, set())


def test_a_changed_setting_reruns_only_what_it_touches(engine: Engine, tmp_path: Path) -> None:
    run(engine, graph(2, 3), tmp_path)
    assert run(engine, graph(2, 3, plus=1), tmp_path) == (6, {"total"})
    # 1 + 4 is 5 as well: what stands behind an equal result is not done again.
    assert run(engine, graph(1, 4), tmp_path) == (5, {"one", "two", "sum"})


def test_a_failure_comes_through_and_what_was_done_stays(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="asked to fail"):
        run(engine, graph(2, 3, fails=True), tmp_path)
    assert run(engine, graph(2, 3), tmp_path) == (5, {"sum", "total"})


def test_progress_names_the_job(tmp_path: Path) -> None:
    news: list[JobProgress] = []
    LocalEngine(1).run([graph(1, 1)], Store(tmp_path), news.append)
    assert JobProgress("sum", 0.5, 30.0) in news


def test_a_source_file_counts_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    files = [SourceFile(path, hash_file(path)) for path in (tmp_path / "a", tmp_path / "b")]
    keys = {number.name + Job("j", number, {}, {"s": f}).key({"s": f.sha256}) for f in files}
    assert len(keys) == 1


def test_the_order_is_the_same_every_time() -> None:
    names = [job.name for job in in_order([graph(1, 2)])]
    assert names == ["one", "two", "sum", "total"]


@pytest.mark.parametrize(
    ("visible", "gpus", "seen"),
    [
        ("GPU-a, 7", 2, ["7", "GPU-a", "GPU-a"]),
        (None, 2, ["0", "0", "1"]),
        (None, 0, ["all", "all", "all"]),
        ("", 0, ["", "", ""]),
    ],
    ids=["those that Slurm gave", "all of them", "none", "none wanted"],
)
def test_workers_share_the_gpus_that_there_are(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    gpus: int,
    seen: list[str],
) -> None:
    monkeypatch.setattr(local, "_gpus", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
        for pipe in ("begun", "go"):
            os.mkfifo(folder / pipe)
    jobs = [Job(folder.name, devices, {"folder": str(folder)}) for folder in folders]
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(LocalEngine(3).run, jobs, Store(tmp_path / "store"), lambda _: None)
        told = [(folder / "begun").read_text() for folder in folders]  # all at work at once
        for folder in folders:
            (folder / "go").write_text("go")
        done.result()
    assert sorted(told) == seen
