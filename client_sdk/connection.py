"""One connection to a server: WHEP, the data channel, decoded frames. It never comes back itself.

    POST offer ─► 201 answer ─► ICE, DTLS ─┬─► data channel ─► said, brought
                                           └─► RTP, decoded ─► frame

Signalling: draft-ietf-wish-whep-03. Data channel: RFC 8831. Video: RFC 6184, AV1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, Protocol

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from client_sdk.contract import av1_codec, steady_clock
from client_sdk.contract.control import CHANNEL, Message, encode_message
from client_sdk.contract.sctp_guard import Bounds, guard
from client_sdk.flood import until_flooded
from client_sdk.lost_packets import ask_again
from client_sdk.whep import Answer, delete_session, post_offer
from kernels.errors import StreamError

_CODECS = (av1_codec.MIME_TYPE, "video/H264", "video/rtx")
# Pieces of assets behind a lost one. We say that we can take 1 MiB (RFC 9260, section 6.2), but
# aiortc's sender does not listen, and on a fast and far path more may be under way.
_UNFINISHED = Bounds(fragments=2048, bytes=2 << 20)


class Listener(Protocol):
    """Who hears of a connection; always in the event loop."""

    def opened(self) -> None:
        """The data channel can be spoken on."""

    def said(self, text: str) -> None:
        """A control message came."""

    def brought(self, data: bytes) -> None:
        """A piece of an asset came."""

    def frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """A frame was decoded."""

    def lost(self, why: str) -> None:
        """The connection is over, and nobody asked for that."""

    def broke(self, why: str) -> None:
        """The server did what no server may; there is no coming back to it."""


class Connection:
    """`open` it once, then `close`. Nothing is heard of it after that."""

    def __init__(
        self, url: str, token: str | None, token_origins: Collection[str], listener: Listener
    ) -> None:
        self._url = url
        self._token = token
        self._token_origins = token_origins
        self._listener: Listener | None = listener
        av1_codec.register()
        steady_clock.install()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self._peer.createDataChannel(CHANNEL)
        assert self._peer.sctp is not None
        guard(self._peer.sctp, _UNFINISHED, self._on_breach)
        self.answer: Answer | None = None
        self._receiver: RTCRtpReceiver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.channel.on("open", self._on_open)
        self.channel.on("message", self._on_message)
        self.channel.on("close", lambda: self._lose("the data channel was closed"))
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_connection_state)

    async def open(self) -> None:
        """Offer and take the answer. Raises StreamError."""
        peer = self._peer
        video = peer.addTransceiver("video", direction="recvonly")
        capabilities = RTCRtpReceiver.getCapabilities("video")
        assert capabilities is not None
        video.setCodecPreferences([c for c in capabilities.codecs if c.mimeType in _CODECS])
        self._receiver = video.receiver
        self._spawn(ask_again(video.receiver))
        audio = peer.addTransceiver("audio", direction="recvonly")
        for transceiver in (video, audio):
            self._spawn(self._watch(transceiver.receiver))
        await peer.setLocalDescription(await peer.createOffer())
        self.answer = await asyncio.to_thread(
            post_offer,
            self._url,
            peer.localDescription.sdp,
            token=self._token,
            token_origins=self._token_origins,
        )
        try:
            await peer.setRemoteDescription(RTCSessionDescription(self.answer.sdp, "answer"))
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise StreamError(f"{self._url} gave an answer that is no SDP: {error}") from None

    def send(self, message: Message) -> None:
        """Say something, where the channel is open."""
        if self.channel.readyState == "open":
            self.channel.send(encode_message(message))

    def pts_of(self, rtp_time: int) -> int | None:
        """The time stamp that decoded frames of that RTP time have; None before the first."""
        # aiortc counts time stamps from the first one, which it keeps to itself, and on through
        # each 2^32 ticks (13 hours): of all times that RTP's may be, the nearest to the last.
        mapper = getattr(self._receiver, "_RTCRtpReceiver__timestamp_mapper", None)
        origin, last = getattr(mapper, "_origin", None), getattr(mapper, "_last", None)
        if not isinstance(origin, int) or not isinstance(last, int):
            return None
        ahead = (rtp_time - last + (1 << 31)) % (1 << 32) - (1 << 31)
        return last + ahead - origin

    async def close(self) -> None:
        """End the session; a server that is gone already is no error."""
        self._listener = None
        for task in self._tasks:
            task.cancel()
        await self._peer.close()
        if self.answer is not None:
            await asyncio.to_thread(delete_session, self.answer.session)

    def _on_open(self) -> None:
        if self._listener is not None:
            self._listener.opened()

    def _on_message(self, data: str | bytes) -> None:
        if self._listener is None:
            return
        if isinstance(data, bytes):
            self._listener.brought(data)
        else:
            self._listener.said(data)

    def _on_connection_state(self) -> None:
        state = self._peer.connectionState
        if state in ("failed", "closed"):
            self._lose(f"the connection {state}")

    def _lose(self, why: str) -> None:
        if self._listener is not None:
            self._listener.lost(why)

    def _on_breach(self, why: str) -> None:
        if self._listener is not None:
            self._listener.broke(why)

    async def _watch(self, receiver: RTCRtpReceiver) -> None:
        self._on_breach(await until_flooded(receiver))

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._spawn(self._receive(track))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if self._listener is not None and isinstance(frame, av.VideoFrame | av.AudioFrame):
                self._listener.frame(frame)
