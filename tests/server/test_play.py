"""Whole plays over real sockets: the frames that come out are the frames that were measured."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import aioice.ice
import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import CODECS, is_rtx
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport

from client_sdk.contract import MANIFEST_FILE, Package, open_package
from client_sdk.contract.asset_frames import AssetFrame, encode_frame
from client_sdk.contract.control import ChooseRung, encode_message
from client_sdk.contract.sei import parse_payload
from client_sdk.picture import planes_of, user_data_of
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.playback import Playback
from client_sdk.session import Session, play_async
from client_sdk.sinks import WindowClosed, open_sink
from client_sdk.upscaler import Planes, Upscaler
from kernels.errors import StreamError
from server.settings import Settings
from tests.client_sdk.tiny import FPS, SEGMENTS, add_chroma, write_tiny
from tests.server.serving import Served, serving

FRAMES = sum(SEGMENTS)
RTX_PAYLOAD_TYPES = {codec.payloadType for codec in CODECS["video"] if is_rtx(codec)}
PATIENCE = 25.0  # seconds that a test waits for an event before it fails
SOME_FRAMES = 4096  # bytes of an .mp4 that holds more than its head


def play(
    path: Path, options: PlayOptions, settings: Settings | None = None, name: str = "tiny"
) -> PlayStats:
    async def run() -> PlayStats:
        async with serving(path, settings) as served, asyncio.timeout(PATIENCE):
            stats = await play_async(f"{served.url}/whep/{name}", options)
            await served.viewers.all_gone.wait()
            return stats

    return asyncio.run(run())


def offline(package: Package, out: Path, sr: bool = True) -> bytes:
    """The y4m of the whole video, upscaled without a network."""
    upscaler = Upscaler.of_package(package) if sr else Upscaler(package.manifest, 0)
    sink = open_sink(out, package.manifest)
    with av.open(str(package.video_path(0))) as container:
        for number, frame in enumerate(container.decode(video=0)):
            sink.video(number, upscaler.upscale(number, planes_of(frame)).planes)
    sink.close()
    return out.read_bytes()


def test_what_is_played_is_what_was_measured_bit_for_bit(either_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "played.y4m"
    stats = play(either_path, PlayOptions(out=out))
    assert out.read_bytes() == offline(open_package(either_path), tmp_path / "offline.y4m")
    assert (stats.frames, stats.frames_sr) == (FRAMES, FRAMES)
    assert (stats.frames_lost, stats.late_plans, stats.frames_interpolated) == (0, 0, 0)
    assert stats.ended == "end"
    assert stats.plan_bytes == sum(open_package(either_path).manifest.size_of(0).values())
    assert stats.first_frame_ms is not None


def test_the_chroma_of_plates_is_played(tiny: Package, tiny_copy: Path, tmp_path: Path) -> None:
    chroma, out = add_chroma(tiny_copy), tmp_path / "played.y4m"
    stats = play(tiny_copy, PlayOptions(out=out))
    package = open_package(tiny_copy)
    assert out.read_bytes() == offline(package, tmp_path / "offline.y4m")
    assert out.read_bytes() != offline(tiny, tmp_path / "grey.y4m")
    assert (stats.frames_sr, stats.late_plans) == (FRAMES, 0)
    assert stats.plan_bytes == sum(package.manifest.size_of(0).values())
    assert chroma in package.manifest.size_of(0)


def test_without_super_resolution_it_is_interpolation_and_no_plan_is_fetched(
    tiny: Package, tiny_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "played.y4m"
    stats = play(tiny_path, PlayOptions(out=out, sr=False))
    assert out.read_bytes() == offline(tiny, tmp_path / "offline.y4m", sr=False)
    assert (stats.frames, stats.frames_interpolated, stats.plan_bytes) == (FRAMES, FRAMES, 0)


def test_an_mp4_has_every_frame_and_the_sound(tiny_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "played.mp4"
    seen: list[PlayStats] = []
    play(tiny_path, PlayOptions(out=out, on_status=seen.append, status_interval=0.1))
    with av.open(str(out)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.frames == FRAMES
        decoded = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio)])
    assert decoded.size / 48_000 == pytest.approx(float(FRAMES / FPS), abs=0.06)
    spectrum = np.abs(np.fft.rfft(decoded[:48_000]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)
    assert seen[-1].frames == FRAMES


def test_a_second_play_takes_the_plans_from_the_cache(tiny_path: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = play(tiny_path, PlayOptions(cache=cache))
    second = play(tiny_path, PlayOptions(cache=cache))
    assert first.cached_bytes == 0
    assert second.plan_bytes == 0
    assert second.cached_bytes > 0
    assert second.frames_sr == FRAMES


def test_a_plan_that_went_bad_on_the_server_costs_its_patches_only(
    tiny_copy: Path, tmp_path: Path
) -> None:
    package = open_package(tiny_copy)
    bad = package.manifest.rungs[0].segments[2].experts[1]

    async def run() -> PlayStats:
        async with serving(tiny_copy) as served, asyncio.timeout(PATIENCE):
            package.places[bad].path.write_bytes(b"?" * package.places[bad].bytes)
            return await play_async(f"{served.url}/whep/tiny", PlayOptions())

    stats = asyncio.run(run())
    assert stats.frames == FRAMES
    assert stats.late_plans == 1
    assert stats.frames_interpolated == SEGMENTS[2]


def test_a_video_that_went_bad_on_the_server_ends_the_play_with_a_sentence(tiny_copy: Path) -> None:
    def cut(stats: PlayStats) -> None:
        if stats.frames:
            os.truncate(tiny_copy / "video" / "lr.mp4", 100)

    options = PlayOptions(on_status=cut, status_interval=0.05)
    with pytest.raises(StreamError, match="video is damaged on the server"):
        play(tiny_copy, options, name=tiny_copy.name.removesuffix(".crisp"))


def test_a_tampered_asset_is_never_used(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def tampered(sha256: str, data: bytes, offset: int = 0) -> Iterator[bytes]:
        if data.startswith(b"CCPL"):
            data = data[:-1] + bytes([data[-1] ^ 1])
        yield encode_frame(AssetFrame(sha256, offset, len(data), data[offset:]))

    monkeypatch.setattr("server.delivery.frames_of", tampered)
    with caplog.at_level(logging.WARNING, "crispcast.client"):
        stats = play(tiny_path, PlayOptions(), Settings(start_delay=0.1))
    assert stats.frames == FRAMES
    assert stats.frames_sr == 0
    assert stats.wrong_assets > 0
    assert "damaged" in caplog.text


def test_lost_packets_are_sent_again_and_every_frame_is_right(
    either_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every 15th video packet is lost on its first way; its copy on the RTX stream gets through.
    lost: list[bytes] = []
    send, seen = RTCDtlsTransport._send_rtp, [0]

    async def lossy(self: RTCDtlsTransport, data: bytes) -> None:
        if len(data) > 300 and data[1] & 0x7F not in RTX_PAYLOAD_TYPES:
            seen[0] += 1
            if seen[0] % 15 == 0:
                lost.append(data)
                return
        await send(self, data)

    monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", lossy)
    out = tmp_path / "played.y4m"
    stats = play(either_path, PlayOptions(out=out))
    assert lost
    assert stats.frames == FRAMES
    assert out.read_bytes() == offline(open_package(either_path), tmp_path / "offline.y4m")


def test_a_window_that_is_closed_ends_the_play_in_peace(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closing:
        def video(self, position: int, planes: Planes) -> None:
            if position == 3:
                raise WindowClosed("the window was closed")

        def audio(self, frame: av.AudioFrame) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr("client_sdk.display.check_display", lambda: None)
    monkeypatch.setattr("client_sdk.display.WindowSink", lambda manifest: Closing())
    stats = play(tiny_path, PlayOptions(display=True))
    assert stats.ended == "closed"
    assert stats.frames == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_play_with_a_sentence(tiny_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.y4m"
    out.symlink_to("/dev/full")
    with pytest.raises(StreamError, match="No space left"):
        play(tiny_path, PlayOptions(out=out))


def test_media_does_not_wait_for_late_plans(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.delivery.Delivery.want", lambda self, message: None)
    stats = play(tiny_path, PlayOptions(), Settings(start_delay=0.1))
    assert (stats.frames, stats.frames_sr) == (FRAMES, 0)
    assert stats.late_plans > 0


async def stock_player(served: Served) -> list[av.VideoFrame]:
    """A WHEP player that has never heard of us: no data channel, plain video."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    frames: list[av.VideoFrame] = []
    enough = asyncio.Event()

    async def receive(track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.VideoFrame)
            frames.append(frame)
            if len(frames) == FRAMES - 1:  # aiortc holds the last one back
                enough.set()

    peer.on("track", lambda track: tasks.append(asyncio.create_task(receive(track))))
    tasks: list[asyncio.Task[None]] = []
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    body = peer.localDescription.sdp.encode()
    reply = await served.ask("POST", "/whep/tiny", body, {"Content-Type": "application/sdp"})
    await peer.setRemoteDescription(RTCSessionDescription(reply.body.decode(), "answer"))
    await asyncio.wait_for(enough.wait(), PATIENCE)
    await served.ask("DELETE", reply.headers["Location"])
    await peer.close()
    return frames


