"""Packets out of coded units: what aiortc's sender does for each packet, done once where it can be.

    track.recv() ─► Coded: payloads that all viewers share, and when ─► header ─► SRTP ─► ICE

aiortc's `RTCRtpSender` still agrees on codecs, reads receiver reports and sends its own (RFC 3550,
section 6.4.1); its loop, its history and its retransmissions (RFC 4588) are replaced: it spends
most of its time on objects that a packet of a coded unit does not need.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import RtcpRtpfbPacket, RtpPacket

from client_sdk.contract.steady_clock import steady_time

log = logging.getLogger("crispcast.server")

HISTORY = 256
"""Packets that can be sent again. Their payloads are shared; at 450 kb/s these are four seconds."""
_MOST_ASKED = 512
"""Packets that one packet of feedback may ask for; 5000 would fit into it."""
_HEADER = struct.Struct("!BBHLL")
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_SEND_TIME = 0xA5C3E7  # stands for the send time in the template
_STATE = "_RTCRtpSender__"


class Coded(NamedTuple):
    """What a track hands over: RTP payloads of a coded unit, and its time in ticks of its clock."""

    payloads: Sequence[bytes]
    time: int


class PacketSender:
    """Takes the place of the loop of an `RTCRtpSender`, whose track must give `Coded`.

    A receiver may ask for lost packets again, but for no more than were sent: asking costs it
    little, and must not cost us much.
    """

    def __init__(self, sender: Any) -> None:
        self._sender = sender
        self._history: list[tuple[int, int, int, bytes, bytes] | None] = [None] * HISTORY
        self._may_repeat = HISTORY
        self._rtx_sequence = random_sequence_number()
        self._payload_type = 0
        self._template, self._timed = (0x80, b"", b""), False
        self._sender._run_rtp = self._run
        self._sender._retransmit = self._retransmit
        self._handle = sender._handle_rtcp_packet
        self._sender._handle_rtcp_packet = self._hear

    def _get(self, name: str) -> Any:
        return getattr(self._sender, _STATE + name)

    def _set(self, name: str, value: object) -> None:
        setattr(self._sender, _STATE + name, value)

    async def _run(self, codec: Any) -> None:
        self._get("rtp_started").set()
        track = self._sender.track
        try:
            self._template = self._make_template()
            self._payload_type = codec.payloadType
            await self._send_all(track, codec.payloadType)
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass
        except Exception:
            # Whatever it was: without rtp_exited, stopping would hang.
            log.exception("the sender of a viewer met a fault")
        track.stop()
        self._set("track", None)
        self._history.clear()
        self._get("rtp_exited").set()

    async def _send_all(self, track: Any, payload_type: int) -> None:
        sender, history = self._sender, self._history
        send = sender.transport._send_rtp  # SRTP and ICE; raises ConnectionError when they are gone
        sequence = random_sequence_number()
        origin = secrets.randbits(32)
        octets = packets = 0
        while True:
            payloads, ticks = await track.recv()
            if not sender._enabled:
                continue
            now = steady_time() + _NTP_EPOCH
            stamp = (origin + ticks) & 0xFFFF_FFFF
            first, extension = self._extension(now)
            last = len(payloads) - 1
            for index, payload in enumerate(payloads):
                kind = payload_type | 0x80 if index == last else payload_type
                history[sequence % HISTORY] = (sequence, kind & 0x80, stamp, extension, payload)
                header = _HEADER.pack(first, kind, sequence, stamp, sender._ssrc)
                await send(header + extension + payload)
                sequence = (sequence + 1) & 0xFFFF
                octets += len(payload)
            packets += len(payloads)
            self._may_repeat = min(HISTORY, self._may_repeat + len(payloads))
            # What sender reports tell; four assignments, since this is once a frame and viewer.
            sender._RTCRtpSender__ntp_timestamp = int(now * (1 << 32))
            sender._RTCRtpSender__rtp_timestamp = stamp
            sender._RTCRtpSender__octet_count = octets
            sender._RTCRtpSender__packet_count = packets

    async def _hear(self, packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket):
            del packet.lost[_MOST_ASKED:]
        await self._handle(packet)

    async def _retransmit(self, sequence: int) -> None:
        """Send a packet that was reported lost again (RFC 4588, section 4), where it is kept."""
        if not self._may_repeat or len(self._history) < HISTORY:
            return
        kept = self._history[sequence % HISTORY]
        if kept is None or kept[0] != sequence:
            return
        self._may_repeat -= 1
        _, marker, stamp, extension, payload = kept
        sender, kind = self._sender, self._get("rtx_payload_type")
        if kind is None:
            # Without RTX the packet goes just as it went: its number is its nonce (RFC 7714, 8.1),
            # which must not come with another header.
            kind, ssrc = self._payload_type, sender._ssrc
        else:
            payload = struct.pack("!H", sequence) + payload
            sequence, ssrc = self._rtx_sequence, sender._rtx_ssrc
            self._rtx_sequence = (sequence + 1) & 0xFFFF
            extension = self._extension(steady_time() + _NTP_EPOCH)[1]
        header = _HEADER.pack(self._template[0], marker | kind, sequence, stamp, ssrc)
        await sender.transport._send_rtp(header + extension + payload)

    def _make_template(self) -> tuple[int, bytes, bytes]:
        """A header's first byte, and its extensions before and after the send time."""
        packet = RtpPacket()
        packet.extensions.mid = self._get("mid")
        packet.extensions.abs_send_time = _SEND_TIME
        made = packet.serialize(self._get("rtp_header_extensions_map"))
        before, mark, after = made[_HEADER.size :].partition(_SEND_TIME.to_bytes(3))
        # Where the receiver does not want send times, all of it stands before.
        self._timed = bool(mark)
        return made[0], before, after

    def _extension(self, now: float) -> tuple[int, bytes]:
        """A header's first byte and its extensions; send time by RFC 5285's abs-send-time."""
        first, before, after = self._template
        if not self._timed:
            return first, before
        return first, before + (int(now * (1 << 18)) & 0xFF_FFFF).to_bytes(3) + after
