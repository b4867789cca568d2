"""SIGKILL at every stage of an encode and at random times; a part of `benchmarks.reliability`.

    undisturbed encode ──► the package, its stages, and every change of a folder
          │
    kill ─► look at what is lost ─► encode again ─► the same package, byte for byte? anything left?

A kill is *survived* if the next encode ends, its package is the undisturbed one's, byte for byte,
and neither a process, a lease nor an unfinished job stays behind. What a kill *loses* is the time
since the last thing that the next encode finds: a checkpoint, a finished job, or, in a job without
either, its beginning; so on a busy machine it is more than on an idle one.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.reliability_clip import write_clip
from server.encoding.store import Store
from server.encoding.store_upkeep import tidy

TARGETS = {
    "kills_survived": (">=", 50.0),
    "kills_not_survived": ("<=", 0.0),
    "lost_seconds": ("<=", 20.0),
}

SIZE = 224, 192
PATIENCE = 1800.0  # seconds that an encode may take on a machine that does much else
LINGER = 60.0  # seconds that processes may take to end once their parent has
SEED = 7


@dataclass(frozen=True)
class Recipe:
    """Which encode is disturbed: its steps of training, experts and worker processes."""

    steps: int
    chunks: int
    workers: int

    @property
    def arguments(self) -> list[str]:
        return [str(self.steps), str(self.chunks), str(self.workers)]


SHORT, POOLED = Recipe(30, 2, 1), Recipe(30, 2, 2)
LONG = Recipe(6000, 1, 1)
"""Its training takes several of a checkpoint's intervals."""


@dataclass(frozen=True)
class Kill:
    """When, one run after the other: `stage:…`, `change:…`, `checkpoint:…`, or `time:SECONDS`.

    `whom`: the `group` of all processes, or of a pool only the `parent`, or one `worker`.
    """

    recipe: Recipe
    when: tuple[str, ...]
    whom: str = "group"

    @property
    def kind(self) -> str:
        """What it is told as."""
        kind = self.when[0].partition(":")[0]
        return kind if self.whom == "group" else f"{kind}, {self.whom} only"


@dataclass(frozen=True)
class Survived:
    """What became of the encode after a kill: seconds lost, by kill, and what was wrong, if any."""

    kill: Kill
    lost: tuple[float, ...]
    wrong: str = ""


@dataclass(frozen=True)
class Undisturbed:
    """The package's files by SHA-256, what happened, and how long it took, in seconds."""

    files: dict[str, str]
    events: tuple[str, ...]
    seconds: float

    def named(self, kind: str) -> list[str]:
        """The events of a kind, as a `Kill` has them."""
        return [event for event in self.events if event.startswith(f"{kind}:")]


class Encode:
    """Encodes `clip` by a recipe, again and again, in a folder of its own."""

    def __init__(self, clip: Path, folder: Path, recipe: Recipe) -> None:
        folder.mkdir()
        self.target, self.store = folder / "out" / "a.crisp", folder / "store"
        self.told = folder / "told"
        self._clip, self._recipe = clip, recipe

    def begin(self, when: str = "") -> subprocess.Popen[bytes]:
        """Start it, as the leader of a process group; what it says is in the file `told`."""
        command = [sys.executable, "-m", "benchmarks.reliability_encode", str(self._clip)]
        command += [str(self.target), str(self.store), *self._recipe.arguments]
        with self.told.open("w") as told:
            return subprocess.Popen(
                [*command, when] if when else command,
                start_new_session=True,
                stdout=told,
                stderr=subprocess.STDOUT,
            )

    def last_words(self) -> str:
        """The last line of what it said: what went wrong, where something did."""
        return (self.told.read_text().strip().splitlines() or ["it ended without a word"])[-1]

    def files(self) -> dict[str, str]:
        """SHA-256 of every file of the package."""
        return {
            str(path.relative_to(self.target)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.target.rglob("*"))
            if path.is_file()
        }

    def lost(self, begun: float) -> float:
        """Seconds of work that a kill now would lose; `begun` is when the process did (epoch)."""
        now, found = time.time(), [begun]
        waiting = []
        for out in self.store.glob("partial/*/out"):
            with suppress(OSError):  # it ends just now
                saved = [path.stat().st_mtime for path in out.parent.glob("checkpoint/*.pt")]
                waiting.append(now - max(out.parent.stat().st_mtime, begun, *saved, 0.0))
        if waiting:
            return max(waiting)
        for marker in self.store.glob("objects/*/*/artefact.json"):
            with suppress(OSError):
                found.append(marker.stat().st_mtime)
        return now - max(found) if len(found) > 1 else 0.0

    def left_behind(self) -> str:
        """What of it stays that should not: in words, or nothing. Empties the store."""
        beside = {path.name for path in self.target.parent.iterdir()} - {self.target.name}
        if beside:
            return f"beside the package lies {', '.join(sorted(beside))}"
        tidy(Store(self.store), limit=0)
        for name in ("objects/*", "partial", "leases"):
            inside = [path for folder in self.store.glob(name) for path in folder.iterdir()]
            if inside:
                return f"in the store there stays {inside[0].relative_to(self.store)}"
        return ""


