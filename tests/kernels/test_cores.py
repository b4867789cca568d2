"""A machine with more cores than an engine takes threads is used as far as that goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kernels.cores import MAX_THREADS, usable_cores
from kernels.errors import PlanError
from kernels.runtime import Engine
from overfit.report import report
from server.encoding.jobs import cores


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(384)))
    monkeypatch.setattr(os, "cpu_count", lambda: 384)


def test_the_bound_is_the_engines() -> None:
    Engine(MAX_THREADS)
    with pytest.raises((PlanError, ValueError)):
        Engine(MAX_THREADS + 1)


@pytest.mark.usefixtures("many_cores")
def test_an_engine_takes_as_many_threads_as_are_worth_while() -> None:
    Engine(usable_cores())
    assert cores(0) == MAX_THREADS
    assert cores(3) == 3


@pytest.mark.usefixtures("many_cores")
def test_a_report_is_made_with_as_many(small_video: Path, package_copy: Path) -> None:
    found = report(package_copy, small_video, vmaf=False)
    assert found.document["frames"] == 30
