"""A killed encode goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.overfit.making import texture, write_frames

COMMAND = """
import os, signal, sys, crispcast, overfit.checkpoint, overfit.training as training

number, step = int(sys.argv.pop(1)), int(sys.argv.pop(1))
overfit.checkpoint.SECONDS = 0
restore, save, begun = training._Run._restore, training._Run._save, []

def told(run):
    restore(run)
    begun.append(run)
    print("training from step", run.step, file=sys.stderr, flush=True)

def last(run, path):
    save(run, path)
    if len(begun) == number and run.step >= step:
        os.kill(os.getpid(), signal.SIGKILL)

training._Run._restore, training._Run._save = told, last
crispcast.main()
"""
"""The command line as it is, but that it writes a checkpoint after every step, says where its
trainings begin, and kills itself after the checkpoint of a step of one of them, counted from 1."""

SETTINGS = [
    # At scale 1, which AV1 would win here, there is nothing to train.
    *("--preset", "fast", "--steps", "100", "--target-kbps", "200", "--scale", "2"),
    *("--threads", "1", "--json"),
]


class Encode:
    """Encodes `video` into the folder `where`, with a store there."""

    def __init__(self, video: Path, where: Path) -> None:
        self.target, self.store = where / "a.crisp", where / "store"
        self._video = video

    def killed(self, training: int, step: int) -> list[int]:
        """Kill it after a step of one of its trainings; where it began each of them."""
        done = self._run(training, step)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not self.target.exists()
        return began(done.stderr)

    def finished(self) -> tuple[set[str], list[int]]:
        """The jobs that it found done, and where it began its trainings."""
        done = self._run(0, 0)
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout.splitlines()[-1])["jobs_reused"]), began(done.stderr)

    def _run(self, training: int, step: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", COMMAND, str(training), str(step), "encode"]
        where = [str(self._video), "-o", str(self.target), "--store", str(self.store)]
        return subprocess.run(
            [*command, *where, *SETTINGS], capture_output=True, text=True, timeout=120, check=False
        )


def began(told: str) -> list[int]:
    return [int(step) for step in re.findall(r"training from step (\d+)", told)]


def test_a_killed_encode_goes_on_where_it_was(tmp_path: Path) -> None:
    video = write_frames(tmp_path / "still.mp4", [texture(1)] * 30)
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"

    encode = Encode(video, disturbed)
    assert encode.killed(training=1, step=30) == [0]  # the survey's
    assert encode.killed(training=2, step=31) == [30, 0]  # the expert's
    reused, started = encode.finished()
    assert started == [31]
    assert reused >= {"probe", "segments", "truth", "rung", "low", "chunks", "plates"}
    assert list((encode.store / "partial").iterdir()) == []
    assert [path.name for path in sorted(disturbed.iterdir())] == ["a.crisp", "store"]

    assert Encode(video, undisturbed).finished()[1] == [0, 0]
    files = [path for path in (undisturbed / "a.crisp").rglob("*") if path.is_file()]
    assert len(files) >= 4
    for path in files:
        twin = disturbed / path.relative_to(undisturbed)
        assert twin.read_bytes() == path.read_bytes(), path.name
