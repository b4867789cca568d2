"""A packet whose first copy was lost again is asked for again, and only while it is missing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

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

    async def gone(source: int, lost: list[int]) -> None:
        raise ConnectionError

    async def run() -> None:
        receiver = Receiver()
        receiver._send_rtcp_nack = gone  # type: ignore[method-assign]
        await asyncio.wait_for(lost_packets.ask_again(receiver), 5)

    asyncio.run(run())
