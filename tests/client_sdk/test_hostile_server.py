"""Whatever a server sends, a client's memory and its files stay bounded."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import av
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcrtpreceiver import TimestampMapper

from client_sdk.cache import AssetCache
from client_sdk.connection import Connection
from client_sdk.contract import Package
from client_sdk.contract.asset_frames import frames_of
from client_sdk.contract.control import ManifestHead, Refused, encode_message
from client_sdk.core import Session, Task
from client_sdk.flood import excess
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayMeter
from client_sdk.playback import Playback
from client_sdk.timeline import CLOCK_RATE, Timeline
from client_sdk.upscaler import Planes
from client_sdk.upscaling_thread import UpscalingThread
from kernels.errors import CrispcastError
from tests.client_sdk.tiny import FPS, LR_HEIGHT, LR_WIDTH, sha

TICK = int(CLOCK_RATE / FPS)


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


class Deaf:
    """Who is told of a play, and asked for nothing."""

    def __init__(self) -> None:
        self.complaints: list[CrispcastError] = []

    def tell(self, task: Task) -> None: ...

    def complain(self, error: CrispcastError) -> None:
        self.complaints.append(error)

    def begin(self) -> None: ...

    def end(self, error: Exception) -> None:
        raise error


def test_what_waits_for_a_disk_that_stands_still_is_bounded(tiny: Package) -> None:
    sink, session = StuckSink(), Session(threads=1, plain=True)
    thread = UpscalingThread(
        session, lambda _: [sink], PlayMeter(), AssetCache(None), Deaf(), max_backlog=8
    )
    thread.say(partial(session.manifest, tiny.manifest_bytes))
    thread.frame(frame_at(0), 0)
    assert sink.reached.wait(20)
    for number in range(1, 1000):
        thread.frame(frame_at(number * TICK), number * TICK)
        for _ in range(10):
            thread.audio(av.AudioFrame("s16", "stereo", 16))
            thread.say(lambda: None)
    assert thread._waiting == 128
    assert len(thread._lanes._queued) <= 4096 + 128
    assert len(thread._lanes._said) <= 4096
    sink.gate.set()
    thread.finish()
    assert len(sink.shown) == 129
    assert thread.error is None


def test_frames_that_come_before_the_manifest_are_kept_and_bounded(tiny: Package) -> None:
    sink, session = StuckSink(), Session(threads=1, plain=True)
    sink.gate.set()
    thread = UpscalingThread(
        session, lambda _: [sink], PlayMeter(), AssetCache(None), Deaf(), max_backlog=8
    )
    for number in range(1000):
        thread.frame(frame_at(number * TICK), number * TICK)
    thread.say(partial(session.manifest, tiny.manifest_bytes))
    thread.finish()
    assert sink.shown == list(range(128))


def test_what_a_server_may_not_say_costs_itself(tiny: Package) -> None:
    deaf, meter, session = Deaf(), PlayMeter(), Session(threads=1, plain=True)
    thread = UpscalingThread(session, lambda _: [], meter, AssetCache(None), deaf, max_backlog=8)
    body = tiny.manifest_bytes
    head = ManifestHead(package=tiny.manifest.id, rung=0, sha256=sha(body), bytes=len(body))
    thread.say(session.connected)
    for _ in range(100):
        thread.say(partial(session.message, encode_message(head).encode()))
    thread.say(partial(session.frame_bytes, b"?"))
    for piece in frames_of(sha(body), body):
        thread.say(partial(session.frame_bytes, piece))
    thread.finish()
    assert thread.manifest == tiny.manifest
    assert meter.wrong_assets == len(deaf.complaints) == 100
    assert thread.error is None


class Silent:
    """A player that only hears."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_bad_messages_without_end_fill_no_log(
    tiny: Package, caplog: pytest.LogCaptureFixture
) -> None:
    body = tiny.manifest_bytes
    head = ManifestHead(package=tiny.manifest.id, rung=0, sha256=sha(body), bytes=len(body))

    async def run() -> PlayMeter:
        meter = PlayMeter()
        playback = Playback("a server", PlayOptions(), AssetCache(None), meter, Silent())
        for _ in range(1000):
            playback.said("{}")
        playback.connected("http://127.0.0.1:1/whep/tiny", None)
        playback.said(encode_message(head))
        for piece in frames_of(sha(body), body):
            playback.brought(piece)
        for _ in range(100):
            playback.said(encode_message(Refused(what="seek", message="no")))
        await playback.finish()
        await asyncio.sleep(0)  # what the thread told is heard by then
        return meter

    assert asyncio.run(run()).wrong_assets == 1000
    assert len(caplog.records) == 100


def test_plays_that_are_over_hold_nothing_of_the_core(tiny: Package) -> None:
    # There may be 64 sessions at once.
    async def run() -> None:
        for _ in range(70):
            playback = Playback("a server", PlayOptions(), AssetCache(None), PlayMeter(), Silent())
            await playback.finish()
            kept.append(playback)

    kept: list[Playback] = []
    asyncio.run(run())
    assert len(kept) == 70


class Reported:
    """A session of which it is noted what it reports."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.told: list[bool] = []

    def report(self, upscale_ms: float, fps: float, interpolating: bool) -> None:
        self.told.append(interpolating)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@pytest.mark.parametrize("paced", [True, False])
def test_only_who_rests_from_networks_says_so(tiny: Package, paced: bool) -> None:
    session: Any = Reported(Session(threads=1))
    thread = UpscalingThread(
        session, lambda _: [], PlayMeter(), AssetCache(None), Deaf(), max_backlog=8, paced=paced
    )
    thread.say(partial(session.manifest, tiny.manifest_bytes))
    for _ in range(12):
        thread.say(lambda: thread.pace.took(1e9, 1e4))
    thread._after_frames(lambda: None).result(20)
    thread.report(25.0)
    thread.finish()
    assert session.told == [paced]


def positions_of(times: list[int]) -> list[int]:
    timeline = Timeline(FPS)
    return [timeline.place(pts, anew=False) for pts in times]


@pytest.mark.parametrize("jump", [1 << 31, 11 * CLOCK_RATE, -(1 << 31), -TICK])
def test_a_leap_in_time_fills_no_file(jump: int) -> None:
    times = [0, TICK, TICK + jump, 2 * TICK + jump, 4 * TICK + jump]
    assert positions_of(times) == [0, 1, 2, 3, 5]


def test_a_gap_of_seconds_is_still_a_gap() -> None:
    times = [0, 9 * CLOCK_RATE, 9 * CLOCK_RATE + TICK]
    assert positions_of(times) == [0, 225, 226]


def test_after_a_seek_time_goes_on_without_a_gap() -> None:
    timeline = Timeline(FPS)
    assert [timeline.place(pts, anew=pts == 5 * TICK) for pts in (0, TICK, 5 * TICK, 6 * TICK)] == [
        0,
        1,
        2,
        3,
    ]


def test_rtp_times_hold_beyond_thirteen_hours() -> None:
    async def run() -> None:
        connection = Connection("http://127.0.0.1:1/whep/tiny", None, (), object())  # type: ignore[arg-type]
        mapper = TimestampMapper()
        connection._receiving._receiver = SimpleNamespace(_RTCRtpReceiver__timestamp_mapper=mapper)  # type: ignore[assignment]
        origin = (1 << 32) - 50 * TICK
        # Three times around, in steps that never leap half of the way.
        for step in range(0, 3 << 32, 1 << 30):
            time = (origin + step) % (1 << 32)
            pts = mapper.map(time)
            assert pts == step
            assert connection.rtp_time_of(pts) == time
        await connection.close()

    asyncio.run(run())


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
