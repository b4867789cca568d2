"""A browsers' session before anything plays, in Node: threads, and whose the manifest is."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client_sdk.contract.signing import key_text
from tests.client_sdk.test_core_session import head
from tests.client_sdk.test_core_trust import signed_by
from tests.client_sdk.test_signing import public
from tests.client_sdk.web.conftest import WEB
from tests.conformance.package import draw

SCRIPT = Path(__file__).parent / "session.mjs"


@pytest.fixture(scope="module")
def told(node: list[str], modules: Path) -> dict[str, Any]:
    drawn = draw()
    signature = signed_by(1, drawn)
    given = {
        "manifest": base64.b64encode(drawn.manifest_bytes).decode(),
        "head": json.dumps({**json.loads(head(drawn)), "signature": signature}),
        "signature": signature,
        "trust": key_text(public(1)),
    }
    done = subprocess.run(
        [*node, str(SCRIPT), f"{WEB.as_uri()}/", f"{modules.as_uri()}/"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_manifest_may_have_its_signature_beside_it(told: dict[str, Any]) -> None:
    assert told["ahead"][:2] == ["verify", "manifest"]
    assert "fetch" in told["ahead"]
    assert "untrusted" not in told["ahead"]


def test_a_signature_may_be_announced_after_the_manifest_was_given(told: dict[str, Any]) -> None:
    before, after = told["announced"]
    assert "untrusted" in before
    assert "fetch" not in before
    assert after.index("verify") < after.index("fetch")


def test_what_is_no_signature_or_no_bytes_is_refused(told: dict[str, Any]) -> None:
    assert told["wrong"]["refused"]
    assert told["noBytes"]["refused"]
    assert "Uint8Array" in told["noBytes"]["sentence"]


def test_where_nothing_comes_of_a_module_its_threads_end(told: dict[str, Any]) -> None:
    assert told["badKeys"]["refused"]
    assert "1 to 8, each ed25519" in told["badKeys"]["sentence"]
    assert told["badKeys"]["ended"] == 2
    assert told["noEngine"]["refused"]
    assert told["noEngine"]["ended"] == 1


def test_there_are_no_more_threads_than_an_engine_takes(told: dict[str, Any]) -> None:
    assert told["threads"] == [256, 7]
