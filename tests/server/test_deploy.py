"""What is in `deploy` fits what it deploys."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from server.encoding.command import encode_command
from server.settings import Settings
from server.settings_sources import variable

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
