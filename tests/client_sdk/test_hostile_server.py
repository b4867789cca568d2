"""Whatever a server sends, a client's memory and its files stay bounded."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcrtpreceiver import TimestampMapper

from client_sdk.cache import AssetCache
from client_sdk.connection import Connection
from client_sdk.contract import Package
from client_sdk.contract.control import Anchor, ManifestHead, encode_message
from client_sdk.contract.manifest import Manifest
from client_sdk.contract.sei import FrameIdentity
from client_sdk.conversation import Conversation
from client_sdk.flood import excess
from client_sdk.frame_clock import CLOCK_RATE, FrameClock, Identified
from client_sdk.play_stats import PlayMeter
from client_sdk.playback import Playback, PlayOptions
from client_sdk.upscaler import Planes
from client_sdk.upscaling_thread import UpscalingThread
from tests.client_sdk.tiny import FPS, LR_HEIGHT, LR_WIDTH

TICK = int(CLOCK_RATE / FPS)


class Told:
    """A connection's listener that keeps why it broke."""

    def __init__(self) -> None:
        self.why: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def broke(self, why: str) -> None:
        self.why.set_result(why)


@pytest.mark.parametrize(
    ("sources", "waiting", "why"), [(65, 0, "64 sources"), (1, 513, "512 frames")]
)
def test_a_server_that_floods_the_receiver_is_heard_no_more(
    sources: int, waiting: int, why: str
) -> None:
    async def run() -> None:
        told = Told()
        connection = Connection("http://127.0.0.1:1/whep/tiny", None, (), told)  # type: ignore[arg-type]
        receiver: Any = RTCPeerConnection().addTransceiver("video", direction="recvonly").receiver
        assert excess(receiver) is None
        streams = receiver._RTCRtpReceiver__remote_streams
        for ssrc in range(sources):
            streams[ssrc] = None
        for _ in range(waiting):
            receiver._RTCRtpReceiver__decoder_queue.put(None)
        await asyncio.wait_for(connection._receiving._watch(receiver), 10)
        assert why in told.why.result()
        await connection.close()

    asyncio.run(run())


class PretendPlay:
    """A play that counts what becomes of it."""

    def __init__(self) -> None:
        self.connection: Any = None
        self.playback: Any = None
        self.joined = 0

    def begin(self, manifest: Manifest, rung: int, live: int | None, untrusted: str | None) -> None:
        self.playback = object()

    def join(self, playback: Playback, live: int | None) -> None:
        self.joined += 1

    def ended(self, frames: int | None) -> None: ...

    def lost(self, why: str) -> None: ...

    def fail(self, error: BaseException) -> None:
        raise error


def test_times_that_nobody_can_place_do_not_pile_up() -> None:
    talk = Conversation("a server", PlayMeter(), PretendPlay())
    for time in range(10_000):
        talk.said(encode_message(Anchor(rtp_time=time, rung=0, frame=0)))
    assert [message.rtp_time for message in talk._untimed] == list(range(9936, 10_000))


def test_a_manifest_is_announced_once_on_a_connection(tiny: Package) -> None:
    play, meter = PretendPlay(), PlayMeter()
    talk = Conversation("a server", meter, play)
    heads = [
        ManifestHead(package=tiny.manifest.id, rung=0, sha256=f"{number:064x}", bytes=1000)
        for number in range(100)
    ]
    for head in heads:
        talk.said(encode_message(head))
    assert meter.wrong_assets == 99
    assert talk._head_assembler._sizes == {heads[0].sha256: 1000}
    play.playback = object()
    for _ in range(3):
        talk.renew()
        for _ in range(100):
            talk.said(encode_message(heads[0]))
    assert play.joined == 3


def test_bad_messages_without_end_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    meter = PlayMeter()
    talk = Conversation("a server", meter, PretendPlay())
    for _ in range(1000):
        talk.said("{}")
    assert meter.wrong_assets == 1000
    assert len(caplog.records) == 100


def frame_at(pts: int) -> av.VideoFrame:
    frame = av.VideoFrame(LR_WIDTH, LR_HEIGHT, "yuv420p")
    frame.pts = pts
    return frame


