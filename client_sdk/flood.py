"""What a server may make aiortc's receiver keep: coded frames that wait, and sources of packets.

aiortc 1.16 puts every whole frame into a queue for its decoder, which may be slower than the
network, and remembers every source (SSRC) that a packet names, of which there are 2^32.
"""

from __future__ import annotations

import asyncio
from typing import Any

EVERY = 0.1
"""Seconds between two looks; what comes meanwhile is what the network brings."""
MOST_WAITING = 512
"""Coded frames, each of which is of 128 packets at most: 100 MB."""
MOST_SOURCES = 64
_STATE = "_RTCRtpReceiver__"


async def until_flooded(receiver: Any) -> str:
    """Look at `receiver` (an RTCRtpReceiver) until it keeps too much; what of."""
    while True:
        why = excess(receiver)
        if why is not None:
            return why
        await asyncio.sleep(EVERY)


def excess(receiver: Any) -> str | None:
    """Which bound is passed by what the receiver keeps."""
    if len(getattr(receiver, _STATE + "remote_streams", ())) > MOST_SOURCES:
        return f"packets of more than {MOST_SOURCES} sources came"
    waiting = getattr(receiver, _STATE + "decoder_queue", None)
    if waiting is not None and waiting.qsize() > MOST_WAITING:
        return f"more than {MOST_WAITING} frames wait to be decoded"
    return None
