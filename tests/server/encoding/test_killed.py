"""A killed encode goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from tests.overfit.making import texture, write_frames

COMMAND = """
import sys, crispcast, overfit.training as training

training._CHECKPOINT_SECONDS = 0.1
restore = training._Run._restore

def told(run):
    restore(run)
    print("training from step", run.step, file=sys.stderr, flush=True)

training._Run._restore = told
crispcast.main()
"""
"""The command line as it is, but that it writes a checkpoint after every step and says so."""

SETTINGS = [
    *("--preset", "fast", "--steps", "100", "--target-kbps", "200"),
    *("--threads", "1", "--json"),
]


class Encode:
    """A process that encodes `video` into the folder `where`, with a store there."""

    def __init__(self, video: Path, where: Path) -> None:
        self.target, self.store = where / "a.crisp", where / "store"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", COMMAND, "encode", str(video)),
                *("-o", str(self.target), "--store", str(self.store), *SETTINGS),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
        )

    def kill_when(self, step: int, of: str) -> tuple[int, list[int]]:
        """Kill it when the training of a job has done so many steps.

        Returns how many its checkpoint has, and where the process began each of its trainings.
        """
        end = time.monotonic() + 120
        while time.monotonic() < end and self._process.poll() is None:
            for file in self.store.glob("partial/*/checkpoint/state.pt"):
                reached = int(torch.load(file, weights_only=True)["step"])
                if reached >= step and ("survey" in self.done()) == (of != "survey"):
                    self._process.send_signal(signal.SIGKILL)
                    _, told = self._process.communicate()
                    assert self._process.returncode == -signal.SIGKILL
                    assert not self.target.exists()
                    # It went on until the signal came.
                    return int(torch.load(file, weights_only=True)["step"]), began(told)
            time.sleep(0.05)
        self._process.kill()
        raise AssertionError(f"{of} was never seen at step {step}: {self._process.communicate()}")

    def finish(self) -> tuple[set[str], list[int]]:
        """The jobs that it found done, and where it began its trainings."""
        out, told = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, told
        return set(json.loads(out.splitlines()[-1])["jobs_reused"]), began(told)

    def done(self) -> set[str]:
        """Names of the jobs whose artefacts are in the store."""
        return {
            json.loads(marker.read_bytes())["job"]
            for marker in self.store.glob("objects/*/*/artefact.json")
        }


def began(told: str) -> list[int]:
    return [int(step) for step in re.findall(r"training from step (\d+)", told)]


def test_a_killed_encode_goes_on_where_it_was(tmp_path: Path) -> None:
    video = write_frames(tmp_path / "still.mp4", [texture(1)] * 30)
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"

    surveyed, started = Encode(video, disturbed).kill_when(30, of="survey")
    assert started == [0]
    trained, started = Encode(video, disturbed).kill_when(30, of="expert-0")
    assert started == [surveyed, 0]
    last = Encode(video, disturbed)
    reused, started = last.finish()
    assert started == [trained]
    assert reused >= {"probe", "segments", "truth", "rung", "low", "chunks", "plates"}
    assert list((last.store / "partial").iterdir()) == []
    assert [path.name for path in sorted(disturbed.iterdir())] == ["a.crisp", "store"]

    assert Encode(video, undisturbed).finish()[1] == [0, 0]
    files = [path for path in (undisturbed / "a.crisp").rglob("*") if path.is_file()]
    assert len(files) >= 4
    for path in files:
        twin = disturbed / path.relative_to(undisturbed)
        assert twin.read_bytes() == path.read_bytes(), path.name
