"""What the player's modules make of servers that stall, announce too much or change their word."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from client_sdk.contract import MANIFEST_FILE, parse_manifest
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.client_sdk.web.conftest import WEB


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a package with two rungs alike."""
    path = write_tiny(tmp_path_factory.mktemp("tiny"), segments=SEGMENTS * 2) / MANIFEST_FILE
    manifest = parse_manifest(path.read_bytes())
    rung = manifest.rungs[0]
    two = (rung, rung.model_copy(update={"name": "other"}))
    path.write_bytes(manifest.model_copy(update={"rungs": two}).to_bytes())
    return path


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param("hanging", id="http that hangs is left for the channel and tried again"),
        pytest.param("trickling", id="so is http that trickles"),
        pytest.param("reconnecting", id="another connection waits for nothing of the one before"),
        pytest.param("damaged", id="what came damaged comes once more"),
        pytest.param("bases", id="bases come whole and true in time or not at all"),
        pytest.param("memory", id="what is announced takes no memory before it comes"),
        pytest.param("announced_twice", id="a manifest is announced once a connection"),
        pytest.param("another_version", id="a manifest of another version costs itself"),
        pytest.param("seeking_ends_with_its_connection", id="a seek ends with its connection"),
        pytest.param("signed", id="a manifest is trusted if one of the trusted keys signed it"),
        pytest.param("the_last_word", id="the last word about a segment's rung holds"),
    ],
)
def test_it_holds(node: list[str], manifest: Path, scenario: str) -> None:
    script = Path(__file__).parent / "delivery.mjs"
    command = [*node, str(script), f"{WEB.as_uri()}/", scenario, str(manifest)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
