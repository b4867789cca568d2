"""Hostile inputs do the browsers' session no harm; short forms, in Node (tests/fuzz/player.mjs)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fuzz.parsers import seeds_of

SCRIPT = Path(__file__).parents[2] / "fuzz" / "player.mjs"


@pytest.mark.parametrize("name", ["manifest", "server_message", "asset_frames", "sei", "obu"])
def test_no_seed_nor_what_is_made_of_it_does_harm(
    name: str, node: list[str], modules: Path, tmp_path: Path
) -> None:
    flags = ["-runs=300", "-seed=1", f"-artifact_prefix={tmp_path}/", str(seeds_of(name))]
    command = [*node, str(SCRIPT), f"{modules.as_uri()}/", name, *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stat::number_of_executed_units: 300" in done.stdout
