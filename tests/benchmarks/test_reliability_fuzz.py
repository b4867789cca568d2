"""What was tried of a parser adds up over runs, and is forgotten as its code changes."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.reliability_fuzz import Fuzzer, Tried, figures, fuzz, run_once

SAYS = "print('stat::number_of_executed_units: {}')"


def fuzzer(name: str, inputs: int, more: str = "", code: str = "a") -> Fuzzer:
    """A fuzzer that says it tried so many inputs, and then does `more`."""
    command = (sys.executable, "-c", SAYS.format(inputs) + more)
    return Fuzzer(name, Path("seeds"), code, blind=command)


def test_runs_add_up_until_the_code_changes(tmp_path: Path) -> None:
    one = fuzzer("python one", 7)
    for _ in range(2):
        run_once(one, Tried(tmp_path / "tried"), (), tmp_path)
    assert Tried(tmp_path / "tried").of(one)["inputs"] == 14
    assert Tried(tmp_path / "tried").of(replace(one, code="b"))["inputs"] == 0


def test_coverage_guides_the_first_minute(tmp_path: Path) -> None:
    one = fuzzer("python one", 7)
    both = replace(one, guided=fuzzer("", 2).blind)
    tried = Tried(tmp_path / "tried")
    run_once(both, tried, (), tmp_path)
    tried.add(both, seconds=60)
    run_once(both, tried, (), tmp_path)
    assert (tried.of(both)["guided"], tried.of(both)["inputs"]) == (2, 9)
    run_once(replace(both, blind=()), tried, (), tmp_path)
    assert (tried.of(both)["guided"], tried.of(both)["inputs"]) == (4, 11)


def test_all_are_run_until_they_have_what_is_aimed_at(tmp_path: Path) -> None:
    chosen = [fuzzer("python one", 7), fuzzer("c++ two", 20)]
    tried = Tried(tmp_path / "tried")
    fuzz(chosen, tried, float("inf"), aim=20, jobs=2, work=tmp_path)
    assert [tried.of(each)["inputs"] for each in chosen] == [21, 20]
    assert figures(chosen, Tried(tmp_path / "tried"))["fuzz_inputs"] == 20
    fuzz(chosen, tried, time.monotonic(), aim=99, work=tmp_path)  # no time is left
    assert [tried.of(each)["inputs"] for each in chosen] == [21, 20]


def test_a_run_that_ends_otherwise_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = fuzzer("python ends", 3, "; print('what it did'); raise SystemExit(77)")
    tried = Tried(tmp_path / "tried")
    run_once(ends, tried, (), tmp_path)
    assert tried.of(ends)["findings"] == 1
    assert "what it did" in capsys.readouterr().out
