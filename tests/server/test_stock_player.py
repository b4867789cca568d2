"""A stock WHEP player, written by the draft's own author, plays plain video from here.

It comes from npm (whip-whep 1.2.0, MIT), runs in Chromium, sends its offer without candidates, and
its page comes from another origin than the stream, with all the rules of CORS. Its PATCH forgets
If-Match, which the draft answers by 428; it plays all the same, for the answer has all of ours.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from benchmarks.page import chromium, run_page
from server.settings import Settings
from tests.client_sdk.tiny import LR_HEIGHT, LR_WIDTH, SEGMENTS, write_tiny
from tests.server.serving import serving

HERE = Path(__file__).parent
PLAYER = "whip-whep@1.2.0"
SHA256 = "f032b2b2015da76268d3f4a0450af2cf24ae984c6bf7cc5bfd494763cefaf786"
TOKEN = "correct-horse-battery"
PATIENCE = 15_000  # milliseconds
ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # names that only multicast resolves
)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the player."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm: apt-get install npm")
    folder = tmp_path_factory.mktemp("stock")
    got = subprocess.run(
        [npm, "pack", "--silent", PLAYER], cwd=folder, capture_output=True, timeout=60, check=False
    )
    archives = list(folder.glob("*.tgz"))
    if got.returncode or not archives:
        pytest.skip(f"npm cannot fetch {PLAYER}: {got.stderr.decode(errors='replace')[-200:]}")
    assert hashlib.sha256(archives[0].read_bytes()).hexdigest() == SHA256
    with tarfile.open(archives[0]) as archive:
        archive.extract("package/whep.js", folder, filter="data")
    return folder / "package"


@pytest.mark.skipif(chromium() is None, reason="needs chromium: apt-get install chromium")
def test_a_stock_player_plays_with_a_token_and_learns_of_ice_servers(
    stock: Path, tmp_path: Path
) -> None:
    path = write_tiny(tmp_path, segments=SEGMENTS * 3)
    settings = Settings.model_validate(
        {
            "tokens": f"tiny={TOKEN}",
            "ice_servers": "turn:127.0.0.1:9?transport=udp",
            "turn_secret": "shared-with-the-turn-server",
        }
    )

    async def run() -> dict:
        async with serving(path, settings) as served:
            data = {
                "url": f"{served.url}/whep/tiny",
                "token": TOKEN,
                "frames": 30,
                "patience": PATIENCE,
            }
            found: dict = await asyncio.to_thread(
                run_page,
                "/tests/stock_whep.mjs",
                {"tests": HERE, "stock": stock},
                data,
                isolated=False,
                arguments=ARGUMENTS,
            )
            assert served.viewers.count == 0
            return found

    found = asyncio.run(run())
    assert all("428" in failure for failure in found["failures"])
    assert found["state"] == "connected"
    assert found["shown"] >= 30
    assert (found["width"], found["height"]) == (LR_WIDTH, LR_HEIGHT)
    statuses = [tuple(pair) for pair in found["statuses"]]
    assert statuses[0] == ("POST", 201)
    # It hangs up first, by which the session may be over already.
    assert statuses[-1] in [("DELETE", 200), ("DELETE", 404)]
    assert set(statuses[1:-1]) == {("PATCH", 428)}
    (turn,) = found["iceServers"]
    assert turn["urls"] == ["turn:127.0.0.1:9?transport=udp"]
    assert turn["username"]
    assert turn["credential"]
