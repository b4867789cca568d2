"""Hostile inputs against every parser: `python -m benchmarks.reliability --only fuzz`.

    python -m benchmarks.reliability_fuzz [--only PARSER …] [--minutes M] [--aim N] [--jobs N]

Parsers in C++ (`make fuzz`'s) run under libFuzzer, guided by coverage; those in Python likewise
(Atheris) for `_GUIDED` seconds, and then blindly on the corpus that grew by then (`tests/fuzz`);
those of the web player blindly, in Node (`tests/fuzz/player.mjs`). What was tried is counted in
`tests/fuzz/tried` and kept with the code, so runs add up, on whatever machine, and one that was
killed goes on, at most `_CHUNK` seconds behind. Counts begin anew where a parser's code changes.
The corpus that grows is kept in `build/fuzz`. A finding is an input that a parser does not refuse
as it says, that ends its process, or takes more than a second or 256 MiB.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.reliability_tampering import web_modules
from kernels.cores import usable_cores
from tests.fuzz.parsers import PARSERS, seeds_of

ROOT = Path(__file__).parents[1]
WORK = ROOT / "build" / "fuzz"
TRIED = ROOT / "tests" / "fuzz" / "tried"
AIM = 10_000_000
TARGETS: Mapping[str, tuple[str, float]] = {
    "fuzz_inputs": (">=", AIM),
    "fuzz_findings": ("<=", 0),
}
COUNTED = ("inputs", "guided", "findings", "seconds")
_CHUNK = 60  # seconds of a run of a fuzzer
_GUIDED = 60  # seconds by the clock of a parser in Python that coverage guides
_QUICK = 300  # inputs of a quick run
_TRIED = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
_NATIVE = {
    "plan": "kernels/runtime",
    "difference": "kernels/runtime",
    "patch_map": "kernels/runtime",
    "session": "client_sdk/core",
}
"""Targets in C++, and the room that each is in."""
_PLAYER = ("manifest", "server_message", "asset_frames", "sei", "obu")
"""Those of `tests/fuzz/player.mjs`, which have the seeds of the same in Python."""


@dataclass(frozen=True)
class Fuzzer:
    """A parser, and the commands that run it: `guided` by coverage first, and `blind`.

    libFuzzer's flags follow. Either may be missing. `code` is the hash of what is tried.
    """

    name: str
    seeds: Path
    code: str
    guided: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()


def _hashed(files: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def fuzzers() -> list[Fuzzer]:
    """Those that can be run here."""
    found = _in_python()
    native = _native_sources()
    found += _in_cpp(native)
    node = shutil.which("node")
    modules = web_modules()
    if node is not None and modules is not None:
        web = ROOT / "client_sdk" / "web"
        of_javascript = [web / name for name in ("core.js", "session.js", "player/identity.js")]
        code = _hashed((*of_javascript, *native))
        script = str(ROOT / "tests" / "fuzz" / "player.mjs")
        for name in _PLAYER:
            command = (node, script, f"{modules.as_uri()}/", name)
            found.append(Fuzzer(f"js {name}", seeds_of(name), code, blind=command))
    return found


def _in_python() -> list[Fuzzer]:
    found = []
    atheris = importlib.util.find_spec("atheris") is not None
    for name, parser in PARSERS.items():
        files = []
        for module in parser.code:
            spec = importlib.util.find_spec(module)
            assert spec is not None
            assert spec.origin is not None
            files.append(Path(spec.origin))
        blind = (sys.executable, "-m", "tests.fuzz.blind", name)
        guided = (sys.executable, "-m", "tests.fuzz.fuzzer", name) if atheris else ()
        found.append(
            Fuzzer(f"python {name}", seeds_of(name), _hashed(files), guided=guided, blind=blind)
        )
    return found


def _native_sources() -> tuple[Path, ...]:
    """What the targets in C++ are made of, and the web player's modules."""
    rooms = dict.fromkeys(_NATIVE.values())
    sources = [path for room in rooms for path in (ROOT / room).rglob("*")]
    return tuple(sorted(path for path in sources if path.suffix in (".cpp", ".h")))


def _in_cpp(code: tuple[Path, ...]) -> list[Fuzzer]:
    """Built where clang with libFuzzer is, if they are older than what they are made of."""
    found = []
    newest = max(path.stat().st_mtime for path in code)
    for name, room in _NATIVE.items():
        built = WORK / f"fuzz_{name}"
        if not built.exists() or built.stat().st_mtime < newest:
            subprocess.run([ROOT / room / "fuzz" / "build", WORK], capture_output=True)
        if built.exists():
            command = (str(WORK / f"fuzz_{name}"), "-max_len=8000", "-timeout=10")
            seeds = ROOT / room / "fuzz" / "corpus" / name
            found.append(Fuzzer(f"c++ {name}", seeds, _hashed(code), guided=command))
    return found


