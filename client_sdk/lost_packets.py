"""What a receiver does about packets that are lost: ask again, and in the end go on without them.

aiortc asks when it sees a gap, and again only at the next one (RFC 4585, section 6.2.1: generic
NACKs). Where the question or the answer is lost too, the frames behind the gap would wait until its
buffer is full, 128 packets later: seconds at a low rate. And its buffer gives out one frame for
each packet that comes, so that what has waited once, waits for ever where a frame is a packet.
"""

from __future__ import annotations

import asyncio
from typing import Any

EVERY = 0.08
"""Seconds between two questions: more than most round trips, less than a playout buffer."""
PATIENCE = 1.0
"""Seconds after which a packet is not waited for any more."""
_STATE = "_RTCRtpReceiver__"


async def ask_again(receiver: Any) -> None:
    """Look after `receiver` (an RTCRtpReceiver) until cancelled or its connection is gone."""
    waited: set[int] = set()
    hole, rounds = None, 0
    while True:
        await asyncio.sleep(EVERY)
        generator = getattr(receiver, _STATE + "nack_generator", None)
        missing = set() if generator is None else set(generator.missing)
        still, waited = missing & waited, missing
        source = _source(receiver)
        if still and source is not None:
            try:
                await receiver._send_rtcp_nack(source, sorted(still))
            except ConnectionError:
                return
        buffer = getattr(receiver, _STATE + "jitter_buffer", None)
        if buffer is None:
            continue
        first = _first_missing(buffer)
        rounds = rounds + 1 if first is not None and first == hole else 0
        hole = first
        if hole is not None and rounds * EVERY >= PATIENCE:
            _go_on_without(buffer, hole)
            if generator is not None:
                generator.missing -= {n for n in generator.missing if _before(n, buffer._origin)}
        _give_out(receiver, buffer)


def _first_missing(buffer: Any) -> int | None:
    """The first packet that others wait for; None where none do."""
    if buffer._origin is None:
        return None
    missing = None
    for sequence in _held_range(buffer):
        if buffer._packets[sequence % buffer.capacity] is None:
            missing = sequence if missing is None else missing
        elif missing is not None:
            return missing
    return None


def _go_on_without(buffer: Any, missing: int) -> None:
    """Drop a packet that never came, and the frames that it may have been of."""
    behind, torn = False, None  # the hole; the time of the frame that it may have torn
    for sequence in _held_range(buffer):
        packet = buffer._packets[sequence % buffer.capacity]
        behind = behind or sequence == missing
        if packet is not None and behind:
            torn = packet.timestamp if torn is None else torn
            if packet.timestamp != torn:
                return
        buffer.remove(1)


def _give_out(receiver: Any, buffer: Any) -> None:
    """Decode the frames that are whole and have waited for no packet of their own."""
    if buffer._origin is None or not getattr(receiver, _STATE + "decoder_thread", None):
        return
    while (first := buffer._packets[buffer._origin % buffer.capacity]) is not None:
        frame = buffer._remove_frame(buffer._origin)
        if frame is None:
            return
        codec = getattr(receiver, _STATE + "codecs")[first.payload_type]
        frame.timestamp = getattr(receiver, _STATE + "timestamp_mapper").map(frame.timestamp)
        getattr(receiver, _STATE + "decoder_queue").put((codec, frame))


def _held_range(buffer: Any) -> list[int]:
    """The sequence numbers that the buffer has room for."""
    return [(buffer._origin + n) & 0xFFFF for n in range(buffer.capacity)]


def _before(sequence: int, origin: int) -> bool:
    return (sequence - origin) & 0xFFFF >= 0x8000


def _source(receiver: Any) -> int | None:
    """The SSRC of the video itself, not of what is sent again."""
    repaired = getattr(receiver, _STATE + "rtx_ssrc", {})
    streams = getattr(receiver, _STATE + "remote_streams", {})
    return next((ssrc for ssrc in streams if ssrc not in repaired), None)
