"""The player rests where its networks are too slow, as the Python client does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from client_sdk.pace import Pace
from tests.client_sdk.web.conftest import WEB

FRAME_MS = 31.25  # exact in binary


def test_both_clients_rest_and_try_again_alike(node: list[str]) -> None:
    # Too slow for a while, just so at the end.
    spent = [20.0] * 40 + [70.0] * 200 + [31.0] * 400
    pace = Pace(FRAME_MS)
    answers = []
    now = 0.0
    for each in spent:
        runs = pace.may_run(now)
        if runs:
            pace.took(now, each)
        answers.append([runs, pace.resting])
        now += FRAME_MS / 1000
    assert any(not runs for runs, _ in answers)
    assert answers[-1][0]
    script = Path(__file__).parent / "pace.mjs"
    command = [*node, str(script), f"{WEB.as_uri()}/", str(FRAME_MS), *map(str, spent)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert [row[:2] for row in json.loads(result.stdout)] == answers
