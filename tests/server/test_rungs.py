"""Plays that change rungs, over real sockets: each frame has the plans of the rung it came from."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import RTCP_RR, RTCP_SR, is_rtcp

from client_sdk.connection import Connection
from client_sdk.contract import Package, open_package
from client_sdk.contract.control import (
    Anchor,
    ChooseRung,
    Hello,
    Message,
    Resume,
    Seek,
    Sought,
    encode_message,
)
from client_sdk.core import Result
from client_sdk.core import Session as CoreSession
from client_sdk.picture import planes_of
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.session import Session
from client_sdk.upscaler import Plane, Upscaler
from server.adaptation import QUEUE
from server.asset_store import AssetStore
from server.media import PackageMedia, VideoTrack
from server.metrics import Metrics
from server.settings import Settings
from server.viewer import Viewer
from tests.client_sdk.ladder import write_ladder
from tests.client_sdk.tiny import FPS, SEGMENTS
from tests.server.serving import serving
from tests.server.test_fuzz_control import MemoryChannel

PATIENCE = 40.0
MANUAL = Settings(adaptive=False)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ladder(tmp_path_factory.mktemp("ladder"), segments=SEGMENTS * 2)


def frames_of(package: Package, rung: int) -> list[bytes]:
    """Every frame, upscaled without a network, as a y4m has it."""
    upscaler = Upscaler.of_package(package, rung)
    with av.open(str(package.video_path(rung))) as container:
        return [
            b"".join(plane.tobytes() for plane in upscaler.upscale(number, planes_of(frame)).planes)
            for number, frame in enumerate(container.decode(video=0))
        ]


def played(out: Path) -> list[bytes]:
    head, *frames = out.read_bytes().split(b"FRAME\n")
    assert head.startswith(b"YUV4MPEG2")
    return frames


def play(
    path: Path,
    options: PlayOptions,
    steer: Callable[[Session, Viewer], None],
    settings: Settings = MANUAL,
) -> PlayStats:
    """Play to the end; `steer` is called at the first frame."""

    async def run() -> PlayStats:
        async with serving(path, settings) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", options)
            playing = asyncio.create_task(session.run())
            await session.first_frame.wait()
            steer(session, served.viewers.only())
            return await playing

    return asyncio.run(run())


def rungs_of(frames: list[bytes], ladder: list[list[bytes]]) -> list[int]:
    """The rung that each frame is of, with all of its plans; -1 for what is of none."""
    return [
        next((rung for rung, found in enumerate(ladder) if found[number] == frame), -1)
        for number, frame in enumerate(frames)
    ]


def test_a_switch_changes_rung_scale_and_plans_at_the_start_of_a_segment(
    ladder: Path, tmp_path: Path
) -> None:
    package, out = open_package(ladder), tmp_path / "played.y4m"
    stats = play(ladder, PlayOptions(out=out), lambda session, _: session.choose_rung(1))
    rungs = rungs_of(played(out), [frames_of(package, 0), frames_of(package, 1)])
    assert len(rungs) == package.manifest.source.frames
    assert rungs[0] == 0
    at = rungs.index(1)
    assert at in {segment.start for segment in package.manifest.segments}
    assert set(rungs[at:]) == {1}
    assert (stats.frames_sr, stats.late_plans, stats.wrong_assets) == (stats.frames, 0, 0)
    # What both rungs have comes once.
    sizes = package.manifest.size_of(0) | package.manifest.size_of(1)
    assert stats.plan_bytes <= sum(sizes.values())


def test_plans_of_the_new_rung_that_do_not_come_cost_quality_and_are_never_those_of_the_old(
    ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, out = open_package(ladder), tmp_path / "played.y4m"
    new = {sha for segment in package.manifest.rungs[1].segments for sha in segment.experts}
    get = Package.asset

    def withheld(self: Package, sha256: str) -> bytes:
        data = get(self, sha256)
        return b"?" * len(data) if sha256 in new else data

    monkeypatch.setattr(Package, "asset", withheld)
    stats = play(ladder, PlayOptions(out=out), lambda session, _: session.choose_rung(1))
    monkeypatch.undo()
    upscaler = Upscaler(package.manifest, 1)
    for sha256 in package.manifest.size_of(1):
        if sha256 not in new:
            upscaler.add_asset(sha256, package.asset(sha256))
    with av.open(str(package.video_path(1))) as container:
        plain = [
            b"".join(p.tobytes() for p in upscaler.upscale(number, planes_of(frame)).planes)
            for number, frame in enumerate(container.decode(video=0))
        ]
    rungs = rungs_of(played(out), [frames_of(package, 0), plain])
    assert rungs[-1] == 1
    assert stats.wrong_assets > 0
    assert stats.frames_sr == rungs.count(0)


def test_a_narrow_link_brings_the_smaller_rung_by_itself_and_a_choice_overrides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The receiver's reports say that a third of the packets are lost.
    path = write_ladder(tmp_path, segments=SEGMENTS * 8)
    receive = RTCDtlsTransport._handle_rtcp_data

    async def lossy(self: RTCDtlsTransport, data: bytes) -> None:
        if is_rtcp(data) and data[1] == RTCP_RR and data[0] & 31:
            data = data[:12] + bytes([85]) + data[13:]
        await receive(self, data)

    monkeypatch.setattr(RTCDtlsTransport, "_handle_rtcp_data", lossy)
    out = tmp_path / "played.y4m"
    play(path, PlayOptions(out=out), lambda session, _: None, Settings())
    package = open_package(path)
    found = [frames_of(package, 0), frames_of(package, 1)]
    rungs = rungs_of(played(out), found)
    assert (rungs[0], rungs[-1]) == (0, 1)
    play(path, PlayOptions(out=out), lambda session, _: session.choose_rung(0), Settings())
    assert set(rungs_of(played(out), found)) == {0}


class Bottleneck:
    """A link of so many b/s for media, whose queue is endless."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0
        self.longest = 0.0
        self.waiting = 0.0

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = RTCDtlsTransport._send_rtp

        async def shaped(transport: RTCDtlsTransport, data: bytes) -> None:
            if is_rtcp(data) and data[1] != RTCP_SR:
                return await send(transport, data)  # a receiver's
            loop = asyncio.get_running_loop()
            now = loop.time()
            self._free = max(self._free, now) + 8 * len(data) / self._rate
            self.waiting = self._free - now
            self.longest = max(self.longest, self.waiting)
            loop.call_at(self._free, lambda: asyncio.ensure_future(send(transport, data)))
            return None

        monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", shaped)


