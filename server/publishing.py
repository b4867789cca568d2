"""A package as a channel at somebody else's server: published by WHIP (RFC 9725), looped.

    package ─► Playhead ─► VideoTrack, AudioTrack ─► PacketSender ─► SFU ─► any number of viewers
                 ▲ where it broke off                                 │
                 └──────── lost: wait, publish again ◄────────────────┘

What is coded goes out as it is, once, with its frame numbers inside; viewers take all else from an
origin, by HTTP (`client_sdk.origin`). A request for a key frame changes nothing: each segment
begins with one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from client_sdk.contract import av1_codec, open_package, steady_clock
from client_sdk.reconnecting import come_back
from client_sdk.whep import (
    Answer,
    IceServer,
    ask_ice_servers,
    bearer_for,
    delete_session,
    post_offer,
)
from kernels.errors import PackageError, StreamError
from server.feedback import Feedback
from server.media import AudioTrack, PackageMedia, VideoTrack
from server.playhead import Playhead
from server.rtp_sender import PacketSender

log = logging.getLogger("crispcast.server")

CONNECT_TIMEOUT = 15.0  # seconds from the answer until media may flow
SILENCE = 10.0
"""Seconds without a receiver report after which an SFU that sent some is gone. (ICE's consent,
RFC 7675, takes half a minute to say so.)"""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """Where to publish and how. `rung`: its index. `reconnect`: seconds to look for a lost SFU.

    `token`: the bearer token that the endpoint wants, where it wants one; `token_origins`: who else
    may see it when the endpoint sends us there, as https://b.example.org.
    """

    to: str
    rung: int = 0
    token: str | None = None
    token_origins: tuple[str, ...] = ()
    reconnect: float = float("inf")


@dataclass(frozen=True, slots=True)
class PublishStats:
    """How it goes: frames and bytes of video sent, the frame that is next, sessions after the
    first, and what the SFU says of the way to it: share of packets lost, seconds of a round trip.
    """

    frames: int = 0
    bytes: int = 0
    frame: int = 0
    connected: bool = False
    reconnects: int = 0
    lost: float = 0.0
    round_trip: float | None = None

    def to_json(self) -> dict[str, object]:
        """The fields."""
        return asdict(self)


class Publication:
    """One session at a WHIP endpoint: `open` it once, then `close`. It never comes back itself.

    `over` is called once it is lost, with a sentence; `fault` where the package cannot be read.
    """

    def __init__(
        self,
        media: PackageMedia,
        options: PublishOptions,
        over: Callable[[str], None],
        fault: Callable[[PackageError], None],
    ) -> None:
        self._options = options
        self._media = media
        self._over, self._fault = over, fault
        self._playhead = Playhead(media.package.manifest, asyncio.get_running_loop().time)
        self._playhead.loop(True)
        self._mime_type = media.rungs[options.rung].mime_type
        self._peer: RTCPeerConnection | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._connected = asyncio.get_running_loop().create_future()
        self._closed = False
        self.answer: Answer | None = None
        self.video = VideoTrack(
            media,
            self._playhead,
            flush=False,
            on_idr=lambda rung, frame, ticks: None,
            on_end=lambda: None,
            on_fault=fault,
        )
        self.video.rung = self.video.wanted_rung = options.rung
        self.feedback: Feedback | None = None

    @property
    def stands(self) -> bool:
        """Whether media flows, as far as that is known."""
        return self._playhead.running and not self._closed

    @property
    def frame(self) -> int:
        """The frame that is sent next."""
        return self._playhead.frame % self._media.package.manifest.source.frames

    async def open(self, frame: int, servers: Sequence[IceServer]) -> None:
        """Publish from the segment of `frame` on. Raises StreamError."""
        options = self._options
        ice = [RTCIceServer(s.url, s.username, s.credential) for s in servers]
        steady_clock.install()
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=ice, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._peer.on("connectionstatechange", self._on_connection_state)
        offer = await self._offer(self._peer)
        posted = asyncio.ensure_future(
            asyncio.to_thread(
                post_offer,
                options.to,
                offer,
                token=options.token,
                token_origins=options.token_origins,
                protocol="WHIP",
            )
        )
        try:
            self.answer = await asyncio.shield(posted)
        except asyncio.CancelledError:
            # The session that is on its way is one to end.
            with contextlib.suppress(StreamError):
                self.answer = await posted
            raise
        try:
            answer = RTCSessionDescription(self.answer.sdp, "answer")
            await self._peer.setRemoteDescription(answer)
        except Exception as error:  # aiortc raises whatever it trips over
            log.info("an answer was refused: %s", error)
            codec = self._mime_type.removeprefix("video/")
            raise StreamError(
                f"{options.to} gave an answer that cannot be used: it must take {codec} as it is"
            ) from None
        if self._peer.getTransceivers()[0].currentDirection != "sendonly":
            raise StreamError(f"{options.to} takes no video")
        try:
            await asyncio.wait_for(asyncio.shield(self._connected), CONNECT_TIMEOUT)
        except TimeoutError:
            raise StreamError(
                f"{options.to} answers, but no media gets to it: does UDP come through?"
            ) from None
        self._playhead.seek(frame, exact=False)
        self._playhead.resume()

    async def _offer(self, peer: RTCPeerConnection) -> str:
        video = peer.addTransceiver(self.video, direction="sendonly")
        # Nothing is encoded here, so nothing but the rung's own codec may be agreed on.
        video.setCodecPreferences(
            [
                codec
                for codec in RTCRtpSender.getCapabilities("video").codecs
                if codec.mimeType in (self._mime_type, "video/rtx")
            ]
        )
        PacketSender(video.sender)
        self.feedback = Feedback(video.sender, self._on_report)
        if self._media.audio is not None:
            track = AudioTrack(
                self._media, self._media.audio, self._playhead, flush=False, on_end=lambda: None
            )
            sound = peer.addTransceiver(track, direction="sendonly")
            codecs = RTCRtpSender.getCapabilities("audio").codecs
            sound.setCodecPreferences([c for c in codecs if c.mimeType == "audio/opus"])
            PacketSender(sound.sender)
            # RFC 9725, section 4.4.2: one MediaStream holds both.
            sound.sender._stream_id = video.sender._stream_id
        await peer.setLocalDescription(await peer.createOffer())
        sdp: str = peer.localDescription.sdp
        # Section 4.4.1, by RFC 8858: who does not multiplex RTCP need not answer.
        return sdp.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n")

    async def close(self) -> None:
        """End the session; a server that is gone already is no error."""
        self._closed = True
        if self._silence is not None:
            self._silence.cancel()
        if not self._connected.done():
            self._connected.cancel()
        if self._peer is not None:
            await self._peer.close()
        if self.answer is not None:
            session = self.answer.session
            token = bearer_for(session, self._options.to, self._options.token)
            await asyncio.to_thread(delete_session, session, token)

    def _on_connection_state(self) -> None:
        assert self._peer is not None
        state = self._peer.connectionState
        if state == "connected" and not self._connected.done():
            self._connected.set_result(None)
        elif state in ("failed", "closed"):
            self._lose(f"the connection {state}")

    def _on_report(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
        if not self._closed:
            loop = asyncio.get_running_loop()
            why = f"no report came for {SILENCE:g} s; the SFU is gone"
            self._silence = loop.call_later(SILENCE, self._lose, why)

    def _lose(self, why: str) -> None:
        if self._closed:
            return
        if not self._connected.done():
            self._connected.set_exception(
                StreamError(f"{self._options.to} answers, but no media gets to it: {why}")
            )
        self._over(why)


class Publisher:
    """Keeps a package published, over as many sessions as it takes. `run` does it all.

    `started` is set by the first session that stands; `stop` ends it.
    """

    def __init__(self, media: PackageMedia, options: PublishOptions) -> None:
        rungs = media.package.manifest.rungs
        if options.rung >= len(rungs):
            raise StreamError(f"there is no rung {options.rung}: the package has {len(rungs)}")
        av1_codec.register()
        loop = asyncio.get_running_loop()
        self._media, self._options = media, options
        self._frame = 0
        self._servers: tuple[IceServer, ...] = ()
        self._over: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[str] = loop.create_future()
        self._past = PublishStats()
        self._publication: Publication | None = None
        self.started = asyncio.Event()

    async def run(self) -> PublishStats:
        """Publish until `stop`. Raises StreamError where it cannot begin or the SFU stays away,
        PackageError where the package cannot be read any more.
        """
        try:
            await self._unless_over(self._connect())
            while not self._over.done():
                either: set[asyncio.Future[Any]] = {self._over, self._lost}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if not self._over.done():
                    await self._come_back(self._lost.result())
            self._over.result()
            return self.stats()
        finally:
            await self._hang_up()

    def stop(self) -> None:
        """End it."""
        if not self._over.done():
            self._over.set_result(None)

    def stats(self) -> PublishStats:
        """The figures so far."""
        now, past = self._publication, self._past
        if now is None:
            return past
        feedback = now.feedback
        return PublishStats(
            frames=past.frames + now.video.sent,
            bytes=past.bytes + now.video.sent_bytes,
            frame=now.frame,
            connected=now.stands,
            reconnects=past.reconnects,
            lost=0.0 if feedback is None else feedback.lost,
            round_trip=None if feedback is None else feedback.round_trip,
        )

    async def _connect(self) -> None:
        """A new session. Raises StreamError.

        ICE servers that the answer names come too late for it (RFC 9725, section 4.6): where no
        media gets through without them, they serve the next try, which is made at once.
        """
        options, known = self._options, self._servers
        told = await asyncio.to_thread(ask_ice_servers, options.to, options.token)
        for servers in (tuple(told) or known, None):
            self._lost = asyncio.get_running_loop().create_future()
            made = self._publication = Publication(self._media, options, self._lose, self._fail)
            try:
                await made.open(self._frame, self._servers if servers is None else servers)
            except StreamError:
                answer = made.answer
                await self._hang_up()
                named = () if answer is None else answer.ice_servers
                if servers is None or not named or named == servers:
                    raise
                self._servers = named
            else:
                log.info("%s is published to %s", self._media.package.name, options.to)
                self.started.set()
                return

    async def _unless_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it, or what there is time for before `stop`."""
        task = asyncio.ensure_future(work)
        either: set[asyncio.Future[Any]] = {self._over, task}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _come_back(self, why: str) -> None:
        async def attempt(left: float) -> None:
            del left
            await self._unless_over(self._connect())

        await self._hang_up()
        first = StreamError(f"{self._options.to}: {why}")
        await come_back(self._options.reconnect, first, attempt, self._over)
        stats = self._past
        self._past = PublishStats(stats.frames, stats.bytes, reconnects=stats.reconnects + 1)

    async def _hang_up(self) -> None:
        """End the session there is; the next one goes on with its segment."""
        publication, stats = self._publication, self.stats()
        self._publication = None
        if publication is not None:
            if publication.stands:
                self._frame = publication.frame
            self._past = PublishStats(
                stats.frames, stats.bytes, stats.frame, reconnects=stats.reconnects
            )
            await publication.close()

    def _lose(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_result(why)

    def _fail(self, error: PackageError) -> None:
        if not self._over.done():
            self._over.set_exception(error)


def publish(
    path: str | os.PathLike[str],
    options: PublishOptions,
    on_status: Callable[[PublishStats], None] | None = None,
) -> PublishStats:
    """Publish the package at `path` until ctrl-C or SIGTERM. Blocks.

    `on_status` is called twice a second. Raises PackageError, StreamError.
    """
    media = PackageMedia.open(open_package(path))
    try:
        return asyncio.run(_publish(media, options, on_status))
    finally:
        media.close()


async def _publish(
    media: PackageMedia,
    options: PublishOptions,
    on_status: Callable[[PublishStats], None] | None,
) -> PublishStats:
    publisher = Publisher(media, options)
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows; another thread
            loop.add_signal_handler(ending, publisher.stop)
    running = asyncio.ensure_future(publisher.run())
    while not running.done():
        await asyncio.wait({running}, timeout=0.5)
        if on_status is not None:
            on_status(publisher.stats())
    return running.result()