def test_a_stock_player_gets_the_plain_video(tiny: Package, tiny_path: Path) -> None:
    async def run() -> list[av.VideoFrame]:
        async with serving(tiny_path) as served:
            return await stock_player(served)

    frames = asyncio.run(run())
    with av.open(str(tiny.video_path(0))) as container:
        for frame, expected in zip(frames, container.decode(video=0), strict=False):
            assert np.array_equal(frame.to_ndarray(), expected.to_ndarray())
    identities = [parse_payload(data) for data in user_data_of(frames[0])]
    assert [identity.frame for identity in identities if identity is not None] == [0]


async def talk(served: Served, say: Callable[[Session], None]) -> str:
    """Play, say something once the manifest is here, and give the complaint that follows."""
    session = Session(f"{served.url}/whep/tiny", PlayOptions())
    playing = asyncio.create_task(session.run())
    await asyncio.wait_for(asyncio.shield(session.manifest), PATIENCE)
    say(session)
    with pytest.raises(StreamError) as caught:
        await asyncio.wait_for(playing, PATIENCE)
    return str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        '{"type":"rung","rung":7}',
        '{"type":"want","assets":[{"sha256":"../../secret"}]}',
        b"\x00\x01\x02",
        "x" * 60_000,
    ],
)
def test_a_hostile_message_ends_that_session_and_no_other(
    tiny_path: Path, message: str | bytes
) -> None:
    async def run() -> tuple[str, PlayStats]:
        async with serving(tiny_path) as served, asyncio.timeout(PATIENCE):
            url = f"{served.url}/whep/tiny"
            other = asyncio.create_task(play_async(url, PlayOptions()))
            complaint = await talk(served, lambda session: session.channel.send(message))
            return complaint, await other

    complaint, stats = asyncio.run(run())
    assert "the server ended the play" in complaint
    assert stats.frames == FRAMES


