"""One connection to a server: WHEP, the data channel, decoded frames. It never comes back itself.

    POST offer ─► 201 answer ─► Receiving ─┬─► data channel ─► said, brought
                                           └─► RTP, decoded ─► frame

Signalling: draft-ietf-wish-whep-03. Data channel: RFC 8831.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

import av

from client_sdk.contract.control import CHANNEL
from client_sdk.contract.sctp_guard import Bounds, guard
from client_sdk.receiving import Receiving
from client_sdk.whep import Answer, delete_session, post_offer
from kernels.errors import StreamError

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
        self._receiving = Receiving(self._on_frame, self._lose, self._on_breach)
        peer = self._receiving.peer
        self.channel = peer.createDataChannel(CHANNEL)
        assert peer.sctp is not None
        guard(peer.sctp, _UNFINISHED, self._on_breach)
        self.answer: Answer | None = None
        self.channel.on("open", self._on_open)
        self.channel.on("message", self._on_message)
        self.channel.on("close", lambda: self._lose("the data channel was closed"))

    async def open(self) -> None:
        """Offer and take the answer. Raises StreamError."""
        self.answer = await asyncio.to_thread(
            post_offer,
            self._url,
            await self._receiving.offer(),
            token=self._token,
            token_origins=self._token_origins,
        )
        try:
            await self._receiving.answered(self.answer.sdp)
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise StreamError(f"{self._url} gave an answer that is no SDP: {error}") from None

    def send(self, text: str) -> None:
        """Say something, where the channel is open."""
        if self.channel.readyState == "open":
            self.channel.send(text)

    def rtp_time_of(self, pts: int) -> int:
        """The RTP time, 32 bits, of a decoded frame with that time stamp."""
        return self._receiving.rtp_time_of(pts)

    def ignore(self) -> None:
        """Hear nothing of it any more."""
        self._listener = None

    async def close(self) -> None:
        """End the session; a server that is gone already is no error."""
        self.ignore()
        await self._receiving.close()
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

    def _on_frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        if self._listener is not None:
            self._listener.frame(frame)

    def _lose(self, why: str) -> None:
        if self._listener is not None:
            self._listener.lost(why)

    def _on_breach(self, why: str) -> None:
        if self._listener is not None:
            self._listener.broke(why)
