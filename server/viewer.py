"""One viewer: its peer connection and its tracks, from offer to goodbye."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

from client_sdk.contract import steady_clock
from client_sdk.contract.control import MAX_CONTROL_BYTES, Bye
from client_sdk.contract.sctp_guard import Bounds, guard
from kernels.errors import PackageError, StreamError
from server.asset_store import AssetStore
from server.conversation import Conversation
from server.feedback import Feedback
from server.logs import ViewerLog
from server.media import AudioTrack, PackageMedia, VideoTrack
from server.metrics import Metrics, Why
from server.offer import read_offer
from server.playhead import Playhead
from server.rtp_sender import PacketSender
from server.settings import Settings
from server.trickle import MAX_CANDIDATES, Fragment

# Of a client's messages, while one before them is lost: 16 of the longest, or many small ones.
_UNFINISHED = Bounds(fragments=1000, bytes=16 * MAX_CONTROL_BYTES)


class Viewer:
    """A session of WHEP. `answer` begins it, `close` ends it; `on_closed` is called once.

    A viewer with our data channel starts paused until it says `resume`, for `start_delay` at
    most; any other starts as soon as it is connected.
    """

    def __init__(
        self,
        media: PackageMedia,
        assets: AssetStore,
        settings: Settings,
        on_closed: Callable[[Viewer], None],
        metrics: Metrics,
    ) -> None:
        self.id = secrets.token_urlsafe(24)
        self.etag = f'"{secrets.token_hex(8)}"'
        self.package_name = media.package.name
        self.media = media
        self._settings = settings
        self._on_closed = on_closed
        self._metrics = metrics
        # Whoever has the session's id may end it: the logs have another.
        self.label = secrets.token_hex(4)
        self._log = ViewerLog(self.label, self.package_name)
        self._begun = asyncio.get_running_loop().time()
        self.remote_ufrag = ""
        self._candidates, self._complete = 0, False
        steady_clock.install()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._mime_type = media.rungs[0].mime_type
        clock = asyncio.get_running_loop().time
        self._playhead = Playhead(media.package.manifest, clock, media.channel)
        self._video: VideoTrack | None = None
        self._sender: RTCRtpSender | None = None
        self._offers_channel = False
        self._playing: set[str] = set()
        self._ended: set[str] = set()
        self._ended_epoch = 0
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._conversation = Conversation(
            media,
            assets,
            self._playhead,
            settings,
            metrics,
            self._log,
            leave=self._leave,
            after=self._after,
        )
        self._peer.on("connectionstatechange", self._on_connection_state)
        self._peer.on("datachannel", self._conversation.open)

    # -- life ---------------------------------------------------------------------------------

    async def answer(self, offer: str) -> str:
        """The answer's SDP. Raises StreamError, in one sentence, where the offer will not do."""
        read = read_offer(offer)
        self._offers_channel = "application" in read.kinds
        self._add_tracks("audio" in read.kinds)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            self._take_nothing()
            if self._peer.sctp is not None:
                guard(self._peer.sctp, _UNFINISHED, self._on_breach)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:
            self._log.info("an offer was refused: %s", error)
            wanted = self._mime_type.removeprefix("video/")
            raise StreamError(
                f"the offer cannot be answered: it must offer to receive {wanted} over ICE and DTLS"
            ) from None
        self._playing = {
            transceiver.kind
            for transceiver in self._peer.getTransceivers()
            if transceiver.currentDirection == "sendonly"
        }
        if "video" not in self._playing:
            raise StreamError("the offer has no video to receive")
        self.remote_ufrag, self._candidates = read.ufrag, read.candidates
        self._complete = read.complete
        self._after(self._settings.connect_timeout, self._check_connected)
        sdp: str = self._peer.localDescription.sdp
        return sdp

    def _take_nothing(self) -> None:
        """Receive none of the media that the client offers to send.

        aiortc would: decoded by a thread for each section, and kept for ever, since nobody asks.
        """
        for transceiver in self._peer.getTransceivers():
            if transceiver.direction == "recvonly":
                transceiver.direction = "inactive"

    def trickle(self, fragment: Fragment) -> None:
        """Take candidates that came after the offer. Raises StreamError where they are too many."""
        if self._complete or self._closing:
            return  # RFC 8838, section 14: what comes after the end is ignored
        self._candidates += len(fragment.candidates)
        if self._candidates > MAX_CANDIDATES:
            raise StreamError(f"more than {MAX_CANDIDATES} candidates came")
        self._complete = fragment.complete
        self._spawn(self._add_candidates(fragment))

    async def _add_candidates(self, fragment: Fragment) -> None:
        try:
            for candidate in fragment.candidates:
                await self._peer.addIceCandidate(candidate)
            if fragment.complete:
                await self._peer.addIceCandidate(None)
        except Exception as error:  # aiortc raises whatever it trips over
            self._log.info("a candidate was refused: %s", error)

    def _add_tracks(self, audio: bool) -> None:
        video = VideoTrack(
            self.media,
            self._playhead,
            flush=self._offers_channel,
            on_idr=self._on_idr,
            on_end=lambda: self._on_end("video"),
            on_fault=self._on_fault,
        )
        transceiver = self._peer.addTransceiver(video, direction="sendonly")
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        # Nothing is encoded for a viewer, so nothing but the rung's own codec may be agreed on.
        transceiver.setCodecPreferences(
            [codec for codec in capabilities if codec.mimeType in (self._mime_type, "video/rtx")]
        )
        self._video, self._sender = video, transceiver.sender
        PacketSender(transceiver.sender)
        self._conversation.watch(video)
        feedback = Feedback(transceiver.sender, lambda: self._conversation.heard(feedback))
        if audio and self.media.audio is not None:
            track = AudioTrack(
                self.media,
                self.media.audio,
                self._playhead,
                flush=self._offers_channel,
                on_end=lambda: self._on_end("audio"),
            )
            sound = self._peer.addTransceiver(track, direction="sendonly")
            PacketSender(sound.sender)
            capabilities = RTCRtpSender.getCapabilities("audio").codecs
            sound.setCodecPreferences(
                [codec for codec in capabilities if codec.mimeType == "audio/opus"]
            )

    async def close(self, why: Why = "left", bye: Bye | None = None) -> None:
        """End the session; says `bye` first where there is a channel. Safe to call twice."""
        if self._closing:
            return
        self._closing = True
        for timer in self._timers:
            timer.cancel()
        try:
            self._conversation.close(bye)
            await self._peer.close()
        finally:
            if why != "refused":
                self._metrics.ended.labels(why).inc()
                self._log.info("the session is over: %s", why.replace("_", " "))
            self._on_closed(self)

    @property
    def hears(self) -> bool:
        """Whether a word to it is heard: its client greeted, and it is not being closed."""
        return self._conversation.greeted and not self._closing

    def send_away(self, why: Why, bye: Bye) -> None:
        """End the session soon, with a last word."""
        self._leave(why, bye)

    def _leave(self, why: Why, bye: Bye | None = None) -> None:
        self._spawn(self.close(why, bye))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _after(self, seconds: float, function: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            function()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    def _check_connected(self) -> None:
        if self._peer.connectionState != "connected":
            self._leave("never_connected")

    def _on_connection_state(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            seconds = asyncio.get_running_loop().time() - self._begun
            self._metrics.connect_seconds.observe(seconds)
            self._log.info("connected after %.3f s", seconds)
            # One that offered a channel and never greets on it is a stock player after all.
            self._after(2 * self._settings.start_delay if self._offers_channel else 0, self._begin)
        elif state in ("failed", "closed"):
            # "failed" is how a vanished client shows: its consent ran out (RFC 7675).
            self._leave("lost")

    def _on_breach(self, why: str) -> None:
        self._log.warning("the client broke the protocol: %s", why)
        self._leave("protocol", Bye(reason="error", message=why))

    def _begin(self) -> None:
        if not self._conversation.greeted:
            self._conversation.resume()

    @property
    def paused(self) -> asyncio.Event:
        """Set while the client has asked for silence."""
        return self._conversation.paused

    @property
    def frames_sent(self) -> int:
        """Video frames sent so far."""
        return 0 if self._video is None else self._video.sent

    @property
    def asset_bytes_sent(self) -> int:
        """Bytes sent over the data channel so far, but for control messages."""
        return self._conversation.asset_bytes_sent

    # -- media --------------------------------------------------------------------------------

    def _on_idr(self, rung: int, frame: int, ticks: int) -> None:
        # aiortc keeps its RTP time stamps to itself; browsers need one to count from.
        time = getattr(self._sender, "_RTCRtpSender__rtp_timestamp", None)
        if isinstance(time, int):
            self._conversation.anchor(time, rung, frame, ticks)

    def _on_fault(self, error: PackageError) -> None:
        """The video cannot be read any more: rather an end with a reason than silence."""
        self._log.error("%s", error)
        self._leave("fault", Bye(reason="error", message="the video is damaged on the server"))

    def _on_end(self, kind: str) -> None:
        """A track came to its end; the play is over when all have."""
        if self._ended_epoch != self._playhead.epoch:
            self._ended_epoch, self._ended = self._playhead.epoch, set()
        self._ended.add(kind)
        if self._ended != self._playing:
            return
        assert self._video is not None
        self._conversation.send(Bye(reason="end", frames=self._video.sent))
        self._after(self._settings.leave_timeout, lambda: self._spawn(self._leave_at_end()))

    async def _leave_at_end(self) -> None:
        if self._playhead.frame >= self.media.package.manifest.source.frames:
            await self.close("end")