class StuckSink:
    """A disk that stands still."""

    def __init__(self) -> None:
        self.reached, self.gate = threading.Event(), threading.Event()
        self.shown: list[int] = []

    def video(self, position: int, planes: Planes) -> None:
        self.reached.set()
        assert self.gate.wait(20)
        self.shown.append(position)

    def audio(self, frame: av.AudioFrame) -> None: ...

    def close(self) -> None: ...


def test_what_waits_for_a_disk_that_stands_still_is_bounded(tiny: Package) -> None:
    sink, meter = StuckSink(), PlayMeter()
    thread = UpscalingThread(
        tiny.manifest, 0, lambda _: [sink], meter, AssetCache(None), threads=1, max_backlog=8
    )
    thread.frame(0, None, frame_at(0))
    assert sink.reached.wait(20)
    for position in range(1, 1000):
        thread.frame(position, None, frame_at(0))
        thread.pass_over(Identified(0, 0), frame_at(0))
        for _ in range(10):
            thread.audio(av.AudioFrame("s16", "stereo", 16))
            thread.expect(0, 0)
    assert thread._jobs.qsize() <= 4096 + 128
    assert thread._held == 128
    sink.gate.set()
    thread.call(lambda: None)
    thread.finish()
    thread_frames = len(sink.shown)
    assert 64 <= thread_frames <= 129
    assert thread.error is None


def positions_of(tiny: Package, times: list[int], folder: Path) -> list[int]:
    async def run() -> list[int]:
        playback = Playback(
            tiny.manifest,
            0,
            PlayOptions(threads=1, sr=False, out=folder / "out.y4m"),
            cache=AssetCache(None),
            meter=PlayMeter(),
            send=lambda _: None,
            ready=lambda: None,
            on_error=lambda error: pytest.fail(str(error)),
        )
        positions = []
        put_out = playback._thread.frame

        def frame(position: int, *args: Any, **kwargs: Any) -> None:
            positions.append(position)
            put_out(position, *args, **kwargs)

        playback._thread.frame = frame  # type: ignore[method-assign]
        for pts in times:
            playback.frame(frame_at(pts))
        await playback.finish()
        return positions

    return asyncio.run(run())


@pytest.mark.parametrize("jump", [1 << 31, 11 * CLOCK_RATE, -(1 << 31), -TICK])
def test_a_leap_in_time_fills_no_file(tiny: Package, tmp_path: Path, jump: int) -> None:
    times = [0, TICK, TICK + jump, 2 * TICK + jump, 4 * TICK + jump]
    assert positions_of(tiny, times, tmp_path) == [0, 1, 2, 3, 5]


def test_a_gap_of_seconds_is_still_a_gap(tiny: Package, tmp_path: Path) -> None:
    times = [0, 9 * CLOCK_RATE, 9 * CLOCK_RATE + TICK]
    assert positions_of(tiny, times, tmp_path) == [0, 225, 226]


def test_anchors_hold_beyond_thirteen_hours(tiny: Package) -> None:
    async def run() -> None:
        connection = Connection("http://127.0.0.1:1/whep/tiny", None, (), object())  # type: ignore[arg-type]
        mapper = TimestampMapper()
        connection._receiving._receiver = SimpleNamespace(_RTCRtpReceiver__timestamp_mapper=mapper)  # type: ignore[assignment]
        assert connection.pts_of(5) is None
        clock, origin = FrameClock(tiny.manifest), (1 << 32) - 50 * TICK
        # Three times around, in steps that never leap half of the way.
        for step in range(0, 3 << 32, 1 << 30):
            pts = mapper.map((origin + step) % (1 << 32))
            assert pts == step
            for ahead in (-5 * TICK, 0, 5 * TICK):
                assert connection.pts_of((origin + step + ahead) % (1 << 32)) == step + ahead
            sought = connection.pts_of((origin + step + 5 * TICK) % (1 << 32))
            assert sought is not None
            clock.set_anchor(sought, FrameIdentity(tiny.manifest.id, 0, 3))
            later = mapper.map((origin + step + 6 * TICK) % (1 << 32))
            assert clock.identify(later, None) == Identified(4, 0)
        await connection.close()

    asyncio.run(run())
