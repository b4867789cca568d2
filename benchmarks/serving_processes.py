"""The processes of `benchmarks.serving`: the real server pinned to a core, viewers on another."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """A core for the server and one for everything else; the same where there is one only."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def _pinned(core: int | None) -> Any:
    def prepare() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return prepare


@dataclass(frozen=True)
class ServerProcess:
    """`crispcast serve`, running: its base URL and its process."""

    url: str
    process: subprocess.Popen[str]

    def cpu_seconds(self) -> float:
        """Processor time so far, of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """Proportional set size, in MiB."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1024

    def sockets(self) -> int:
        """Open sockets, files and the like."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def metric(self, name: str) -> float:
        """One of its figures for Prometheus."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])


@contextlib.contextmanager
def server(packages: Path, *flags: str, core: int | None = None) -> Iterator[ServerProcess]:
    """Serve on a free port while the block runs, on `core` alone."""
    command = [sys.executable, "-m", "crispcast", "serve", str(packages), "--port", "0", *flags]
    # All viewers come from one address.
    command += ["--max-viewers", "5000", "--max-viewers-of-address", "0"]
    command += ["--requests-per-minute", "0", "--assets-per-minute", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_pinned(core),
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip().partition("/whep/")[0]
        assert url, "the server did not start"
        yield ServerProcess(url, process)
    finally:
        process.kill()
        process.wait()


class CrowdProcess:
    """`benchmarks.serving_viewers`, running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the viewers' process broke off"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def crowd(core: int | None = None, module: Sequence[str] = ()) -> Iterator[CrowdProcess]:
    """A process of viewers while the block runs, on `core` alone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving_viewers", *module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_pinned(core),
    )
    try:
        yield CrowdProcess(process)
    finally:
        process.kill()
        process.wait()
