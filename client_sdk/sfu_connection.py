"""A connection whose media comes from an SFU and everything else from an origin, by HTTP.

    SFU     ── WHEP, RTP ──────────► frames, which name themselves (docs/frame-identity.md)
    origin  ── GET manifest, assets ─► what a server would say and bring over its data channel

To its listener it looks as `client_sdk.connection` does to a channel of a server: joined where it
is, without seeking. Where frames cannot be told from each other a sentence says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import av

from client_sdk.connection import Listener
from client_sdk.contract import sei
from client_sdk.contract.asset_frames import AssetFrame, encode_frame, frames_of
from client_sdk.contract.control import (
    ChooseRung,
    ManifestHead,
    Pause,
    Refused,
    Resume,
    Seek,
    Sought,
    Want,
    decode_client_message,
    encode_message,
)
from client_sdk.origin import Described, Origin, OriginAssets
from client_sdk.receiving import Receiving, identity_of
from client_sdk.whep import (
    Answer,
    IceServer,
    Refusal,
    ask_ice_servers,
    bearer_for,
    delete_session,
    post_offer,
    send_answer,
)
from kernels.errors import StreamError

NAMED = 2.5
"""Seconds in which a stream names a frame, as each segment does, and by that its rung."""
UNNAMED = 10.0
"""Seconds after which frames without any name have been made by somebody else."""
_NOT_YET = frozenset({404, 409})
"""What SFUs answer while nobody publishes."""


class SfuConnection:
    """`open` it once, then `close`. Nothing is heard of it after that.

    `media`: the SFU's WHEP endpoint, `token` what it wants. `origin`: where the package is.
    """

    def __init__(self, media: str, token: str | None, origin: Origin, listener: Listener) -> None:
        self._media, self._token, self._origin = media, token, origin
        self._listener: Listener | None = listener
        self._receiving: Receiving | None = None
        self._assets: OriginAssets | None = None
        self._described: Described | None = None
        self._session: Answer | None = None
        self._announced = self._paused = self._told = False
        self._joins = True  # a listener that waits to hear where the channel is
        self._unknown_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.answer: Answer | None = None

    async def open(self) -> None:
        """Get the manifest, offer and take the answer. Raises StreamError, PackageError."""
        self._described = await self._origin.describe()
        self._assets = OriginAssets(self._origin, self._described.manifest, self._bring)
        servers = await asyncio.to_thread(ask_ice_servers, self._media, self._token)
        receiving = self._receive(servers)
        offer = await receiving.offer()
        try:
            session = self._session = await asyncio.to_thread(
                post_offer, self._media, offer, token=self._token, counter_offers=True
            )
        except Refusal as refusal:
            if refusal.status in _NOT_YET:
                raise StreamError(f"{refusal}; is anything published there?") from None
            raise
        try:
            if session.counter:
                await receiving.close()
                receiving = self._receive([*servers, *session.ice_servers])
                mine = await receiving.answer(session.sdp)
                assert session.session is not None  # else it is refused
                await asyncio.to_thread(send_answer, session.session, mine, self._session_token)
            else:
                await receiving.answered(session.sdp)
        except StreamError:
            raise
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise StreamError(f"{self._media} gave an SDP that cannot be used: {error}") from None
        # Whoever asks for what is beside the endpoint that answered, means the origin.
        self.answer = replace(session, endpoint=self._origin.package)
        if self._listener is not None:
            self._timer = asyncio.get_running_loop().call_later(NAMED, self._announce)
            self._listener.opened()

    @property
    def _session_token(self) -> str | None:
        assert self._session is not None
        return bearer_for(self._session.session, self._media, self._token)

    def _receive(self, servers: list[IceServer]) -> Receiving:
        self._receiving = Receiving(self._on_frame, self._lose, self._on_breach, servers)
        return self._receiving

    def send(self, text: str) -> None:
        """Do what a server would; what only a server can, is refused."""
        message = decode_client_message(text)
        if isinstance(message, Want) and self._assets is not None:
            self._assets.want(message)
        elif isinstance(message, Pause):
            self._paused = True
        elif isinstance(message, Resume):
            self._joins = self._joins or self._paused
            self._paused = False
        elif isinstance(message, Seek):
            self._refuse("seek", "the media comes from an SFU: all see the same moment of it")
        elif isinstance(message, ChooseRung) and message.rung is not None:
            self._refuse("rung", "the media comes from an SFU, which has one rung")

    def rtp_time_of(self, pts: int) -> int:
        """The RTP time, 32 bits, of a decoded frame with that time stamp."""
        return pts % (1 << 32) if self._receiving is None else self._receiving.rtp_time_of(pts)

    def ignore(self) -> None:
        """Hear nothing of it any more."""
        self._listener = None

    async def close(self) -> None:
        """End the session; an SFU that is gone already is no error."""
        self.ignore()
        if self._timer is not None:
            self._timer.cancel()
        if self._assets is not None:
            self._assets.close()
        if self._receiving is not None:
            await self._receiving.close()
        if self._session is not None:
            await asyncio.to_thread(delete_session, self._session.session, self._session_token)

    def _on_frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        if self._listener is None or self._paused:
            return
        if isinstance(frame, av.VideoFrame):
            self._look_at(identity_of(frame), frame.pts or 0)
        self._listener.frame(frame)

    def _look_at(self, identity: sei.FrameIdentity | None, pts: int) -> None:
        """Say where the channel is, once that is known; and a word where frames cannot be told."""
        described = self._described
        assert described is not None
        now = asyncio.get_running_loop().time()
        if identity is None:
            if self._unknown_since is None:
                self._unknown_since = now
            elif now - self._unknown_since >= UNNAMED:
                self._tell_once(
                    "the SFU's video names no frames (was it encoded anew?): it is interpolated"
                )
            return
        self._unknown_since = now
        if identity.package != described.manifest.id:
            self._tell_once(
                f"the SFU plays package {identity.package} and {self._origin.package} is "
                f"{described.manifest.id}: the video is interpolated"
            )
        elif identity.rung < len(described.manifest.rungs):
            self._announce(identity)
            self._join(identity, pts)

    def _join(self, identity: sei.FrameIdentity, pts: int) -> None:
        """Say that this is the first frame to show, to a listener that waits for one."""
        if not self._joins or self._receiving is None:
            return
        self._joins = False
        time = self._receiving.rtp_time_of(pts)
        sought = Sought(rtp_time=time, rung=identity.rung, frame=identity.frame)
        self._say(encode_message(sought))

    def _announce(self, identity: sei.FrameIdentity | None = None) -> None:
        """Say which manifest it is and bring it, once, as a server answers `hello`.

        Without `identity` it is a stream whose frames nobody knows: all of it is to be shown.
        """
        described = self._described
        if self._announced or described is None:
            return
        self._announced = True
        head = ManifestHead(
            package=described.manifest.id,
            rung=0 if identity is None else identity.rung,
            live=None if identity is None else identity.frame,
            sha256=described.sha256,
            bytes=len(described.data),
            signature=described.signature,
        )
        self._say(encode_message(head))
        for piece in frames_of(described.sha256, described.data):
            if self._listener is not None:
                self._listener.brought(piece)

    def _tell_once(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._announce()
            self._refuse("super_resolution", why)

    def _refuse(self, what: str, why: str) -> None:
        self._say(encode_message(Refused(what=what, message=why[:300])))

    def _say(self, text: str) -> None:
        if self._listener is not None:
            self._listener.said(text)

    def _bring(self, frame: AssetFrame) -> None:
        if self._listener is not None:
            self._listener.brought(encode_frame(frame))

    def _lose(self, why: str) -> None:
        if self._listener is not None:
            self._listener.lost(why)

    def _on_breach(self, why: str) -> None:
        if self._listener is not None:
            self._listener.broke(why)