class Tried:
    """What was tried of each parser, as its code is now; kept in a folder, a file a parser."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, dict[str, Any]] = {}

    def of(self, fuzzer: Fuzzer) -> dict[str, Any]:
        """Inputs, those of them that coverage guided, findings and seconds."""
        entry = self._kept.get(fuzzer.name)
        if entry is None:
            path = self._path(fuzzer)
            entry = json.loads(path.read_text()) if path.exists() else None
            if entry is None or entry["code"] != fuzzer.code:
                entry = {"code": fuzzer.code, **dict.fromkeys(COUNTED, 0)}
            self._kept[fuzzer.name] = entry
        return entry

    def add(self, fuzzer: Fuzzer, **more: int) -> None:
        """Count what a run tried and found; written down whole or not at all."""
        entry = self.of(fuzzer)
        for name, number in more.items():
            entry[name] += number
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(fuzzer)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(entry, indent=1) + "\n")
        new.replace(path)

    def _path(self, fuzzer: Fuzzer) -> Path:
        return self._folder / f"{fuzzer.name.replace(' ', '-')}.json"


def run_once(fuzzer: Fuzzer, tried: Tried, limits: tuple[str, ...], work: Path = WORK) -> None:
    """Run a fuzzer up to `limits`, libFuzzer's flags, and count what it tried and found."""
    name = fuzzer.name.replace(" ", "-")
    grown = work / name
    grown.mkdir(parents=True, exist_ok=True)
    before = set(work.glob(f"found-{name}-*"))
    began = time.monotonic()
    begun = tried.of(fuzzer)["seconds"] >= _GUIDED
    blindly = not fuzzer.guided or bool(fuzzer.blind and begun)
    done = subprocess.run(
        [
            *(fuzzer.blind if blindly else fuzzer.guided),
            *limits,
            "-print_final_stats=1",
            f"-artifact_prefix={work}/found-{name}-",
            str(grown),
            str(fuzzer.seeds),
        ],
        cwd=ROOT,
        capture_output=True,
    )
    said = done.stdout + done.stderr
    counted = _TRIED.findall(said)
    wrong = done.returncode != 0 or not counted
    inputs = int(counted[-1]) if counted else 0
    seconds = round(time.monotonic() - began)
    tried.add(
        fuzzer,
        inputs=inputs,
        guided=0 if blindly else inputs,
        findings=int(wrong),
        seconds=seconds,
    )
    if wrong:
        new = set(work.glob(f"found-{name}-*")) - before
        told = said.decode("utf-8", "replace").splitlines()[-25:]
        print(f"{fuzzer.name}: a finding: {', '.join(map(str, new))}", *told, sep="\n")


def fuzz(
    chosen: list[Fuzzer], tried: Tried, until: float, aim: int, jobs: int = 1, work: Path = WORK
) -> None:
    """Run `jobs` at a time until all have `aim` inputs or the clock says `until`.

    Those that had the least time are next: slow parsers would take all of it by counts alone.
    """
    running: dict[Future[None], Fuzzer] = {}
    limits = (f"-max_total_time={_CHUNK}",)
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            behind = [
                fuzzer
                for fuzzer in chosen
                if tried.of(fuzzer)["inputs"] < aim and fuzzer not in running.values()
            ]
            while behind and len(running) < jobs and time.monotonic() < until:
                fuzzer = min(behind, key=lambda one: tried.of(one)["seconds"])
                behind.remove(fuzzer)
                running[pool.submit(run_once, fuzzer, tried, limits, work)] = fuzzer
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for run in done:
                del running[run]
                run.result()


def figures(chosen: list[Fuzzer], tried: Tried) -> dict[str, Any]:
    """The least that was tried of a parser, all findings, and both by parser."""
    table = {fuzzer.name: tried.of(fuzzer) for fuzzer in chosen}
    return {
        "fuzz_inputs": min(entry["inputs"] for entry in table.values()),
        "fuzz_findings": sum(entry["findings"] for entry in table.values()),
        "fuzz_parsers": {
            name: {key: entry[key] for key in COUNTED} for name, entry in table.items()
        },
    }


def show(found: dict[str, Any]) -> None:
    """The table by parser."""
    table = Table("parser", *COUNTED)
    for name, entry in found["fuzz_parsers"].items():
        table.add_row(name, *(f"{entry[key]:,}" for key in COUNTED))
    Console(highlight=False).print(table)


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """All parsers up to `AIM` inputs each; quick: some hundred, kept in `folder`."""
    chosen = fuzzers()
    if quick:
        tried = Tried(folder / "tried")
        for fuzzer in chosen:
            run_once(fuzzer, tried, (f"-runs={_QUICK}", "-seed=1"), folder)
    else:
        WORK.mkdir(parents=True, exist_ok=True)
        tried = Tried(TRIED)
        fuzz(chosen, tried, float("inf"), AIM, usable_cores())
    found = figures(chosen, tried)
    show(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="PARSER", help="as `python manifest`")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after them")
    parser.add_argument("--aim", type=int, default=AIM, help="inputs of each parser")
    parser.add_argument("--jobs", type=int, default=usable_cores(), help="at a time (all cores)")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    chosen = [f for f in fuzzers() if not arguments.only or f.name in arguments.only]
    tried, until = Tried(TRIED), time.monotonic() + 60 * arguments.minutes
    fuzz(chosen, tried, until, arguments.aim, arguments.jobs)
    show(figures(chosen, tried))


if __name__ == "__main__":
    main()