def test_over_a_link_that_is_too_narrow_the_stream_comes_to_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ladder(tmp_path, segments=SEGMENTS * 10, audio=False)
    manifest = open_package(path).manifest
    seconds = float(manifest.source.frames / manifest.source.rate)
    large = 8 * manifest.rungs[0].bytes / seconds
    link = Bottleneck(0.8 * large)
    link.patch(monkeypatch)
    watched: list[VideoTrack] = []

    def note(session: Session, viewer: Viewer) -> None:
        assert viewer._video is not None
        watched.append(viewer._video)

    out = tmp_path / "played.y4m"
    stats = play(path, PlayOptions(out=out), note, Settings())
    assert watched[0].rung == 1
    assert link.waiting < 0.1 < QUEUE < link.longest < 3
    found = [frames_of(open_package(path), rung) for rung in (0, 1)]
    rungs = rungs_of(played(out), found)
    assert len(rungs) == stats.frames == manifest.source.frames
    # The last word before a segment may come too late for the plans of its first frames.
    assert rungs.count(-1) == stats.frames_interpolated < len(rungs) / 6
    assert rungs.count(1) > len(rungs) / 2


def test_a_client_that_is_too_slow_gets_the_rung_with_the_cheaper_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_ladder(tmp_path, segments=SEGMENTS * 8)
    small = open_package(path).manifest.rungs[1]

    class Slow(CoreSession):
        def upscale(self, lr: Sequence[Plane], *, networks: bool = True, **which: Any) -> Result:
            if networks and lr[0].shape != (small.height, small.width):
                time.sleep(0.06)  # a frame lasts 0.04 s
            return super().upscale(lr, networks=networks, **which)

    monkeypatch.setattr("client_sdk.playback.Session", Slow)
    watched: list[VideoTrack] = []

    def note(session: Session, viewer: Viewer) -> None:
        assert viewer._video is not None
        watched.append(viewer._video)

    stats = play(path, PlayOptions(), note, Settings())
    assert watched[0].rung == 1
    assert stats.frames == sum(SEGMENTS) * 8
    # It interpolated meanwhile, and has networks again.
    assert 0 < stats.frames_interpolated < stats.frames / 2
    assert stats.last_interpolated_frame is not None
    assert stats.last_interpolated_frame < stats.frames - SEGMENTS[0]


