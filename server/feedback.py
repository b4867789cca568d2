"""What receivers say of the video that they get: RTCP reports and estimates, as aiortc hears them.

Receiver reports: RFC 3550, section 6.4.1. REMB: draft-alvestrand-rmcat-remb-03.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

_LONGEST = 60  # seconds of a round trip; more is no figure
_EVERY = 0.05  # seconds between two reports; receivers send a few a second (RFC 3550, 6.2)
STALE = 4.0  # seconds after which an estimate says nothing any more


class Feedback:
    """Listens at a sender; `on_report` is called at each receiver report.

    `lost`: share of packets lost since the report before. `round_trip`: seconds, or None.
    """

    def __init__(self, sender: RTCRtpSender, on_report: Callable[[], None]) -> None:
        self._sender = sender
        self._on_report = on_report
        self._estimate: tuple[float, float] | None = None  # when, b/s
        self._heard_at = -_EVERY
        self.lost = 0.0
        self.round_trip: float | None = None
        # aiortc tells nobody of REMB, and of round trips a smoothed figure only.
        self._handle = sender._handle_rtcp_packet
        setattr(sender, "_handle_rtcp_packet", self._hear)  # noqa: B010 - a method of the object's

    @property
    def estimate(self) -> float | None:
        """b/s that the receiver thinks possible; None where it has not said lately."""
        if self._estimate is None or time.monotonic() - self._estimate[0] > STALE:
            return None
        return self._estimate[1]

    async def _hear(self, packet: Any) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            self._take_estimate(packet)
        reported = False
        now = time.monotonic()
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket) and now - self._heard_at >= _EVERY:
            for report in packet.reports:
                if report.ssrc == self._sender._ssrc:
                    self._take_report(report)
                    reported = True
        await self._handle(packet)
        if reported:
            self._heard_at = now
            self._on_report()

    def _take_estimate(self, packet: RtcpPsfbPacket) -> None:
        try:
            bitrate, ssrcs = unpack_remb_fci(packet.fci)
        except (ValueError, struct.error):  # a client may send anything
            return
        if self._sender._ssrc in ssrcs:
            self._estimate = (time.monotonic(), float(bitrate))

    def _take_report(self, report: Any) -> None:
        self.lost = report.fraction_lost / 256
        if report.lsr:
            # aiortc knows the last of its own reports only: a queue of a second would hide.
            ticks = ((current_ntp_time() >> 16) - report.lsr - report.dlsr) & 0xFFFF_FFFF
            if ticks < _LONGEST * 65536:
                self.round_trip = ticks / 65536
