"""The server under load, on a bad network and in a browser: `python -m benchmarks.serving`.

The real server runs in a process of its own on one core, and viewers in others on another core,
over ICE, DTLS and SRTP on this machine's own address. Parts (`--only`): `capacity` (viewers on a
core, memory of each), `start` (first frames), `seek`, `loss`, `browser`, `soak` (viewers coming and
going, `--soak SECONDS` long).

A frame is on time under load when it is whole within one frame's time (33 ms) of its schedule. A
core carries N viewers when of N viewers' frames 99.9 % are on time, none is missing, no packet is
lost, and the server's `crispcast_loop_lag_seconds` is under 0.01.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.page import chromium
from benchmarks.serving_packages import networked_package, plain_package
from benchmarks.serving_processes import CrowdProcess, ServerProcess, cores, crowd, server

FRAME_MS = 1000 / 30
SHARE_ON_TIME = 0.999
MOST_LAG = 0.01
FEW = 10  # viewers from which memory is counted
LOSS, DELAYS = 0.01, (0.025, 0.05)  # seconds one way: round trips of 50 and 100 ms

TARGETS = {
    "viewers_per_core": (">=", 250),
    "mib_per_viewer": ("<=", 2),
    "first_frame_ms": ("<=", 300),
    "first_sr_ms": ("<=", 1000),
    "on_time_loss": (">=", 0.98),
    "wrong_plan": ("<=", 0),
    "seek_ms": ("<=", 500),
    "browser_fps": (">=", 24),
    "soak_growth_mib": ("<=", 10),
}


def carried(found: dict[str, Any], lag: float) -> bool:
    """Whether the load of a measurement was carried, by the criterion above."""
    late: list[float] = found["late_ms"]
    on_time = sum(ms <= FRAME_MS for ms in late) / max(1, len(late))
    whole = found["missing"] == 0 and found["lost_packets"] == 0
    return whole and on_time >= SHARE_ON_TIME and lag < MOST_LAG


def steps(quick: bool) -> Iterator[int]:
    """Numbers of viewers to try, one after the other."""
    yield FEW
    yield from (100, 250) if quick else range(100, 1001, 50)


def capacity(quick: bool, folder: Path) -> dict[str, Any]:
    """Viewers on a core, stepping up until frames come late; memory of each."""
    seconds = 4.0 if quick else 8.0
    plain_package(folder, 60 if quick else 300)
    ours, others = cores()
    cases, carries, memory = [], 0, 0.0
    with server(folder, core=ours) as served, crowd(others) as viewers:
        url = f"{served.url}/whep/plain"
        here = 0
        for count in steps(quick):
            viewers.ask(add=count - here, url=url)
            here = count
            case = _loaded(served, viewers, seconds)
            cases.append(case)
            if count == FEW:
                memory = case["mib"]
                continue
            if not case["carried"]:
                break
            carries = count
            case["mib_per_viewer"] = (case["mib"] - memory) / (count - FEW)
    figures: dict[str, Any] = {"viewers_per_core": carries, "capacity": cases}
    grown = [case["mib_per_viewer"] for case in cases if "mib_per_viewer" in case]
    if grown:
        figures["mib_per_viewer"] = max(grown)
    return figures


def _loaded(served: ServerProcess, viewers: CrowdProcess, seconds: float) -> dict[str, Any]:
    spent = served.cpu_seconds()
    found = viewers.ask(measure=seconds)
    spent = served.cpu_seconds() - spent
    lag = served.metric("crispcast_loop_lag_seconds")
    late = sorted(found["late_ms"])
    case = {key: value for key, value in found.items() if key != "late_ms"}
    return case | {
        "server_cpu": spent / seconds,
        "late_p50_ms": _quantile(late, 0.5),
        "late_p999_ms": _quantile(late, 0.999),
        "late_max_ms": late[-1] if late else 0.0,
        "loop_lag": lag,
        "mib": served.memory(),
        "carried": carried(found, lag),
    }


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _play(served: ServerProcess, package: Path, *flags: str) -> dict[str, Any]:
    url = f"{served.url}/whep/{package.stem}"
    command = [sys.executable, "-m", "benchmarks.serving_play", url, str(package), *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=180)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def start(quick: bool, folder: Path) -> dict[str, Any]:
    """First frames of the reference client, each play a process with an empty cache."""
    package = networked_package(folder, 20)
    with server(folder) as served:
        _play(served, package, "--frames")  # the server's first viewer opens the package
        plays = [_play(served, package, "--frames") for _ in range(3 if quick else 9)]
    figures: dict[str, Any] = {}
    for key in ("first_frame_ms", "first_sr_ms"):
        figures[key] = statistics.median(play[key] for play in plays)
        figures[f"{key}_worst"] = max(play[key] for play in plays)
    with tempfile.TemporaryDirectory() as other:
        plain_package(Path(other), 20)
        with server(Path(other)) as served, crowd() as viewers:
            asked = {"add": 1, "url": f"{served.url}/whep/plain"}
            times = [viewers.ask(**asked)["first_frame_ms"][0] for _ in range(len(plays) + 1)]
    figures["first_frame_stock_ms"] = statistics.median(times[1:])
    return figures


def seek(quick: bool, folder: Path) -> dict[str, Any]:
    """Seeks of the reference client, 270p to 1080p: from the call to the first frame from there."""
    package = networked_package(folder, 60)
    with server(folder) as served:
        waits = _play(served, package, "--seeks", "4" if quick else "12")["seek_ms"]
    return {"seek_ms": statistics.median(waits), "seek_ms_worst": max(waits)}


def loss(quick: bool, folder: Path) -> dict[str, Any]:
    """Whole plays with 1 % of all datagrams lost, both ways; the worse of the delays counts."""
    package = networked_package(folder, 10 if quick else 30, width=160)
    plays = {}
    with server(folder) as served:
        for delay in DELAYS:
            flags = ("--loss", str(LOSS), "--delay", str(delay))
            plays[f"{2000 * delay:.0f} ms round trip"] = _play(served, package, *flags)
    return {
        "on_time_loss": min(play["on_time"] for play in plays.values()),
        "wrong_plan": sum(play["wrong_plan"] for play in plays.values()),
        "late_plans": sum(play["late_plans"] for play in plays.values()),
        "loss": plays,
    }


def browser(quick: bool, folder: Path) -> dict[str, Any]:
    """The web player from 270p to 1080p, on all cores, which the server shares."""
    if chromium() is None:
        return {"not measured": "browser: needs chromium (apt-get install chromium)"}
    from benchmarks.serving_browser import watch

    networked_package(folder, 60)
    with server(folder) as served:
        seen = watch(served.url, "network", 6 if quick else 20)
    return {"browser_fps": seen["fps"], "browser": seen}


def soak(seconds: float, folder: Path, viewers_there: int = 20) -> dict[str, Any]:
    """Viewers coming and going, a quarter of them every 2 s; what is left of it afterwards.

    Growth is from after the first tenth of the time to its end, with all viewers there; and sockets
    and tasks when all have left, against before they came.
    """
    plain_package(folder, 20)
    ours, others = cores()
    moving = max(1, viewers_there // 4)
    samples: list[float] = []
    with server(folder, core=ours) as served, crowd(others) as viewers:
        url = f"{served.url}/whep/plain"
        viewers.ask(add=1, url=url)
        viewers.ask(remove=1)
        time.sleep(1)  # as at the end: what it asked for is answered and closed
        before = (served.sockets(), served.metric("crispcast_tasks"))
        viewers.ask(add=viewers_there, url=url)
        begun, sessions = time.monotonic(), viewers_there
        while (passed := time.monotonic() - begun) < seconds:
            viewers.ask(remove=moving)
            viewers.ask(add=moving, url=url)
            sessions += moving
            time.sleep(max(0.0, 2 - (time.monotonic() - begun - passed)))
            if passed > seconds / 10:
                samples.append(served.memory())
        viewers.ask(remove=viewers_there)
        time.sleep(1)
        after = (served.sockets(), served.metric("crispcast_tasks"))
    tenth = max(1, len(samples) // 10)
    grown = statistics.median(samples[-tenth:]) - statistics.median(samples[:tenth])
    return {
        "soak_growth_mib": grown,
        "soak_seconds": seconds,
        "soak_sessions": sessions,
        "soak_sockets_left": after[0] - before[0],
        "soak_tasks_left": after[1] - before[1],
    }


PARTS = {
    "capacity": capacity,
    "start": start,
    "seek": seek,
    "loss": loss,
    "browser": browser,
}


def print_tables(figures: dict[str, Any], console: Console) -> None:
    """The steps of the load, and every figure beside its target."""
    if "capacity" in figures:
        table = Table(title="360p30 at 450 kb/s, the server on one core")
        names = ("viewers", "server's core", "late: median", "99.9 %", "most", "MiB", "carried")
        for name in names:
            table.add_column(name, justify="right")
        for case in figures["capacity"]:
            late = [f"{case[key]:.1f} ms" for key in ("late_p50_ms", "late_p999_ms", "late_max_ms")]
            cells = [str(case["viewers"]), f"{case['server_cpu']:.0%}", *late]
            table.add_row(*cells, f"{case['mib']:.0f}", "yes" if case["carried"] else "no")
        console.print(table)
    for name, value in figures.items():
        if isinstance(value, int | float):
            sign, target = TARGETS.get(name, ("", None))
            aim = "" if target is None else f"  (aim: {sign} {target})"
            console.print(f"{name}: {value:.4g}{aim}")
    load = os.getloadavg()[0]
    console.print(f"cores: {os.cpu_count()}; load of the last minute, ours included: {load:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="up to 250 viewers, fewer plays")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--only", action="append", choices=[*PARTS, "soak"], help="these parts")
    parser.add_argument("--soak", type=float, default=60.0, help="seconds that the soak takes")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    for part in arguments.only or [*PARTS, "soak"]:
        with tempfile.TemporaryDirectory(prefix="crispcast-serving-") as folder:
            if part == "soak":
                figures |= soak(arguments.soak, Path(folder))
            else:
                figures |= PARTS[part](arguments.quick, Path(folder))
    print_tables(figures, Console())
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
