"""The client is light: no torch ever, and no WebRTC until something is played."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "module, absent",
    [
        ("client_sdk", ["torch", "aiortc", "av", "numpy", "pydantic"]),
        ("client_sdk.contract", ["torch", "aiortc", "av", "fastapi", "PIL"]),
        ("client_sdk.upscaler", ["torch", "aiortc", "fastapi"]),
        ("client_sdk.session", ["torch", "fastapi", "scenedetect"]),
        ("server", ["torch", "fastapi", "aiortc"]),
        ("server.app", ["torch", "scenedetect", "overfit"]),
    ],
)
def test_an_import_brings_no_more_than_it_needs(module: str, absent: list[str]) -> None:
    program = f"import sys, {module}; print(*[m for m in {absent!r} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == ""