def undisturbed(clip: Path, folder: Path, recipe: Recipe) -> Undisturbed:
    """Encode once, with nothing in the way."""
    encode = Encode(clip, folder, recipe)
    begun = time.monotonic()
    process = encode.begin()
    assert process.wait(PATIENCE) == 0, encode.last_words()
    events = tuple(line for line in encode.told.read_text().splitlines() if ":" in line)
    return Undisturbed(encode.files(), events, time.monotonic() - begun)


def disturb(clip: Path, folder: Path, kill: Kill, wanted: Undisturbed) -> Survived:
    """Encode with kills, one run after the other, and then to the end."""
    encode = Encode(clip, folder, kill.recipe)
    lost: list[float] = []
    groups: list[int] = []
    for when in kill.when:
        begun = time.time()
        process = encode.begin("" if when.startswith("time:") else when)
        groups.append(process.pid)
        if when.startswith("time:"):
            seconds = float(when.partition(":")[2])
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            loses = encode.lost(begun)
            if not _kill(process, kill.whom):  # it was quicker than the undisturbed one
                sooner = replace(kill, when=(f"time:{seconds / 2:.2f}",))
                return disturb(clip, folder.with_name(f"{folder.name}-sooner"), sooner, wanted)
            process.wait(PATIENCE)
        else:
            process.wait(PATIENCE)
            loses = encode.lost(begun)
        # A pool goes on without one of its workers.
        if process.returncode not in (-signal.SIGKILL, 0 if kill.whom == "worker" else None):
            said = f"{when} came to {process.returncode}: {encode.last_words()}"
            return Survived(kill, tuple(lost), said)
        lost.append(loses)
    if not encode.target.exists():
        process = encode.begin()
        groups.append(process.pid)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Survived(kill, tuple(lost), "the next encode does not end")
        if process.returncode != 0:
            said = f"the next encode failed: {encode.last_words()}"
            return Survived(kill, tuple(lost), said)
    return Survived(kill, tuple(lost), _wrong(encode, wanted, groups))


def _wrong(encode: Encode, wanted: Undisturbed, groups: list[int]) -> str:
    """What is not as it should be once all is over, or nothing."""
    files = encode.files()
    if files != wanted.files:
        differ = sorted(n for n in files | wanted.files if files.get(n) != wanted.files.get(n))
        return f"the package differs in {', '.join(differ)}"
    until = time.monotonic() + LINGER
    while (left := [each for group in groups for each in _members(group)]) and (
        time.monotonic() < until
    ):
        time.sleep(0.2)
    if left:
        for process in left:
            os.kill(process, signal.SIGKILL)
        return "processes of a killed encode were still there"
    return encode.left_behind()


