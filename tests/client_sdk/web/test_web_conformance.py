"""The browser player's modules play the conformance recordings (docs/sdk-core.md), in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.client_sdk.web.conftest import WEB
from tests.conformance.cases import CASES
from tests.conformance.recording import FOLDER

SCRIPT = Path(__file__).parents[2] / "conformance" / "web_face.mjs"
SKIPPED_FRAME = "14 frame: "
"""Of `second_rung`: a frame that nobody named, of the size of a rung that does not play. Browsers
keep the picture before; the others show it, interpolated."""


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
    # The browser's player shows frames of another connection before that one's manifest.
    assert found.pop("early_frames")
    skipped = found.pop("second_rung")
    assert skipped[0] == f"{SKIPPED_FRAME}refused is 1, not undefined"
    assert all(difference.startswith(SKIPPED_FRAME) for difference in skipped)
    assert found == {name: [] for name in found}
