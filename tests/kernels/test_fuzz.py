"""The fuzzers' corpus, replayed without libFuzzer under the address and undefined sanitizers.

`make fuzz SECONDS=600` looks for new inputs; what it finds is fixed and kept in the corpus.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

from client_sdk.contract.patch_map import decode_record, encode_record
from kernels.compiler import decode_plan, encode_plan
from tests.kept import replaying
from tests.kernels.fuzz_seeds import ALL, CORPUS, difference_seeds, patch_map_seeds, plan_seeds

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "kernels" / "runtime"


@functools.cache
def replayers() -> Path:
    """The replaying programs; kept in `.cache/native` by the hash of their sources."""
    return replaying("replay", RUNTIME / "fuzz" / "build", RUNTIME)


@pytest.mark.parametrize("target", list(ALL))
def test_no_file_of_the_corpus_nor_its_beginnings_do_harm(target: str) -> None:
    corpus = CORPUS / target
    done = subprocess.run(
        [replayers() / f"fuzz_{target}", corpus],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [str(len(list(corpus.iterdir()))), "files", "ok"]


def test_the_seeds_are_what_the_encoders_write() -> None:
    for target, seeds in ALL.items():
        for name, data in seeds():
            kept = (CORPUS / target / name).read_bytes()
            assert kept == data, f"{name} is old: python -m tests.kernels.fuzz_seeds"


def test_every_seed_is_valid() -> None:
    for name, wire in plan_seeds():
        assert encode_plan(decode_plan(wire)) == wire, name
    for name, data in difference_seeds():
        end = 2 + int.from_bytes(data[:2], "little")
        base, difference = data[2:end], data[end:]
        assert encode_plan(decode_plan(difference, base), base) == difference, name
    for name, data in patch_map_seeds():
        width, height = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
        assert encode_record(decode_record(data[5:], width, height, data[4])) == data[5:], name
