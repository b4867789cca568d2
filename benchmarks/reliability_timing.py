"""Encodes that are timed in turn, so that what drifts meets all ways alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.reliability_clip import write_clip

SIZE = 448, 384
CHUNKS = 4
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Effort:
    """How much is timed: optimiser steps of all experts together, and how often."""

    steps: int
    rounds: int


QUICK = Effort(100, 1)
SHORT = Effort(2000, 3)
"""About what the preset `fast` trains."""
LONG = Effort(20_000, 2)
"""What the preset `best` trains."""


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of processors, this process' descendants' all together."""

    seconds: float
    processor_seconds: float


def in_turn(folder: Path, ways: Mapping[str, Sequence[str]], effort: Effort) -> dict[str, Took]:
    """Medians of encodes from nothing, by way; a way is flags of `crispcast encode`.

    All make the same package, one core to a training. Raises CalledProcessError where one fails.
    """
    folder.mkdir(exist_ok=True)
    clip = folder / "clip.mp4"
    write_clip(clip, *SIZE)
    taken: dict[str, list[Took]] = {way: [] for way in ways}
    for turn in range(effort.rounds):
        for way, flags in ways.items():
            own = folder / f"{turn}-{way}"
            store = ("--store", str(own / "store"))
            taken[way].append(_timed(clip, own / "a.crisp", (*flags, *store), effort))
            Console(stderr=True, highlight=False).print(f"{way}: {taken[way][-1]}")
    packages = [_files(path) for path in folder.glob("*/a.crisp")]
    assert all(package == packages[0] for package in packages), "the packages differ"
    return {
        way: Took(
            statistics.median(took.seconds for took in each),
            statistics.median(took.processor_seconds for took in each),
        )
        for way, each in taken.items()
    }


def _timed(clip: Path, target: Path, flags: Sequence[str], effort: Effort) -> Took:
    command = [sys.executable, "-m", "crispcast", "encode", str(clip), "-o", str(target), *flags]
    command += ["--preset", "fast", "--scale", "2", "--chunks", str(CHUNKS), "--threads", "1"]
    command += ["--steps", str(effort.steps), "--json"]
    before = _processor_seconds()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds = float(json.loads(done.stdout.splitlines()[-1])["seconds"])
    return Took(seconds, _processor_seconds() - before)


def _files(package: Path) -> dict[str, bytes]:
    """All that a viewer may download, which has no times of day in it."""
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    }


def _processor_seconds() -> float:
    """Of this process and all that it began, those that have ended among them."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = path.read_text().rpartition(")")[2].split()
            process = int(path.parent.name)
            parents[process], ticks[process] = int(fields[1]), sum(map(int, fields[11:15]))

    def ours(process: int) -> bool:
        while process not in (0, os.getpid()):
            process = parents.get(process, 0)
        return process != 0

    return sum(spent for process, spent in ticks.items() if ours(process)) / _TICKS
