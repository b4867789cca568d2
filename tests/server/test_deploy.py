"""What is in `deploy` fits what it deploys."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from server.encoding.command import encode_command
from server.settings import Settings
from server.settings_sources import variable
from tests.server.test_http import SDP_HEADERS, offer

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("name", ["Dockerfile", "crispcast.service"])
def test_every_variable_and_flag_that_is_set_is_a_setting(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    known = {variable(setting) for setting in Settings.model_fields} | {"CRISPCAST_SETTINGS"}
    used = set(re.findall(r"CRISPCAST_[A-Z_]+", text)) - {"CRISPCAST_"}
    assert {"CRISPCAST_LOG_FORMAT", "CRISPCAST_LOG_LEVEL"} <= used <= known


def test_the_container_has_what_the_server_needs_and_copies_what_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["server"]
    for requirement in needed:
        package = re.split(r"[^\w.-]", requirement)[0]
        assert re.search(rf"[ \n]{package}[ \n]", text), package
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    for part in ("kernels", "client_sdk", "server", "pyproject.toml", "CMakeLists.txt", "LICENSE"):
        assert (ROOT / part).exists()
        assert part not in ignored


def test_the_container_stops_by_the_signal_that_drains() -> None:
    assert "STOPSIGNAL SIGTERM" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_the_unit_gives_a_drain_its_time() -> None:
    text = (DEPLOY / "crispcast.service").read_text(encoding="utf-8")
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert found is not None
    assert int(found[1]) > Settings().drain_timeout + 10


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / "crispcast.service").read_text(encoding="utf-8")
    # It wants the program to be there.
    unit = tmp_path / "crispcast.service"
    unit.write_text(text.replace("/opt/crispcast/bin/crispcast", sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    about = [line for line in done.stderr.splitlines() if "crispcast.service" in line]
    assert (done.returncode, about) == (0, []), done.stderr


def test_the_job_of_a_catalogue_encodes_all_of_it() -> None:
    """Its numbers agree, and its flags are the command's."""
    text = (DEPLOY / "encode-job.yaml").read_text(encoding="utf-8")
    completions = re.search(r"completions: (\d+)", text)
    part = re.search(r"INDEX\)/(\d+)", text)
    assert completions is not None
    assert part is not None
    assert completions[1] == part[1]
    known = {option for p in encode_command().params for option in p.opts}
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*(?=[,\]])", text)) <= known
    assert {"--part", "--skip-existing"} <= known


READ_ONLY = """
mount --make-rprivate / || exit 77
for folder in / {folders}; do
    mount --bind "$folder" "$folder" && mount -o remount,bind,ro "$folder" || exit 77
done
if touch "$0.written" 2>/dev/null; then exit 78; fi
exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps=-all \
    --no-new-privs "$@"
"""
"""Runs a command as nobody, without a capability, where nothing can be written."""


def test_the_server_runs_as_nobody_where_nothing_can_be_written(tiny_path: Path) -> None:
    """As the container does with --read-only --user 65534 --cap-drop ALL."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs root, unshare and setpriv (util-linux)")
    with tempfile.TemporaryDirectory() as folder:  # pytest's are its user's alone
        Path(folder).chmod(0o755)
        serve_as_nobody(Path(shutil.copytree(tiny_path, Path(folder) / "tiny.crisp")))


def serve_as_nobody(package: Path) -> None:
    mounted = [m for m in ("/tmp", "/dev/shm", str(ROOT)) if Path(m).is_dir()]
    script = READ_ONLY.replace("{folders}", " ".join(mounted))
    served = [sys.executable, "-m", "crispcast", "serve", str(package), "--port", "0"]
    command = ["unshare", "--mount", "sh", "-c", script, str(package / "x"), *served]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            said = process.stderr.read().decode()
            if process.wait() == 77 or re.search("not permitted|permission denied", said, re.I):
                pytest.skip(f"nobody cannot be had here: {said.strip().splitlines()[-1:]}")
            pytest.fail(said)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+65534\s+65534", status, re.MULTILINE)
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
        try:
            assert asyncio.run(_post(url)) == 201
        except urllib.error.HTTPError:
            process.kill()
            pytest.fail(process.stderr.read().decode())
        assert not (package / "x.written").exists()
    finally:
        process.kill()
        process.communicate()


async def _post(url: str) -> int:
    request = urllib.request.Request(url, await offer(), SDP_HEADERS, method="POST")
    with await asyncio.to_thread(urllib.request.urlopen, request, timeout=20) as answer:
        return int(answer.status)


def test_the_container_is_told_to_run_as_nobody_and_to_write_nothing() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER 65534:65534$", text, re.MULTILINE)
    assert "--read-only" in text
    assert "--cap-drop ALL" in text
    assert "PYTHONDONTWRITEBYTECODE=1" in text
    job = (DEPLOY / "encode-job.yaml").read_text(encoding="utf-8")
    for said in ("runAsNonRoot: true", "readOnlyRootFilesystem: true", "drop: [ALL]"):
        assert said in job
