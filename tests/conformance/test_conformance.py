"""One suite for every face of the SDK: the same steps, and the same of every plane.

Run by the core as the Python client has it, by a C program under sanitizers, by the same on another
processor, and by the browser player's modules.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from kernels.runtime import available_isas
from tests.conformance.building import sanitized
from tests.conformance.cases import CASES
from tests.conformance.core_face import CoreFace, Outcome
from tests.conformance.recording import FIXTURES, FOLDER, Facts, Step, steps_of

REPLAY = Path(__file__).parent / "replay.c"


class Face(Protocol):
    """What plays steps."""

    def play(self, step: Step) -> Outcome: ...


def check(face: Face, name: str, off: int = 0) -> None:
    """Every step comes out as recorded, planes to within `off` codes."""
    blob = (FOLDER / FIXTURES).read_bytes()
    for number, (step, facts) in enumerate(steps_of(name), 1):
        outcome = face.play(step)
        wanted: Facts = dict(facts)
        out = wanted.pop("out", None)
        assert outcome.facts == wanted, f"{name}, step {number}: {step['do']}"
        assert (out is not None) == bool(outcome.planes)
        if out is not None:
            recorded = blob[out : out + len(outcome.planes)]
            distance = np.abs(
                np.frombuffer(outcome.planes, np.uint8).astype(int)
                - np.frombuffer(recorded, np.uint8)
            )
            assert distance.max() <= off, f"{name}, step {number}"


@pytest.mark.parametrize("name", CASES)
def test_the_core_in_python(name: str) -> None:
    check(CoreFace(), name)


@pytest.mark.parametrize("isa", available_isas()[1:])
def test_the_core_with_every_instruction_set_here(isa: str) -> None:
    for name in CASES:
        check(CoreFace(isa), name, off=1)


def test_every_case_is_recorded_and_no_other() -> None:
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == set(CASES)


# -- the C program --------------------------------------------------------------------------------


def replay(command: list[str], *arguments: str, folder: Path = FOLDER) -> str:
    """What the program says of all cases; it must have found no difference."""
    done = subprocess.run(
        [*command, *arguments, str(folder), *CASES],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this kernel's address space layout is not one that the sanitizer knows")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def all_ok() -> str:
    return "".join(f"{name} ok\n" for name in CASES)


def native() -> list[str]:
    """The command of the replaying program here."""
    return [str(sanitized("address,undefined", REPLAY))]


def test_a_c_program_under_sanitizers() -> None:
    assert replay(native()) == all_ok()


def test_the_c_program_tells_what_differs(tmp_path: Path) -> None:
    blob = bytearray((FOLDER / FIXTURES).read_bytes())
    lines = (FOLDER / "sei.jsonl").read_text().splitlines()
    out = next(json.loads(line)["out"] for line in lines if '"out"' in line)
    blob[out] ^= 1
    (tmp_path / FIXTURES).write_bytes(blob)
    changed = [line.replace('"super_resolved":1', '"super_resolved":0') for line in lines]
    (tmp_path / "sei.jsonl").write_text("\n".join(changed) + "\n")
    done = subprocess.run(
        [*native(), str(tmp_path), "sei"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "super_resolved is 1, not 0" in done.stdout
    assert "the farthest sample's distance is 1, not 0" in done.stdout


def test_a_c_program_with_a_backend_of_its_own_for_luma() -> None:
    assert replay(native(), "-b") == all_ok()


def test_a_c_program_with_an_engine_of_its_own() -> None:
    assert replay(native(), "-p") == all_ok()
