"""What the player's modules make of servers that stall, announce too much or change their word."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.client_sdk.web.conftest import WEB


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"), segments=SEGMENTS * 2)


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param("hanging", id="http that hangs is left for the channel and tried again"),
        pytest.param("trickling", id="so is http that trickles"),
        pytest.param("reconnecting", id="another connection waits for nothing of the one before"),
        pytest.param("parting", id="a connection that is lost takes its fetches along"),
        pytest.param("refused_of_cache", id="what is refused of a cache costs itself only"),
        pytest.param("damaged", id="what came damaged comes once more"),
        pytest.param("bases", id="bases come in time and no larger than they may be"),
        pytest.param("wrong_bases", id="a base that is another is asked for once more"),
        pytest.param("pictures", id="a picture that cannot be decoded is answered all the same"),
        pytest.param("memory", id="what is announced takes no memory before it comes"),
        pytest.param("announced_twice", id="a manifest is announced once a connection"),
        pytest.param("another_version", id="a manifest of another version costs itself"),
        pytest.param("signed", id="signatures are right, wrong or not to be told"),
    ],
)
def test_it_holds(node: list[str], modules: Path, package: Path, scenario: str) -> None:
    script = Path(__file__).parent / "delivery.mjs"
    folders = [f"{WEB.as_uri()}/", f"{modules.as_uri()}/"]
    command = [*node, str(script), *folders, scenario, str(package)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
