"""Bounds on what the other side may make SCTP keep and compute (RFC 9260, sections 6.2 and 6.9).

aiortc 1.16 keeps whatever comes: fragments of a message that never ends, messages behind a hole,
streams that nobody opened; and it looks through all of them at every chunk. It also takes every
word of an acknowledgement, which can name 65535 chunks in four bytes. What is kept is counted here
after each chunk, and who passes a bound is heard no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc.rtcsctptransport import RTCSctpTransport, SackChunk
from aiortc.utils import uint32_gt

_SLACK = 256  # chunks that were given up may be acknowledged too (RFC 3758)


@dataclass(frozen=True)
class Bounds:
    """What may wait until the rest of it comes, over all streams: fragments and their bytes."""

    fragments: int
    bytes: int
    streams: int = 64


def guard(transport: RTCSctpTransport, bounds: Bounds, on_breach: Callable[[str], None]) -> None:
    """Hold the other side of `transport` to `bounds`.

    `on_breach` is called once, with why; what was kept is given back, and what still comes is
    dropped.
    """
    receive, window = transport._receive_chunk, transport._advertised_rwnd
    broken = False

    async def guarded(chunk: Any) -> None:
        nonlocal broken
        if broken:
            return
        why = _lie(transport, chunk) if isinstance(chunk, SackChunk) else None
        if why is None:
            await receive(chunk)
            why = _excess(transport, bounds, window)
        if why is not None:
            broken = True
            transport._inbound_streams.clear()
            transport._sack_misordered.clear()
            on_breach(why)

    setattr(transport, "_receive_chunk", guarded)  # noqa: B010 - a method of the object's


def _lie(transport: RTCSctpTransport, sack: SackChunk) -> str | None:
    """What is wrong with an acknowledgement: that it tells of more than was sent."""
    told = sum(last - first + 1 for first, last in sack.gaps if last >= first)
    stale = uint32_gt(transport._last_sacked_tsn, sack.cumulative_tsn)  # passed over
    if stale or told <= len(transport._sent_queue) + _SLACK:
        return None
    return f"{told} chunks were acknowledged that were never sent"


def _excess(transport: RTCSctpTransport, bounds: Bounds, window: int) -> str | None:
    """Which bound is passed by what waits."""
    streams = transport._inbound_streams
    if len(streams) > bounds.streams:
        return f"more than {bounds.streams} streams were opened"
    fragments = sum(len(stream.reassembly) for stream in streams.values())
    if max(fragments, len(transport._sack_misordered)) > bounds.fragments:
        return f"more than {bounds.fragments} fragments of unfinished messages came"
    if window - transport._advertised_rwnd > bounds.bytes:
        return f"more than {bounds.bytes} bytes of unfinished messages came"
    return None
