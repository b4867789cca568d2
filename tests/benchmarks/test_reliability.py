"""What the benchmark of reliability makes of its parts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.reliability import PARTS, part_named, told
from benchmarks.reliability_kills import SHORT, Encode, Undisturbed, longest, plan


def test_a_figure_beyond_its_bound_is_told_as_missed() -> None:
    targets = {"lost_seconds": ("<=", 20.0), "local_scaling": (">=", 1.8)}
    lines = told({"lost_seconds": 21.5, "local_scaling": 1.9, "clip": "juggle", "runs": 3}, targets)
    assert lines == [
        "lost_seconds: 21.5  (aim: <= 20, MISSED)",
        "local_scaling: 1.9  (aim: >= 1.8)",
        "runs: 3",
    ]


def test_every_part_says_what_it_aims_at_and_no_two_the_same() -> None:
    parts = [part_named(name) for name in PARTS]
    aims = [aim for part in parts for aim in part.TARGETS]
    assert all(callable(part.measure) for part in parts)
    assert len(aims) == len(set(aims))


def test_every_stage_is_killed_and_fifty_kills_there_are() -> None:
    stages = [f"stage:job-{number}" for number in range(14)]
    changes = [f"change:{number}" for number in range(1, 135)]
    run = Undisturbed({}, (*stages, *changes), 40.0)
    trained = Undisturbed({}, tuple(f"checkpoint:{number}" for number in range(1, 9)), 160.0)
    kills = [*plan(False, run, run), longest(trained)]
    assert {when for kill in kills for when in kill.when} >= set(stages)
    assert sum(len(kill.when) for kill in kills) == 50
    assert {kill.kind for kill in kills} >= {"stage", "change", "time", "checkpoint"}
    assert {kill.whom for kill in kills} == {"group", "parent", "worker"}
    assert plan(False, run, run) == plan(False, run, run)
    # On a quick machine a training has fewer checkpoints, and is killed less often.
    assert longest(Undisturbed({}, ("checkpoint:1", "checkpoint:2"), 9.0)).when == ("checkpoint:1",)


def test_a_kill_loses_what_came_since_the_last_checkpoint_or_the_jobs_begin(tmp_path: Path) -> None:
    encode = Encode(tmp_path / "clip.mp4", tmp_path / "encode", SHORT)
    now = time.time()
    assert encode.lost(now) == 0
    partial = encode.store / "partial" / "ab12"
    (partial / "out").mkdir(parents=True)
    os.utime(partial, (now - 40, now - 40))
    assert encode.lost(now - 100) == pytest.approx(40, abs=5)
    assert encode.lost(now - 30) == pytest.approx(30, abs=5)  # the rest an earlier run had lost
    (partial / "checkpoint").mkdir()
    os.utime(partial, (now - 40, now - 40))
    (partial / "checkpoint" / "state.pt").write_bytes(b"a checkpoint")
    os.utime(partial / "checkpoint" / "state.pt", (now - 10, now - 10))
    assert encode.lost(now - 100) == pytest.approx(10, abs=5)
