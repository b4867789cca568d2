"""The browsers' session plays the conformance recordings (docs/sdk-core.md), in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.client_sdk.web.conftest import WEB
from tests.conformance.cases import CASES
from tests.conformance.recording import FOLDER

SCRIPT = Path(__file__).parents[2] / "conformance" / "web_face.mjs"


def test_the_browsers_modules(node: list[str], modules: Path) -> None:
    done = subprocess.run(
        [*node, str(SCRIPT), f"{WEB.as_uri()}/", f"{modules.as_uri()}/", str(FOLDER), "1", *CASES],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    assert list(found) == list(CASES)
    assert found == {name: [] for name in found}
