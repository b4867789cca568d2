"""Replayed offers, tricks in paths, a failing disk: a status or a closed session; others go on."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from kernels.errors import StreamError
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS
from tests.server.serving import serving
from tests.server.test_http import SDP_HEADERS


def test_a_replayed_offer_gets_a_session_that_nobody_joins_and_the_first_plays_on(
    tiny_path: Path,
) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(connect_timeout=1)) as served, asyncio.timeout(60):
            peer = RTCPeerConnection()
            peer.addTransceiver("video", direction="recvonly")
            came: asyncio.Queue = asyncio.Queue()

            @peer.on("track")
            async def receive(track: object) -> None:
                while True:
                    came.put_nowait(await track.recv())  # type: ignore[attr-defined]

            await peer.setLocalDescription(await peer.createOffer())
            sdp = peer.localDescription.sdp.encode()
            first = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            again = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            assert (first.status, again.status) == (201, 201)
            assert first.headers["Location"] != again.headers["Location"]
            await peer.setRemoteDescription(RTCSessionDescription(first.body.decode(), "answer"))
            dropped = served.viewers.metrics.ended.labels("never_connected")._value
            while not dropped.get():
                await asyncio.wait_for(came.get(), 5)
            gone = await served.ask("DELETE", again.headers["Location"])
            assert gone.status == 404
            await asyncio.wait_for(came.get(), 5)
            assert served.viewers.count == 1
            await peer.close()

    asyncio.run(run())


TRICKS = [
    "..",
    "%2e%2e",
    "..%2f..%2fsecret.txt",
    "%2e%2e%2fsecret.txt",
    "..%5csecret.txt",
    "....//secret.txt",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "tiny/../../secret.txt",
    "tiny.crisp",
    "tiny%00.crisp",
    "%c0%ae%c0%ae/secret.txt",
    "%252e%252e%252fsecret.txt",
    ".",
    "tiny%0d%0aX-Evil:%20yes",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_leads_out_of_the_packages(tiny_path: Path, tmp_path: Path, trick: str) -> None:
    shutil.copytree(tiny_path, tmp_path / "packages" / "tiny.crisp")
    (tmp_path / "secret.txt").write_text("a secret of the machine's")

    def ask(url: str, path: str) -> tuple[int, bytes, bool]:
        # A client that does not tidy the path up first.
        line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        line.request("GET", path)
        answer = line.getresponse()
        found = answer.status, answer.read(), "X-Evil" in answer.headers
        line.close()
        return found

    async def run() -> None:
        async with serving(tmp_path / "packages") as served:
            for path in (
                f"/whep/{trick}",
                f"/packages/{trick}/manifest.json",
                f"/packages/{trick}/poster.jpg",
                f"/watch/{trick}",
                f"/assets/{trick}",
                f"/bases/{trick}",
                f"/sdk/{trick}",
                f"/sdk/player/{trick}",
            ):
                status, body, evil = await asyncio.to_thread(ask, served.url, path)
                assert status in (404, 405, 307, 400), path
                assert b"secret of" not in body
                assert b"root:" not in body
                assert not evil

    asyncio.run(run())


def test_a_disk_that_fails_ends_who_watches_from_it_and_nobody_else(
    tiny_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("gone", "here"):
        shutil.copytree(tiny_path, tmp_path / f"{name}.crisp")
    read, failing = os.pread, set()

    def pread(descriptor: int, size: int, position: int) -> bytes:
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).parts[-3] in failing:
            raise OSError(5, "Input/output error")
        return read(descriptor, size, position)

    monkeypatch.setattr(os, "pread", pread)

    async def run() -> None:
        async with serving(tmp_path) as served, asyncio.timeout(60):
            plays = {
                name: Session(f"{served.url}/whep/{name}", PlayOptions(threads=1))
                for name in ("gone", "here")
            }
            running = {name: asyncio.create_task(play.run()) for name, play in plays.items()}
            for play in plays.values():
                await play.first_frame.wait()
            failing.add("gone.crisp")
            with pytest.raises(StreamError, match="video is damaged on the server"):
                await running["gone"]
            stats = await running["here"]
            assert (stats.frames, stats.frames_lost) == (sum(SEGMENTS), 0)
            assert served.viewers.metrics.ended.labels("fault")._value.get() == 1
            assert (await served.ask("GET", "/readyz")).status == 200

    with caplog.at_level(logging.ERROR, "crispcast.server"):
        asyncio.run(run())
    assert "gone.crisp" in caplog.text
    assert "Input/output error" in caplog.text
