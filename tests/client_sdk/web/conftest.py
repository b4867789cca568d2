"""The modules, built once by their own CMake project, and the hosts that run them."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.page import chromium, run_page

ROOT = Path(__file__).parents[3]
AGENT = Path(__file__).parent
WEB = ROOT / "client_sdk" / "web"
Run = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def modules() -> Path:
    """Folder of the four modules, made from the sources as they are."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("no ziglang here: pip install ziglang")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    cmake = shutil.which("cmake", path=path)
    if cmake is None or shutil.which("ninja", path=path) is None:
        pytest.skip("no cmake and ninja here: pip install cmake ninja")
    build = ROOT / ".cache" / "wasm"
    made = build / "modules"
    environment = {**os.environ, "PATH": path}
    source = ["-S", str(ROOT / "kernels/runtime/wasm"), "-B", str(build), "-G", "Ninja"]
    settings = [f"-DPython_EXECUTABLE={sys.executable}", f"-DCRISPCAST_WASM_OUTPUT={made}"]
    build.mkdir(parents=True, exist_ok=True)
    with (build / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        for command in ([cmake, *source, *settings], [cmake, "--build", str(build)]):
            result = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert result.returncode == 0, result.stdout + result.stderr
    return made


@pytest.fixture(scope="session")
def node() -> list[str]:
    """The command of a Node that can run the modules."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node here: apt-get install nodejs")
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    if int(re.sub(r"v(\d+).*", r"\1", version)) < 20:
        pytest.skip(f"node {version.strip()} is older than 20")
    # Node 20 hides relaxed SIMD behind a flag that later ones have dropped.
    flag = "--experimental-wasm-relaxed-simd"
    known = subprocess.run([program, flag, "-e", "0"], capture_output=True).returncode == 0
    return [program, flag] if known else [program]


@pytest.fixture(params=["node", "window", "worker"])
def host(request: pytest.FixtureRequest, modules: Path, tmp_path: Path) -> Run:
    """Runs cases of agent.js there."""
    if request.param == "node":
        command = request.getfixturevalue("node")
        return lambda cases: in_node(command, modules, tmp_path, cases)
    return lambda cases: in_page(modules, cases, worker=request.param == "worker")


def in_node(
    command: list[str], modules: Path, folder: Path, cases: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What agent.js gives for the cases in Node."""
    given, taken = folder / "cases.json", folder / "results.json"
    data = {"code": f"{WEB.as_uri()}/", "folder": modules.as_uri(), "cases": cases}
    given.write_text(json.dumps(data))
    script = [*command, str(AGENT / "agent.mjs"), str(given), str(taken)]
    result = subprocess.run(script, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    answers: list[dict[str, Any]] = json.loads(taken.read_text())
    return answers


def in_page(
    modules: Path, cases: list[dict[str, Any]], *, worker: bool = False, isolated: bool = True
) -> list[dict[str, Any]]:
    """What agent.js gives for the cases in headless Chromium."""
    if chromium() is None:
        pytest.skip("no chromium here: apt-get install chromium")
    data = {"code": "/web/", "folder": "/modules/", "cases": cases, "worker": worker}
    folders = {"web": WEB, "modules": modules, "agent": AGENT}
    answers: list[dict[str, Any]] = run_page(
        "/agent/agent.mjs", folders, data, isolated=isolated, timeout=180
    )
    return answers
