"""Storms of requests cost what a few cost, and the last one is obeyed; places are given back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket

from client_sdk.contract import Package
from client_sdk.contract.control import (
    Bye,
    Hello,
    Message,
    Pause,
    Resume,
    Seek,
    Sought,
    encode_message,
)
from server.asset_store import AssetStore
from server.feedback import Feedback
from server.joining import Joined
from server.media import PackageMedia
from server.metrics import Metrics
from server.playhead import ChannelClock
from server.settings import Settings
from server.viewer import Viewer
from tests.server.serving import serving
from tests.server.test_fuzz_control import MemoryChannel
from tests.server.test_http import SDP_HEADERS, offer


def test_what_is_joined_is_done_at_once_and_the_last_in_the_end() -> None:
    async def run() -> None:
        joined, done = Joined(0.2), asyncio.Queue[tuple[int, float]]()
        loop = asyncio.get_running_loop()

        def do(number: int) -> Callable[[], None]:
            return lambda: done.put_nowait((number, loop.time()))

        for number in range(50):
            joined.ask(do(number))
        first, second = await done.get(), await asyncio.wait_for(done.get(), 5)
        assert (first[0], second[0]) == (0, 49)
        assert second[1] - first[1] >= 0.19
        joined.ask(do(50))
        joined.close()
        joined.ask(lambda: None)
        await asyncio.sleep(0)
        assert done.empty()

    asyncio.run(run())


def converse(
    tiny: Package,
    talk: Callable[[Viewer, MemoryChannel], Awaitable[None]],
    limits: Settings,
    *,
    channel: bool = False,
) -> None:
    plays_for_ever = channel

    async def run() -> None:
        channel = MemoryChannel()
        now = asyncio.get_running_loop().time()
        clock = ChannelClock(tiny.manifest, now) if plays_for_ever else None
        media = PackageMedia.open(tiny, clock)
        viewer = Viewer(media, AssetStore(1 << 20), limits, lambda _: None, Metrics())
        viewer._add_tracks(audio=False)
        viewer._peer.emit("datachannel", channel)
        async with asyncio.timeout(20):
            await talk(viewer, channel)
        await viewer.close()
        media.close()

    asyncio.run(run())


def hear(channel: MemoryChannel, *messages: Message) -> None:
    for message in messages:
        channel.hear(encode_message(message))


def test_a_storm_of_seeks_jumps_twice_and_ends_where_the_last_said(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        hear(channel, Hello(), Resume())
        epoch, playhead = viewer._playhead.epoch, viewer._playhead
        hear(channel, *(Seek(frame=number % 30) for number in range(1000)), Seek(frame=31))
        assert playhead.epoch == epoch + 1
        await playhead.next_epoch(epoch + 1)
        assert (playhead.epoch, playhead.target) == (epoch + 2, 31)

    converse(tiny, talk, Settings(messages_per_minute=0))


@pytest.mark.parametrize("last", [Pause(), Resume()])
def test_a_storm_of_pauses_ends_as_the_last_said(tiny: Package, last: Pause | Resume) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        hear(channel, Hello(), Resume())
        epoch, playhead = viewer._playhead.epoch, viewer._playhead
        storm: list[Message] = [Pause(), Resume()] * 500
        hear(channel, *storm, Pause(), last)
        assert playhead.epoch == epoch
        assert playhead.running
        if isinstance(last, Pause):
            await playhead.change()
        hear(channel, Seek(frame=3))  # is not held back by pauses
        assert playhead.epoch == epoch + 1
        assert playhead.running == isinstance(last, Resume)

    converse(tiny, talk, Settings(messages_per_minute=0))


def test_who_pauses_and_goes_on_at_once_in_a_channel_is_told_where_it_is(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        conversation = viewer._conversation
        hear(channel, Hello(), Resume())
        conversation.anchor(5000, 0, 0, 0)  # the first picture is sent
        told = len(channel.said)
        hear(channel, Resume())
        hear(channel, Pause(), Resume())
        while len(channel.said) == told:
            await asyncio.sleep(0.01)
        (where,) = channel.said[told:]
        assert isinstance(where, Sought)
        assert (where.frame, where.rung) == (viewer._playhead.frame, 0)
        assert where.rtp_time >= 5000

    converse(tiny, talk, Settings(), channel=True)


def test_who_stays_paused_too_long_is_let_go_with_a_reason(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        hear(channel, Hello(), Pause())
        over = viewer._metrics.ended.labels("paused")._value
        while not over.get():
            await asyncio.sleep(0.01)
        bye = channel.said[-1]
        assert isinstance(bye, Bye)
        assert (bye.reason, bye.message) == ("error", "it was paused for longer than 0.2 s")

    converse(tiny, talk, Settings(pause_timeout=0.2))


def test_who_plays_on_in_time_may_stay(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        hear(channel, Hello(), Resume())
        for step in (viewer._conversation._pause, viewer._conversation.resume):
            step()
        loop = asyncio.get_running_loop()
        passed: asyncio.Future[None] = loop.create_future()
        loop.call_later(0.3, passed.set_result, None)
        await passed
        assert not viewer._closing

    converse(tiny, talk, Settings(pause_timeout=0.1))


def test_a_viewer_keeps_no_timer_that_has_run(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for _ in range(1000):
            viewer._after(0, lambda: None)
        viewer._after(0, lambda: done.set_result(None))
        await done
        assert not viewer._timers

    converse(tiny, talk, Settings())


def test_one_packet_of_feedback_asks_for_so_many_packets(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        sender: Any = viewer._sender
        asked: list[int] = []

        async def count(sequence: int) -> None:
            asked.append(sequence)

        sender._retransmit = count
        nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, sender._ssrc, list(range(5000)))
        await sender._handle_rtcp_packet(nack)
        assert asked == list(range(512))

    converse(tiny, talk, Settings())


def test_reports_beyond_any_receivers_rate_are_not_heeded(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        sender: Any = viewer._sender
        heard: list[float] = []
        feedback = Feedback(sender, lambda: heard.append(feedback.lost))
        report = RtcpReceiverInfo(sender._ssrc, 64, 0, 0, 0, 0, 0)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for _ in range(1000):
            await sender._handle_rtcp_packet(RtcpRrPacket(1, [report]))
        assert 1 <= len(heard) <= 1 + (loop.time() - begun) / 0.05
        assert heard[0] == 0.25
        assert len(heard) < 500

    converse(tiny, talk, Settings())


def test_one_address_has_so_many_places_and_others_have_theirs(tiny_path: Path) -> None:
    settings = Settings.model_validate(
        {"max_viewers_of_address": 2, "trusted_proxies": ["127.0.0.1"]}
    )

    async def run() -> None:
        async with serving(tiny_path, settings) as served:
            here = {**SDP_HEADERS, "X-Forwarded-For": "2001:db8::1"}
            beside = {**SDP_HEADERS, "X-Forwarded-For": "2001:db8::2"}
            there = {**SDP_HEADERS, "X-Forwarded-For": "192.0.2.2"}
            first = await served.ask("POST", "/whep/tiny", await offer(), here)
            assert first.status == 201
            assert (await served.ask("POST", "/whep/tiny", b"", here)).status == 400
            assert (await served.ask("POST", "/whep/tiny", await offer(), beside)).status == 201
            refused = await served.ask("POST", "/whep/tiny", await offer(), here)
            assert refused.status == 429
            assert b"2 places of one address" in refused.body
            assert int(refused.headers["Retry-After"]) > 0
            assert (await served.ask("POST", "/whep/tiny", await offer(), there)).status == 201
            await served.ask("DELETE", first.headers["Location"])
            assert (await served.ask("POST", "/whep/tiny", await offer(), beside)).status == 201
        assert not served.viewers._by_network

    asyncio.run(run())
