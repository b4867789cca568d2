"""Short forms of the fuzzers: the kept corpus, its beginnings, and some seeded mutations of it.

`python -m benchmarks.reliability --only fuzz` tries ten million of each; what it finds is mended
and kept in the corpus.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest

from kernels.errors import PackageError
from tests.fuzz import blind, harness
from tests.fuzz.harness import Finding, try_one
from tests.fuzz.mutators import MUTATORS
from tests.fuzz.parsers import PARSERS, Parser, seeds_of

BEGINNINGS, MUTATIONS = 20, 60
SLOW = {"plan": 5, "difference": 5, "mp4": 20}
"""Beginnings and mutations of these, whose inputs take milliseconds."""


@pytest.mark.parametrize("name", list(PARSERS))
def test_no_seed_nor_what_is_made_of_it_does_harm(name: str) -> None:
    parser, rng = PARSERS[name], Random(name)
    mutate = MUTATORS[parser.text]
    taken = 0
    for path in sorted(seeds_of(name).iterdir()):
        data = path.read_bytes()
        if name in SLOW and len(data) > 4096:
            continue
        taken += try_one(parser, data)
        for _ in range(SLOW.get(name, BEGINNINGS)):
            try_one(parser, data[: rng.randrange(len(data))])
        for _ in range(SLOW.get(name, MUTATIONS)):
            try_one(parser, mutate(data, rng)[: parser.most])
    assert taken > 0, "no seed is good: python -m tests.fuzz.seeds"


def test_a_parser_that_raises_something_else_is_found() -> None:
    def read(data: bytes) -> None:
        raise KeyError(data)

    with pytest.raises(KeyError):
        try_one(Parser(read, (PackageError,), (), 9, ""), b"x")


def test_an_input_that_takes_too_long_or_too_much_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[bytearray] = []
    greedy = Parser(lambda data: kept.append(bytearray(64 << 20)), (), (), 9, "")
    monkeypatch.setattr(harness, "MOST_MEMORY", -1)
    with pytest.raises(Finding, match="MiB"):
        try_one(greedy, b"x")
    monkeypatch.setattr(harness, "MOST_SECONDS", -1.0)
    with pytest.raises(Finding, match="took 0"):
        try_one(greedy, b"x")


def test_mutations_are_the_same_for_a_seed() -> None:
    for text, mutate in MUTATORS.items():
        data = b'{"a": [1, 2]}\n{"b": 3}\n'
        made = [mutate(data, Random(seed)) for seed in range(50)]
        assert made == [mutate(data, Random(seed)) for seed in range(50)], text
        assert len(set(made)) > 25


def test_a_blind_run_says_what_it_tried_and_keeps_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["-runs=300", "-seed=5", f"-artifact_prefix={tmp_path}/found-", str(seeds_of("sei"))]
    monkeypatch.setattr(sys, "argv", ["blind", "sei", *flags])
    blind.main()
    assert "number_of_executed_units: 300" in capsys.readouterr().out
    tried: list[bytes] = []

    def read(data: bytes) -> None:
        tried.append(data)
        if len(tried) == 40:
            raise KeyError

    monkeypatch.setitem(PARSERS, "sei", Parser(read, (), (), 512, ""))
    with pytest.raises(SystemExit):
        blind.main()
    assert (tmp_path / "found-sei-5").read_bytes() == tried[-1]
    assert len(tried) == 40
    assert "executed_units" not in capsys.readouterr().out
