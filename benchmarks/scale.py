"""Replicas restarted one after the other under their viewers: `python -m benchmarks.scale`.

Every server is a process of its own, `crispcast serve` with the others as `replicas`, and has too
few places for all viewers. These are plays of the reference client in another process, which all
ask the first server. Then each server in turn gets SIGTERM, ends, begins again on its port, and is
ready before the next one goes.

A viewer is lost when its play breaks off, or when at the end no frame comes to it any more. A gap
is the time between two frames that are put out one after the other; a break is there where the
second is not the one after the first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.serving_packages import Video, write_serving_package

TARGETS = {"restart_lost": ("<=", 0), "restart_gap_s": ("<=", 3)}
SERVERS = 3
SLACK = 4.0  # seconds of play before the first restart, between them, and after the last one
PATIENCE = 120.0  # seconds for a server to begin or to end


@dataclass
class Replica:
    """A server of the fleet: where it is, what starts it, and its process while it runs."""

    url: str
    command: list[str]
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin, and come back once viewers are taken."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, text=True)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.process.poll() is None, f"{self.url} did not start"
            with contextlib.suppress(OSError):  # HTTPError is one
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()
                return
            time.sleep(0.05)
        raise TimeoutError(f"{self.url} is not ready after {PATIENCE:g} s")

    def restart(self) -> float:
        """SIGTERM, and begin again once it has ended; the seconds from one to the other."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0
        self.start()
        return time.monotonic() - begun


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in opened]


@contextlib.contextmanager
def fleet(packages: Path, places: int) -> Iterator[list[Replica]]:
    """`SERVERS` servers of the same packages with so many places each, while the block runs."""
    ports = _free_ports(SERVERS)
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    replicas = []
    for port, url in zip(ports, urls, strict=True):
        command = [sys.executable, "-m", "crispcast", "serve", str(packages)]
        command += ["--port", str(port), "--replicas", ",".join(urls)]
        command += ["--max-viewers", str(places), "--max-viewers-of-address", "0"]
        replicas.append(Replica(url, [*command, "--requests-per-minute", "0"]))
    try:
        for replica in replicas:
            replica.start()
        yield replicas
    finally:
        for replica in replicas:
            if replica.process is not None:
                replica.process.kill()
                replica.process.wait()


@contextlib.contextmanager
def audience(count: int, url: str) -> Iterator[subprocess.Popen[str]]:
    """A process of so many plays, all of which show something by now."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scale_viewers", url, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "playing\n", "the viewers do not play"
        yield process
    finally:
        process.kill()
        process.wait()


def rolling_restart(viewers: int, folder: Path) -> dict[str, Any]:
    """All servers restarted in turn under so many viewers; what these saw of it."""
    video = Video(width=160, height=90, kbps=100, segment_frames=30, segments=10)
    write_serving_package(folder, "plain", video, times=60, scale=2)
    # Without one of the servers, the others have a place for each; no server has one for all.
    places = viewers // (SERVERS - 1) + 1
    with fleet(folder, places) as replicas:
        time.sleep(SLACK)  # they hear of each other
        with audience(viewers, f"{replicas[0].url}/whep/plain") as watching:
            time.sleep(SLACK)
            took = []
            for replica in replicas:
                took.append(replica.restart())
                time.sleep(SLACK)
            said, _ = watching.communicate("\n", timeout=PATIENCE)
    plays: list[dict[str, Any]] = json.loads(said)
    return {
        "restart_lost": sum(play["lost"] for play in plays),
        "restart_gap_s": max(play["gap_s"] for play in plays),
        "restart_breaks": sum(play["breaks"] for play in plays),
        "restart_viewers": viewers,
        "restart_servers": SERVERS,
        "restart_places": places,
        "restart_reconnects": sum(play["reconnects"] for play in plays),
        "restart_reconnects_most": max(play["reconnects"] for play in plays),
        "restart_s": took,
        "restart_plays": plays,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="6 viewers instead of 24")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crispcast-scale-") as folder:
        figures = rolling_restart(6 if arguments.quick else 24, Path(folder))
    console = Console()
    for name, value in figures.items():
        if isinstance(value, int | float):
            sign, target = TARGETS.get(name, ("", None))
            aim = "" if target is None else f"  (aim: {sign} {target})"
            console.print(f"{name}: {value:.4g}{aim}")
    load = os.getloadavg()[0]
    console.print(f"cores: {os.cpu_count()}; load of the last minute, ours included: {load:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