def _kill(process: subprocess.Popen[bytes], whom: str) -> bool:
    """SIGKILL the group, its leader, or one of those that work for it; False if there is none."""
    if process.poll() is not None:
        return False
    if whom == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif whom == "parent":
        process.kill()
    else:
        while not (workers := _members(process.pid, b"spawn_main")):
            if process.poll() is not None:
                return False
            time.sleep(0.1)
        os.kill(max(workers), signal.SIGKILL)
    return True


def _members(group: int, command: bytes = b"") -> list[int]:
    """The processes of a group that have not ended, and have `command` in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = os.getpgid(int(folder.name)) == group
            if ours and command in (folder / "cmdline").read_bytes():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append(int(folder.name))
    return found


def longest(run: Undisturbed) -> Kill:
    """One training, killed as it saves: what the first had is lost, the others are gone on from."""
    on_the_way = len(run.named("checkpoint")) - 2  # each is an interval further
    return Kill(LONG, ("checkpoint:1", *["checkpoint:2"] * max(0, min(3, on_the_way))))


def plan(quick: bool, short: Undisturbed, pooled: Undisturbed) -> list[Kill]:
    """The kills, in the same order every time."""
    chance = random.Random(SEED)
    stages, changes = short.named("stage"), short.named("change")
    count = 3 if quick else 12
    each = len(changes) / count
    spread = [changes[int((index + chance.random()) * each)] for index in range(count)]

    def at(run: Undisturbed) -> str:
        return f"time:{chance.uniform(0.05, 1.0) * run.seconds:.2f}"

    kills = [Kill(SHORT, (when,)) for when in (stages[-3:] if quick else stages)]
    kills += [Kill(SHORT, (when,)) for when in spread]
    kills += [Kill(SHORT, (at(short),)) for _ in range(1 if quick else 8)]
    for whom in ("group", "parent", "worker"):
        kills += [Kill(POOLED, (at(pooled),), whom) for _ in range(1 if quick else 4)]
    return kills


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """See `benchmarks.reliability.Part`."""
    console = Console(stderr=True, highlight=False)
    clip = folder / "clip.mp4"
    source = write_clip(clip, *SIZE)
    numbers = itertools.count()  # next() of it is atomic

    def one(kill: Kill, undisturbed: Undisturbed) -> Survived:
        survived = disturb(clip, folder / str(next(numbers)), kill, undisturbed)
        loses = ", ".join(f"{seconds:.1f}" for seconds in survived.lost)
        console.print(
            f"{' '.join(kill.when)} ({kill.recipe.workers} workers, {kill.whom}): "
            f"{survived.wrong or 'survived'}, {loses} s lost"
        )
        return survived

    def trained() -> Survived:
        run = undisturbed(clip, folder / str(next(numbers)), LONG)
        return one(longest(run), run)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [] if quick else [pool.submit(trained)]
        runs = {
            recipe: undisturbed(clip, folder / str(next(numbers)), recipe)
            for recipe in (SHORT, POOLED)
        }
        if runs[SHORT].files != runs[POOLED].files:
            raise AssertionError("the number of workers changes the package")
        kills = plan(quick, runs[SHORT], runs[POOLED])
        waiting += [pool.submit(one, kill, runs[kill.recipe]) for kill in kills]
        outcomes = [each.result() for each in waiting]
    lost = [seconds for outcome in outcomes for seconds in outcome.lost]
    return {
        "kills_survived": sum(len(outcome.lost) for outcome in outcomes if not outcome.wrong),
        "kills_not_survived": sum(bool(outcome.wrong) for outcome in outcomes),
        "kills": len(lost),
        "lost_seconds": max(lost),
        "lost_seconds_median": statistics.median(lost),
        "kills_by_kind": dict(Counter(k for o in outcomes for k in [o.kill.kind] * len(o.lost))),
        "kills_went_wrong": [f"{' '.join(o.kill.when)}: {o.wrong}" for o in outcomes if o.wrong],
        "kills_clip": source,
        "kills_undisturbed_seconds": [run.seconds for run in runs.values()],
    }
