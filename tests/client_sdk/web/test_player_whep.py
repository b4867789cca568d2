"""The player ends its sessions, and cannot be sent to end or change anything elsewhere."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.client_sdk.web.conftest import WEB

POST = ["POST", "https://a.example/whep/x", "follow"]
NAMED = "https://b.example"


def asked(node: list[str], status: int, location: str) -> list[Any]:
    script = Path(__file__).parent / "whep.mjs"
    command = [*node, str(script), f"{WEB.as_uri()}/", str(status), location, NAMED]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    said: list[Any] = json.loads(result.stdout)
    return said


@pytest.mark.parametrize(
    ("location", "session"),
    [
        ("/whep/s", "https://c.example/whep/s"),
        ("https://C.example:443/s", "https://c.example/s"),
        ("https://a.example/s", "https://a.example/s"),
        ("https://b.example/s", "https://b.example/s"),
    ],
)
def test_a_session_of_who_answered_is_ended(node: list[str], location: str, session: str) -> None:
    assert asked(node, 201, location) == [POST, ["DELETE", session, "error"]]
    counter = asked(node, 406, location)
    assert counter == [POST, ["PATCH", session, "error"], ["DELETE", session, "error"]]


@pytest.mark.parametrize("location", ["https://d.example/s", "//d/s", "http://c.example/s"])
def test_a_session_elsewhere_is_not_contacted(node: list[str], location: str) -> None:
    assert asked(node, 201, location) == [POST]
    counter = asked(node, 406, location)
    assert counter[0] == POST
    assert "at another origin" in counter[1]