def test_an_older_client_is_told_nothing_that_it_does_not_know(
    ladder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    obey = Session.said

    def listen(self: Session, text: str) -> None:
        said.append(text)
        obey(self, text)

    monkeypatch.setattr(Session, "said", listen)

    def choose(session: Session, _: Viewer) -> None:
        session.choose_rung(1)

    play(ladder, PlayOptions(), choose)
    assert any('"switch"' in text for text in said)
    said.clear()
    send = Connection.send
    greeted: list[str] = []

    def send_older(self: Connection, text: str) -> None:
        older = re.sub(r'"version":"[\d.]+"', '"version":"1.0"', text)
        if older != text:
            greeted.append(older)
        send(self, older)

    monkeypatch.setattr(Connection, "send", send_older)
    stats = play(ladder, PlayOptions(), choose)
    assert len(greeted) == 1
    assert not any('"switch"' in text for text in said)
    assert stats.frames == open_package(ladder).manifest.source.frames


def test_the_catalogues_page_tells_of_all_rungs(ladder: Path) -> None:
    async def run() -> str:
        async with serving(ladder) as served:
            return (await served.ask("GET", "/")).body.decode()

    assert re.search(r"2 rungs, \d+ to \d+ kb/s", asyncio.run(run()))


def test_a_rung_that_was_chosen_is_asked_for_again_on_a_new_connection(ladder: Path) -> None:
    async def run() -> int:
        async with serving(ladder, MANUAL) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions(threads=1, loop=True))
            playing = asyncio.create_task(session.run())

            async def chosen_by_another_than(first: Viewer | None) -> Viewer:
                while True:
                    for viewer in served.viewers._sessions.values():
                        video = viewer._video
                        if viewer is not first and video is not None and video.wanted_rung == 1:
                            return viewer
                    await asyncio.sleep(0.01)

            await session.first_frame.wait()
            session.choose_rung(1)
            first = await chosen_by_another_than(None)
            await first.close("lost")
            await chosen_by_another_than(first)
            session.stop()
            return (await playing).reconnects

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0,)], ids=["seek first", "rung first", "seek"])
def test_who_knows_frames_by_messages_only_knows_the_rung_that_a_seek_lands_in(
    ladder: Path, order: tuple[int, ...]
) -> None:
    package = open_package(ladder)
    target = SEGMENTS[0] + 5
    said: list[Message] = [Seek(frame=target), ChooseRung(rung=1)]

    async def run() -> tuple[list[object], int]:
        media, channel = PackageMedia.open(package), MemoryChannel()
        viewer = Viewer(media, AssetStore(0), MANUAL, lambda _: None, Metrics())
        viewer._add_tracks(audio=False)
        viewer._peer.emit("datachannel", channel)
        video = viewer._video
        assert video is not None

        def on_idr(rung: int, frame: int, ticks: int) -> None:
            viewer._conversation.anchor(ticks, rung, frame, ticks)

        video._on_idr = on_idr
        for message in (Hello(), Resume()):
            channel.hear(encode_message(message))
        while viewer._playhead.frame <= SEGMENTS[0]:
            await video.recv()  # the last is an IDR, whose anchor follows the seek
        channel.said.clear()
        for number in order:
            channel.hear(encode_message(said[number]))
        while viewer._playhead.frame <= target:
            await video.recv()
        await viewer.close()
        return channel.said, video.rung

    told, rung = asyncio.run(run())
    (sought,) = (message for message in told if isinstance(message, Sought))
    anchors = [message for message in told if isinstance(message, Anchor)]
    core = CoreSession(threads=1, plain=True)
    core.manifest(package.manifest_bytes)
    timed: list[Anchor | Sought] = [sought, *anchors]
    for one in timed:
        core.message(encode_message(one).encode())
    assert rung == (1 in order)
    facts = package.manifest.rungs[rung]
    half = np.zeros((facts.height // 2, facts.width // 2), np.uint8)
    lr = np.zeros((facts.height, facts.width), np.uint8), half, half
    for step in range(5):
        made = core.upscale(lr, rtp_time=int(sought.rtp_time + step * 90_000 // FPS))
        assert (made.frame, made.rung) == (target + step, rung)
    assert len(anchors) == 2 + (order == (0, 1))
