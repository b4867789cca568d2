"""A real browser takes a rung over WebRTC: nobody here wrote its depacketiser or its decoder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.page import chromium, run_page
from client_sdk.contract import open_package
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.server.serving import serving

HERE = Path(__file__).parent
PATIENCE = 12_000  # milliseconds
ARGUMENTS = (
    "--disable-web-security",  # the page comes from another port than the stream
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # names that only multicast resolves
)


@pytest.mark.skipif(chromium() is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_chromium_shows_the_pictures_of_the_rung(tmp_path: Path, codec: str) -> None:
    path = write_tiny(tmp_path, segments=SEGMENTS * 3, codec=codec)  # type: ignore[arg-type]

    async def run() -> dict:
        async with serving(path) as served:
            data = {"url": f"{served.url}/whep/tiny", "frames": 60, "patience": PATIENCE}
            return await asyncio.to_thread(
                run_page,
                "/tests/whep_player.mjs",
                {"tests": HERE},
                data,
                isolated=False,
                arguments=ARGUMENTS,
            )

    found = asyncio.run(run())
    assert found["codec"].lower() == f"video/{codec}"
    assert found["packetsLost"] == 0
    assert found["keyFramesDecoded"] >= 3
    assert found["framesDecoded"] >= 60
    with av.open(str(open_package(path).video_path(0))) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    coded = np.stack(pictures).astype(np.int16)
    shown = [
        np.array(picture["luma"], np.int16).reshape(picture["height"], picture["width"])
        for picture in found["shown"]
    ]
    assert len(shown) >= 20  # a busy machine skips some
    order = []
    for picture in shown:
        errors = np.abs(coded - picture[: coded.shape[1], : coded.shape[2]]).mean((1, 2))
        assert errors.min() < 4
        order.append(int(errors.argmin()))
    assert len(set(order)) > 12