def test_a_rung_of_another_codec_than_was_agreed_on_is_refused(
    tiny: Package, tiny_av1_path: Path, tmp_path: Path
) -> None:
    both = Path(shutil.copytree(tiny_av1_path, tmp_path / "tiny.crisp"))
    shutil.copyfile(tiny.video_path(0), both / "video" / "other.mp4")
    shutil.copyfile(both / "maps" / "lr.maps", both / "maps" / "other.maps")
    manifest = open_package(both).manifest
    names = {"name": "other", "file": "video/other.mp4", "maps_file": "maps/other.maps"}
    other = tiny.manifest.rungs[0].model_copy(update=names)
    two = manifest.model_copy(update={"rungs": (*manifest.rungs, other)})
    (both / MANIFEST_FILE).write_bytes(two.to_bytes())

    async def run() -> str:
        async with serving(both) as served, asyncio.timeout(PATIENCE):
            message = encode_message(ChooseRung(rung=1))
            return await talk(served, lambda session: session.channel.send(message))

    assert "another codec" in asyncio.run(run())


def test_a_pause_holds_the_play_until_it_is_resumed(either_path: Path) -> None:
    async def run() -> PlayStats:
        async with serving(either_path) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions())
            playing = asyncio.create_task(session.run())
            await session.manifest
            viewer = served.viewers.only()
            await session.first_frame.wait()
            session.pause()
            await viewer.paused.wait()
            # All is here but one frame, which rests in the jitter buffer until another comes.
            while session.stats().frames < viewer.frames_sent - 1:
                await asyncio.sleep(0.01)
            assert not playing.done()
            session.resume()
            return await playing

    stats = asyncio.run(run())
    assert (stats.frames, stats.frames_sr) == (FRAMES, FRAMES)


