"""A packet whose first copy was lost again is asked for again, and only while it is missing."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket

from client_sdk import lost_packets

VIDEO, REPAIR = 11, 22


class Receiver:
    """What is used of aiortc's RTCRtpReceiver."""

    def __init__(self) -> None:
        self._RTCRtpReceiver__nack_generator = SimpleNamespace(missing={7})
        self._RTCRtpReceiver__remote_streams = {REPAIR: None, VIDEO: None}
        self._RTCRtpReceiver__rtx_ssrc = {REPAIR: VIDEO}
        self.asked: asyncio.Queue = asyncio.Queue()

    async def _send_rtcp_nack(self, source: int, lost: list[int]) -> None:
        self.asked.put_nowait((source, lost))


def test_what_is_still_missing_is_asked_for_until_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_packets, "EVERY", 0.01)

    async def run() -> None:
        receiver = Receiver()
        task = asyncio.create_task(lost_packets.ask_again(receiver))
        for _ in range(2):
            assert await asyncio.wait_for(receiver.asked.get(), 5) == (VIDEO, [7])
        missing = receiver._RTCRtpReceiver__nack_generator.missing
        missing.clear()
        missing.add(9)
        while (asked := await asyncio.wait_for(receiver.asked.get(), 5)) == (VIDEO, [7]):
            pass
        assert asked == (VIDEO, [9])
        task.cancel()

    asyncio.run(run())


def test_a_connection_that_is_gone_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_packets, "EVERY", 0.01)

    asked: list[int] = []

    async def gone(source: int, lost: list[int]) -> None:
        asked.extend(lost)
        raise ConnectionError

    async def run() -> None:
        receiver = Receiver()
        receiver._send_rtcp_nack = gone  # type: ignore[method-assign]
        await asyncio.wait_for(lost_packets.ask_again(receiver), 5)

    asyncio.run(run())
    assert asked == [7]


class Buffered(Receiver):
    """The same with aiortc's own jitter buffer, as it handles packets: one a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = JitterBuffer(capacity=128, is_video=True)
        self._RTCRtpReceiver__jitter_buffer = self.buffer
        self._RTCRtpReceiver__decoder_thread = True
        self._RTCRtpReceiver__decoder_queue: queue.Queue = queue.Queue()
        self._RTCRtpReceiver__codecs = {96: "a codec"}
        self._RTCRtpReceiver__timestamp_mapper = TimestampMapper()
        self._RTCRtpReceiver__nack_generator.missing.clear()

    def came(self, sequence: int, timestamp: int | None = None) -> None:
        time = sequence * 3000 if timestamp is None else timestamp
        packet: Any = RtpPacket(payload_type=96, sequence_number=sequence & 0xFFFF, timestamp=time)
        packet._data = b"%d" % sequence
        _, frame = self.buffer.add(packet)
        if frame is not None:
            frame.timestamp = self._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
            self._RTCRtpReceiver__decoder_queue.put(("a codec", frame))

    def decoded(self) -> list[bytes]:
        given = []
        while not self._RTCRtpReceiver__decoder_queue.empty():
            codec, frame = self._RTCRtpReceiver__decoder_queue.get()
            assert codec == "a codec"
            given.append(frame.data)
        return given


async def rounds(receiver: Buffered, seconds: float) -> None:
    """Let it be looked after for so long."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(lost_packets.ask_again(receiver), seconds)


def test_what_waited_behind_a_packet_that_came_late_is_given_out_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lost_packets, "EVERY", 0.01)

    async def run() -> None:
        receiver = Buffered()
        for sequence in (0, 1, *range(3, 20)):
            receiver.came(sequence)
        await rounds(receiver, 0.05)
        assert receiver.decoded() == [b"0"]  # the next may have packets still to come
        receiver.came(2)
        await rounds(receiver, 0.05)
        assert receiver.decoded() == [b"%d" % n for n in range(1, 19)]

    asyncio.run(run())


def test_a_packet_that_never_comes_is_not_waited_for_until_the_buffer_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lost_packets, "EVERY", 0.01)
    monkeypatch.setattr(lost_packets, "PATIENCE", 0.05)

    async def run() -> None:
        receiver = Buffered()
        begin = 65_530  # numbers wrap
        missing = receiver._RTCRtpReceiver__nack_generator.missing
        for sequence in range(begin, begin + 20):
            if sequence != begin + 4:
                # A frame of two packets, one of them lost; all others are of one.
                receiver.came(sequence, 3000 * (sequence - (sequence == begin + 5)))
        missing |= {(begin + 4) & 0xFFFF, (begin + 60) & 0xFFFF}
        await rounds(receiver, 0.3)
        # Of the frame before the gap, too, nobody knows whether it was whole.
        told = [b"%d" % n for n in (*range(begin, begin + 3), *range(begin + 6, begin + 19))]
        assert receiver.decoded() == told
        assert receiver._RTCRtpReceiver__nack_generator.missing == {(begin + 60) & 0xFFFF}

    asyncio.run(run())
