"""The session in C++ under sanitizers: its contract, and its fuzzer's corpus.

`make fuzz` looks for new inputs; what it finds is fixed and kept in the corpus.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

from tests.client_sdk.fuzz_seeds import CORPUS, seeds
from tests.conformance.building import CORE, RUNTIME, sanitized
from tests.kept import replaying

CONTRACT = Path(__file__).parent / "cpp" / "session.cpp"


def run(*command: str | Path) -> str:
    """What a program says that must find nothing wrong."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, check=False
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this kernel's address space layout is not one that the sanitizer knows")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_no_use_of_a_session_does_harm(sanitizers: str) -> None:
    assert run(sanitized(sanitizers, CONTRACT)) == "ok\n"


@functools.cache
def replayer() -> Path:
    """The replaying program; kept in `.cache/native` by the hash of its sources."""
    return replaying("replay-session", CORE / "fuzz" / "build", CORE, RUNTIME) / "fuzz_session"


def test_no_file_of_the_corpus_nor_its_beginnings_do_harm() -> None:
    count = len(list(CORPUS.iterdir()))
    assert run(replayer(), CORPUS) == f"{count} files ok\n"


def test_the_seeds_are_those_of_the_recordings() -> None:
    for name, data in seeds():
        kept = (CORPUS / name).read_bytes()
        assert kept == data, f"{name} is old: python -m tests.client_sdk.fuzz_seeds"
