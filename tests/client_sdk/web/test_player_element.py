"""What the player's element makes of what happens to its plays, without a browser."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.client_sdk.web.conftest import WEB


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param("lost_at_the_end", id="a loss after the last frame is the end; Play is anew"),
        pytest.param("again_at_the_end", id="also where a page plays anew as it hears of the end"),
        pytest.param("lost_after_the_end", id="a loss after the server's last word is the end"),
        pytest.param("lost_in_the_middle", id="a loss anywhere else is none"),
        pytest.param("left_early", id="who leaves while it connects leaves nothing behind"),
        pytest.param("silence", id="a server that says nothing is not waited for forever"),
        pytest.param("no_address", id="what is no address is told"),
        pytest.param("captures", id="a capture ends with its play"),
        pytest.param("captures_at_once", id="captures that are asked for at once all come"),
        pytest.param("no_cache", id="a cache that does not open is none"),
        pytest.param("burst", id="frames that are heard of at once are no rate"),
    ],
)
def test_it_holds(node: list[str], scenario: str) -> None:
    script = Path(__file__).parent / "player.mjs"
    command = [*node, str(script), f"{WEB.as_uri()}/", scenario]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
