"""Packets as aiortc's own sender makes them, their payloads shared, and lost ones sent again."""

from __future__ import annotations

import asyncio
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, is_rtcp

from client_sdk.contract import open_package
from server.rtp_sender import HISTORY, Coded, PacketSender
from server.rung_video import HeldPayloads, RungVideo

VIDEO, RTX = 102, 103
UNITS = [Coded((b"a" * 1200, b"b" * 900), 0), Coded((b"c",), 3000)]


class Wire:
    """A DTLS transport that keeps the packets it is given."""

    state = "connected"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def _register_rtp_sender(self, sender: object, parameters: object) -> None: ...

    def _unregister_rtp_sender(self, sender: object) -> None: ...

    async def _send_rtp(self, data: bytes) -> None:
        if not is_rtcp(data):
            self.sent.append(data)


class Units(MediaStreamTrack):
    kind = "video"

    def __init__(self, units: list[Coded]) -> None:
        super().__init__()
        self._units = list(units)
        self.given = asyncio.Event()

    async def recv(self) -> Coded:  # type: ignore[override]
        if not self._units:
            self.given.set()
            await asyncio.Event().wait()
        return self._units.pop(0)


def parameters(*, rtx: bool = True, extensions: bool = True) -> RTCRtpSendParameters:
    codecs = [RTCRtpCodecParameters("video/H264", 90_000, payloadType=VIDEO)]
    if rtx:
        apt: dict[str, int | str | None] = {"apt": VIDEO}
        codecs.append(RTCRtpCodecParameters("video/rtx", 90_000, None, RTX, parameters=apt))
    known = [
        RTCRtpHeaderExtensionParameters(id=3, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
        RTCRtpHeaderExtensionParameters(
            id=4, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
        ),
    ]
    return RTCRtpSendParameters(
        codecs=codecs,
        headerExtensions=known if extensions else [],
        muxId="0",
        rtcp=RTCRtcpParameters(cname="x"),
    )


async def sending(units: list[Coded], agreed: RTCRtpSendParameters) -> tuple[RTCRtpSender, Wire]:
    wire: Any = Wire()
    track = Units(units)
    sender = RTCRtpSender(track, wire)
    PacketSender(sender)
    await sender.send(agreed)
    await asyncio.wait_for(track.given.wait(), 5)
    return sender, wire


def parsed(wire: Wire, agreed: RTCRtpSendParameters) -> list[RtpPacket]:
    extensions = HeaderExtensionsMap()
    extensions.configure(agreed)
    return [RtpPacket.parse(data, extensions) for data in wire.sent]


def test_packets_are_numbered_timed_and_marked() -> None:
    async def run() -> None:
        agreed = parameters()
        sender, wire = await sending(UNITS, agreed)
        packets = parsed(wire, agreed)
        assert [packet.payload for packet in packets] == [b"a" * 1200, b"b" * 900, b"c"]
        assert [packet.marker for packet in packets] == [0, 1, 1]
        first = packets[0]
        for number, packet in enumerate(packets):
            assert packet.sequence_number == (first.sequence_number + number) & 0xFFFF
            assert (packet.payload_type, packet.ssrc) == (VIDEO, sender._ssrc)
            assert packet.extensions.mid == "0"
            # 24 bits, 18 of them of a second: the NTP second's low six bits stand before.
            assert packet.extensions.abs_send_time is not None
            sent = packet.extensions.abs_send_time / (1 << 18)
            now = (time.time() + 2_208_988_800) % 64
            assert (now - sent) % 64 < 5
        assert packets[1].timestamp == first.timestamp
        assert (packets[2].timestamp - first.timestamp) & 0xFFFF_FFFF == 3000
        await sender.stop()

    asyncio.run(run())


def test_what_was_not_agreed_on_is_left_out() -> None:
    async def run() -> None:
        agreed = parameters(extensions=False)
        sender, wire = await sending(UNITS, agreed)
        assert [len(data) for data in wire.sent] == [1212, 912, 13]
        await sender.stop()

    asyncio.run(run())


@pytest.mark.parametrize("rtx", [True, False])
def test_a_lost_packet_is_sent_again(rtx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        agreed = parameters(rtx=rtx)
        sender, wire = await sending(UNITS, agreed)
        packets = parsed(wire, agreed)
        lost = packets[1]
        now = time.time()
        monkeypatch.setattr("server.rtp_sender.steady_time", lambda: now + 1)  # another send time
        for number in (lost.sequence_number, (lost.sequence_number + 1000) & 0xFFFF):
            await sender._retransmit(number)
        (again,) = parsed(wire, agreed)[len(packets) :]
        assert (again.timestamp, again.marker) == (lost.timestamp, lost.marker)
        if rtx:  # RFC 4588, section 4
            assert (again.payload_type, again.ssrc) == (RTX, sender._rtx_ssrc)
            assert again.payload == struct.pack("!H", lost.sequence_number) + lost.payload
        else:
            # To the byte: a number is a nonce, and two headers for one would give a key away.
            assert wire.sent[-1] == wire.sent[1]
        await sender.stop()

    asyncio.run(run())


def test_who_asks_for_more_again_than_was_sent_does_not_get_it() -> None:
    async def run() -> None:
        agreed = parameters()
        sender, wire = await sending(UNITS, agreed)
        packets = parsed(wire, agreed)
        for _ in range(10 * HISTORY):
            await sender._retransmit(packets[0].sequence_number)
        assert len(wire.sent) - len(packets) == HISTORY
        await sender.stop()

    asyncio.run(run())


def test_a_connection_that_is_gone_ends_the_sender_in_peace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def gone(data: bytes) -> None:
        raise ConnectionError

    async def run() -> None:
        wire: Any = Wire()
        wire._send_rtp = gone
        track = Units(UNITS)
        sender: Any = RTCRtpSender(track, wire)
        PacketSender(sender)
        await sender.send(parameters())
        await asyncio.wait_for(sender._RTCRtpSender__rtp_exited.wait(), 5)
        assert track.readyState == "ended"
        await asyncio.wait_for(sender.stop(), 5)

    asyncio.run(run())
    assert caplog.text == ""


def test_payloads_are_made_once_and_memory_is_bounded(either_path: Path) -> None:
    package = open_package(either_path)
    video = RungVideo(package, 0)
    first = video.payloads(0, False)
    assert video.payloads(0, False) is first
    assert video.payloads(0, True) is first  # a key frame has its identity anyway
    assert video.payloads(1, True) != video.payloads(1, False)
    video.close()
    most = sum(map(len, first))
    held = HeldPayloads(most)
    video = RungVideo(package, 0, held)
    before = video.payloads(0, False)
    for number in range(2, 12):
        video.payloads(number, False)
        assert 0 < held.bytes <= most
    again = video.payloads(0, False)
    assert again == before
    assert again is not before
    video.close()
