"""A peer connection that video and sound come over, decoded, whoever sends them.

    offered, or a server's own offer answered ─► ICE, DTLS ─► RTP ─► decoder ─► frame

Video: RFC 6184, AV1. Lost packets: `client_sdk.lost_packets`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import av
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from client_sdk.contract import av1_codec, sei, steady_clock
from client_sdk.flood import until_flooded
from client_sdk.lost_packets import ask_again
from client_sdk.picture import user_data_of
from client_sdk.whep import IceServer

# Who joins a stream between two key frames cannot decode what leads to the second one, and that is
# no news; what is lost is counted where it is missed.
logging.getLogger("aiortc.rtcrtpreceiver").setLevel(logging.ERROR)

_CODECS = (av1_codec.MIME_TYPE, "video/H264", "video/rtx")


class Receiving:
    """Made, then offered or answered, then closed. `frame` hears of what was decoded, `lost` of
    the end, `broke` of what no sender may do; none after `close`.
    """

    def __init__(
        self,
        frame: Callable[[av.VideoFrame | av.AudioFrame], None],
        lost: Callable[[str], None],
        broke: Callable[[str], None],
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        av1_codec.register()
        steady_clock.install()
        servers = [RTCIceServer(s.url, s.username, s.credential) for s in ice_servers]
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._frame = frame
        self._lost = lost
        self._broke = broke
        self._closed = False
        self._receiver: RTCRtpReceiver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.peer.on("track", self._on_track)
        self.peer.on("connectionstatechange", self._on_connection_state)

    async def offer(self) -> str:
        """The SDP of an offer to receive, with all candidates."""
        video = self.peer.addTransceiver("video", direction="recvonly")
        capabilities = RTCRtpReceiver.getCapabilities("video")
        assert capabilities is not None
        video.setCodecPreferences([c for c in capabilities.codecs if c.mimeType in _CODECS])
        self.peer.addTransceiver("audio", direction="recvonly")
        await self.peer.setLocalDescription(await self.peer.createOffer())
        sdp: str = self.peer.localDescription.sdp
        return sdp

    async def answered(self, sdp: str) -> None:
        """Take the answer. aiortc raises whatever its parser trips over."""
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def answer(self, offer: str) -> str:
        """The SDP of an answer to a server's own offer; raises like `answered`."""
        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        sdp: str = self.peer.localDescription.sdp
        return sdp

    def rtp_time_of(self, pts: int) -> int:
        """The RTP time, 32 bits, of a decoded frame with that time stamp."""
        # aiortc counts time stamps from the first one, which it keeps to itself, and on through
        # each 2^32 ticks (13 hours). Without it SEI still say which frame is which.
        mapper = getattr(self._receiver, "_RTCRtpReceiver__timestamp_mapper", None)
        origin = getattr(mapper, "_origin", None)
        return (pts + (origin if isinstance(origin, int) else 0)) % (1 << 32)

    async def close(self) -> None:
        """Receive nothing more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await self.peer.close()

    def _on_connection_state(self) -> None:
        state = self.peer.connectionState
        if state in ("failed", "closed") and not self._closed:
            self._lost(f"the connection {state}")

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(r for r in self.peer.getReceivers() if r.track is track)
        if track.kind == "video":
            self._receiver = receiver
            self._spawn(ask_again(receiver))
        self._spawn(self._watch(receiver))
        self._spawn(self._receive(track))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, receiver: RTCRtpReceiver) -> None:
        why = await until_flooded(receiver)
        if not self._closed:
            self._broke(why)

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if not self._closed and isinstance(frame, av.VideoFrame | av.AudioFrame):
                self._frame(frame)


def identity_of(frame: av.VideoFrame) -> sei.FrameIdentity | None:
    """Which frame this is, if it says so."""
    identities = map(sei.parse_payload, user_data_of(frame))
    return next((identity for identity in identities if identity is not None), None)
