"""Asks again for packets that are still missing (RFC 4585, section 6.2.1: generic NACKs).

aiortc asks when it sees a gap, and again only at the next one. Where the question or the answer is
lost too, the frames behind the gap would wait for seconds.
"""

from __future__ import annotations

import asyncio
from typing import Any

EVERY = 0.08
"""Seconds between two questions: more than most round trips, less than a playout buffer."""


async def ask_again(receiver: Any) -> None:
    """Ask `receiver`'s sender (an RTCRtpReceiver's) again and again, until cancelled."""
    waited: set[int] = set()
    while True:
        await asyncio.sleep(EVERY)
        generator = getattr(receiver, "_RTCRtpReceiver__nack_generator", None)
        missing = set() if generator is None else set(generator.missing)
        still, waited = missing & waited, missing
        source = _source(receiver)
        if still and source is not None:
            try:
                await receiver._send_rtcp_nack(source, sorted(still))
            except ConnectionError:
                return


def _source(receiver: Any) -> int | None:
    """The SSRC of the video itself, not of what is sent again."""
    repaired = getattr(receiver, "_RTCRtpReceiver__rtx_ssrc", {})
    streams = getattr(receiver, "_RTCRtpReceiver__remote_streams", {})
    return next((ssrc for ssrc in streams if ssrc not in repaired), None)