def test_what_was_wished_for_before_the_play_counts(tiny_path: Path) -> None:
    async def run() -> int:
        async with serving(tiny_path) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions())
            playing = asyncio.create_task(session.run())
            session.pause()
            session.loop(True)
            await session.manifest
            viewer = served.viewers.only()
            await viewer.paused.wait()
            assert viewer.frames_sent == 0
            session.resume()
            while viewer.frames_sent <= FRAMES:
                await asyncio.sleep(0.02)
            session.stop()
            return (await playing).frames

    assert asyncio.run(run()) > 0


def test_the_servers_last_word_is_what_a_play_ends_with() -> None:
    """The channel is closed behind the word, which goes through the thread that upscales."""

    async def run() -> None:
        session = Session("http://127.0.0.1:1/whep/tiny", PlayOptions(reconnect=0))
        session._lost.set_result("the data channel was closed")

        class Playing:
            async def disconnected(self) -> bool:
                session.fail(StreamError("the video is damaged on the server"))
                return False

        assert await session._until_lost(cast(Playback, Playing())) is None
        with pytest.raises(StreamError, match="is damaged on the server"):
            await session._over

    asyncio.run(run())


def test_a_server_that_stops_says_goodbye(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            session = Session(f"{served.url}/whep/tiny", PlayOptions(reconnect=0))
            playing = asyncio.create_task(session.run())
            await asyncio.wait_for(asyncio.shield(session.manifest), PATIENCE)
        with pytest.raises(StreamError, match="the server stops"):
            await asyncio.wait_for(playing, PATIENCE)

    asyncio.run(run())


def test_a_client_that_vanishes_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # RFC 7675 consent, quicker than aioice's 5 s times 6, so that the test is.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    path = write_tiny(tmp_path, segments=(100, 100), audio=False)
    program = (
        "import sys; from client_sdk import play;"
        "play(sys.argv[1], on_status=lambda s: print(s.frames, flush=True))"
    )

    async def run() -> None:
        async with serving(path) as served, asyncio.timeout(PATIENCE):
            client = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                program,
                f"{served.url}/whep/tiny",
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            assert client.stdout is not None
            async for line in client.stdout:
                if int(line) > 0:
                    break
            assert served.viewers.count == 1
            client.kill()
            await client.wait()
            await served.viewers.all_gone.wait()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("number", "on_ctrl_c"),
    [
        (signal.SIGINT, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_IGN),  # as shells start what runs beside a script
    ],
)
def test_a_loop_that_is_interrupted_has_its_figures_and_its_file(
    tmp_path: Path, number: signal.Signals, on_ctrl_c: signal.Handlers
) -> None:
    path, out, figures = write_tiny(tmp_path), tmp_path / "out.mp4", tmp_path / "stats.json"

    async def run() -> int | None:
        async with serving(path) as served, asyncio.timeout(PATIENCE):
            client = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "crispcast", "play", f"{served.url}/whep/tiny"),
                *("--loop", "--no-cache", "--out", out, "--stats", figures),
                stderr=subprocess.PIPE,
                cwd=Path(__file__).parents[2],
                preexec_fn=lambda: signal.signal(signal.SIGINT, on_ctrl_c),
            )
            while not out.exists() or out.stat().st_size < SOME_FRAMES:
                await asyncio.sleep(0.05)
            client.send_signal(number)
            _, said = await client.communicate()
            assert b"crispcast: interrupted" in said
            return client.returncode

    assert asyncio.run(run()) == 130
    told = json.loads(figures.read_bytes())
    assert told["ended"] == "interrupted"
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == told["frames"] > 0


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://127.0.0.1:9/whep/tiny", "does not answer"),
        ("ftp://example.org/x", "not an http"),
        ("nonsense", "not an http"),
    ],
)
def test_a_server_that_is_not_there_is_said(url: str, why: str) -> None:
    with pytest.raises(StreamError, match=why):
        asyncio.run(play_async(url, PlayOptions()))


@pytest.mark.parametrize(
    "path, why", [("/whep/other", "no package other"), ("/healthz", "Not Allowed")]
)
def test_a_package_that_is_not_there_is_said(tiny_path: Path, path: str, why: str) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            await play_async(served.url + path, PlayOptions())

    with pytest.raises(StreamError, match=why):
        asyncio.run(run())
