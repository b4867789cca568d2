"""What ships is known: packages are pinned, the audit tells what it found, npm brings nothing."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "status", "word"),
    [
        ([GOOD, UNKNOWN], 0, "1 packages, 0 vulnerabilities, 1 not known"),
        ([GOOD, BAD], 1, "b 2: CVE-1"),
        ([UNKNOWN, UNKNOWN], 0, "SKIPPED"),
    ],
)
def test_the_audit_fails_for_vulnerabilities_and_for_nothing_else(
    found: list[dict[str, Any]], status: int, word: str
) -> None:
    lines, exit_status = audit().told({"dependencies": found})
    assert exit_status == status
    assert word in "\n".join(lines)


def test_every_package_that_is_needed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    shipped = [extras[name] for name in ("client", "server", "encode", "export")]
    needed = [r for group in [project["dependencies"], *shipped, extras["dev"]] for r in group]
    names = {_canonical(re.split(r"[^\w.-]", requirement)[0]) for requirement in needed}
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {_canonical(pin.split("==")[0]) for pin in pins if "==" in pin}
    assert names <= pinned, names - pinned


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_player_ships_nothing_of_others() -> None:
    package = json.loads((ROOT / "client_sdk" / "web" / "package.json").read_text())
    assert not {key for key in package if key.lower().endswith("dependencies")}
    assert not list((ROOT / "client_sdk" / "web").rglob("node_modules"))
