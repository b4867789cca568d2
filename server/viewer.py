"""One viewer: its peer connection, its tracks, its data channel, from offer to goodbye."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.sdp import SessionDescription

from client_sdk.contract.control import (
    CHANNEL,
    Anchor,
    Bye,
    ChooseRung,
    ClientMessage,
    Hello,
    Loop,
    ManifestHead,
    Message,
    Pause,
    Refused,
    Resume,
    Seek,
    Sought,
    Stats,
    Switch,
    Want,
    decode_client_message,
    encode_message,
    minor_of,
)
from kernels.errors import PackageError, StreamError
from server.delivery import Delivery
from server.feedback import Feedback
from server.logs import ViewerLog
from server.media import AudioTrack, PackageMedia, VideoTrack, video_ticks
from server.metrics import Metrics
from server.playhead import Playhead
from server.rates import Bucket
from server.rtp_sender import PacketSender
from server.settings import Settings
from server.steering import Steering
from server.trickle import MAX_CANDIDATES, Fragment

Why: TypeAlias = Literal[
    "left", "end", "lost", "never_connected", "protocol", "fault", "shutdown", "refused"
]
"""Why a session is over, for logs and metrics."""

# WHEP plays one video and one audio; each section costs time that all other viewers wait.
_MAX_SECTIONS = 8


class Viewer:
    """A session of WHEP. `answer` begins it, `close` ends it; `on_closed` is called once.

    A viewer with our data channel starts paused until it says `resume`, for `start_delay` at
    most; any other starts as soon as it is connected.
    """

    def __init__(
        self,
        media: PackageMedia,
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
        self._told = Stats()
        self._messages = Bucket(settings.messages_per_minute, asyncio.get_running_loop().time)
        self.remote_ufrag = ""
        self._candidates, self._complete = 0, False
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._mime_type = media.rungs[0].mime_type
        clock = asyncio.get_running_loop().time
        self._playhead = Playhead(media.package.manifest, clock, media.channel)
        self._channel: RTCDataChannel | None = None
        self._delivery: Delivery | None = None
        self._video: VideoTrack | None = None
        self._sender: RTCRtpSender | None = None
        self._steering: Steering | None = None
        self._feedback: Feedback | None = None
        self._offers_channel = False
        self._playing: set[str] = set()
        self._ended: set[str] = set()
        self._ended_epoch = 0
        self.paused = asyncio.Event()
        self._greeted = False
        self._minor = 0  # of the protocol that the client speaks
        self._rtp_origin: int | None = None  # RTP time of stream time 0
        self._sought_untold = False
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._peer.on("connectionstatechange", self._on_connection_state)
        self._peer.on("datachannel", self._on_channel)

    # -- life ---------------------------------------------------------------------------------

    async def answer(self, offer: str) -> str:
        """The answer's SDP. Raises StreamError, in one sentence, where the offer will not do."""
        try:
            description = SessionDescription.parse(offer)
            kinds = [media.kind for media in description.media]
        except Exception:  # aiortc's parser raises whatever it trips over
            raise StreamError("the offer is not an SDP that can be read") from None
        if "video" not in kinds:
            raise StreamError("the offer has no video to receive")
        if len(kinds) > _MAX_SECTIONS:
            raise StreamError(f"the offer has {len(kinds)} media sections, not {_MAX_SECTIONS}")
        if any(media.dtls is None or not media.dtls.fingerprints for media in description.media):
            raise StreamError("the offer has a media section without a DTLS fingerprint")
        if sum(len(media.ice_candidates) for media in description.media) > MAX_CANDIDATES:
            raise StreamError(f"the offer has more than {MAX_CANDIDATES} candidates")
        self._offers_channel = "application" in kinds
        self._add_tracks("audio" in kinds)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:
            self._log.info("an offer was refused: %s", error)
            wanted = self._mime_type.removeprefix("video/")
            raise StreamError(
                f"the offer cannot be answered: it must offer to receive {wanted} over ICE and DTLS"
            ) from None
        ice = description.media[0].ice
        self.remote_ufrag = ice.usernameFragment or "" if ice is not None else ""
        self._candidates = sum(len(media.ice_candidates) for media in description.media)
        self._complete = any(media.ice_candidates_complete for media in description.media)
        self._after(self._settings.connect_timeout, self._check_connected)
        sdp: str = self._peer.localDescription.sdp
        return sdp

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
        self._playing = {"video"}
        transceiver = self._peer.addTransceiver(video, direction="sendonly")
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        # Nothing is encoded for a viewer, so nothing but the rung's own codec may be agreed on.
        transceiver.setCodecPreferences(
            [codec for codec in capabilities if codec.mimeType in (self._mime_type, "video/rtx")]
        )
        self._video, self._sender = video, transceiver.sender
        PacketSender(transceiver.sender)
        self._steering = Steering(
            self.media,
            video,
            asyncio.get_running_loop().time,
            self._announce,
            adaptive=self._settings.adaptive,
        )
        self._feedback = Feedback(transceiver.sender, self._on_report)
        if audio and self.media.audio is not None:
            track = AudioTrack(
                self.media,
                self.media.audio,
                self._playhead,
                flush=self._offers_channel,
                on_end=lambda: self._on_end("audio"),
            )
            self._playing.add("audio")
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
        if self._delivery is not None:
            self._delivery.close()
        try:
            if bye is not None:
                self._send(bye)
            await self._peer.close()
        finally:
            if why != "refused":
                self._metrics.ended.labels(why).inc()
                self._log.info("the session is over: %s", why.replace("_", " "))
            self._on_closed(self)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _after(self, seconds: float, function: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, function))

    def _check_connected(self) -> None:
        if self._peer.connectionState != "connected":
            self._spawn(self.close("never_connected"))

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
            self._spawn(self.close("lost"))

    def _begin(self) -> None:
        if not self._greeted:
            self._resume()

    @property
    def frames_sent(self) -> int:
        """Video frames sent so far."""
        return 0 if self._video is None else self._video.sent

    @property
    def asset_bytes_sent(self) -> int:
        """Bytes sent over the data channel so far, but for control messages."""
        return 0 if self._delivery is None else self._delivery.sent_bytes

    # -- data channel -------------------------------------------------------------------------

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        self._delivery = Delivery(
            channel,
            self.media.package,
            self._position,
            high_water=self._settings.high_water,
            low_water=self._settings.low_water,
            log=self._log,
        )
        channel.on("message", self._on_message)
        channel.on("close", lambda: self._spawn(self.close()))

    def _position(self) -> tuple[int, int]:
        manifest = self.media.package.manifest
        live = self._playhead.live
        # What leads to the frame that is sought is not shown, so nothing is needed for it.
        frame = max(self._playhead.frame, self._playhead.target) if live is None else live
        frame = min(frame, manifest.source.frames - 1)
        return (self._video.wanted_rung if self._video else 0), manifest.segment_of(frame)

    def _send(self, message: Message) -> None:
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > 2 * self._settings.high_water and not self._closing:
            # Assets wait for it long before; what is said at every IDR would pile up for ever.
            self._log.warning("the client does not read its channel")
            self._spawn(self.close("protocol"))
            return
        channel.send(encode_message(message))

    def _on_message(self, data: str | bytes) -> None:
        try:
            if self._messages.wait():
                raise StreamError(
                    f"more than {self._settings.messages_per_minute} messages a minute came"
                )
            if isinstance(data, bytes):
                raise StreamError("a client sends text only")
            self._obey(decode_client_message(data))
        except StreamError as error:
            self._log.warning("the client broke the protocol: %s", error)
            self._spawn(self.close("protocol", Bye(reason="error", message=str(error)[:300])))
        except Exception:
            # Raised into aiortc, it would silence the whole connection and leave it standing.
            self._log.exception("a message met a fault of the server")
            self._spawn(self.close("fault", Bye(reason="error", message="the server failed")))

    def _obey(self, message: ClientMessage) -> None:
        if isinstance(message, Hello):
            self._greet(minor_of(message.version))
        elif not self._greeted:
            raise StreamError("the first message must be hello")
        elif isinstance(message, Want):
            assert self._delivery is not None
            self._delivery.want(message)
        elif isinstance(message, Resume):
            self._resume()
        elif isinstance(message, Pause):
            self._playhead.pause()
            self.paused.set()
        elif isinstance(message, Seek):
            self._seek(message.frame)
        elif isinstance(message, Loop):
            self._playhead.loop(message.on)
        elif isinstance(message, ChooseRung):
            self._choose_rung(message.rung)
        elif isinstance(message, Bye):
            self._spawn(self.close())
        else:
            told, self._told = self._told, message
            self._metrics.told(
                message.late_plans - told.late_plans, message.frames_lost - told.frames_lost
            )
            if self._steering is not None:
                self._steering.told(message)
            self._log.debug("%s", message)

    def _resume(self) -> None:
        self.paused.clear()
        joins = self.media.channel is not None and not self._playhead.running
        self._playhead.resume()
        if joins:
            self._tell_sought()

    def _seek(self, frame: int) -> None:
        if self.media.channel is not None:
            why = f"{self.package_name} is a channel: all viewers see the same moment of it"
            self._tell(Refused(what="seek", message=why[:300]))
            return
        self._playhead.seek(frame, exact=self._minor >= 1)
        self._tell_sought()

    def _tell_sought(self) -> None:
        """Which picture is the first to show, and its RTP time: as soon as that is known."""
        self._sought_untold = self._rtp_origin is None or self._playhead.epoch == 0
        if self._rtp_origin is None or self._sought_untold:
            return
        assert self._video is not None
        target = self._playhead.target
        ticks = video_ticks(self._playhead, target / self.media.package.manifest.source.rate)
        time = (self._rtp_origin + ticks) & 0xFFFF_FFFF
        self._tell(Sought(rtp_time=time, rung=self._video.wanted_rung, frame=target))

    def _tell(self, message: Sought | Refused | Switch) -> None:
        """Say what clients of version 1.0 do not know."""
        if self._minor >= 1:
            self._send(message)

    def _greet(self, minor: int) -> None:
        if self._greeted:
            return
        self._greeted, self._minor = True, minor
        package, delivery = self.media.package, self._delivery
        assert delivery is not None
        digest = hashlib.sha256(package.manifest_bytes).hexdigest()
        self._send(
            ManifestHead(
                package=package.manifest.id,
                rung=self._position()[0],
                sha256=digest,
                bytes=len(package.manifest_bytes),
                live=self._playhead.live if minor >= 1 else None,
            )
        )
        delivery.send_manifest(digest)
        self._after(self._settings.start_delay, self._start_late)

    def _start_late(self) -> None:
        if self._playhead.epoch == 0 and not self.paused.is_set():
            self._resume()

    def _choose_rung(self, rung: int | None) -> None:
        if rung is not None and rung >= len(self.media.rungs):
            raise StreamError(f"there is no rung {rung}")
        if rung is not None and self.media.rungs[rung].mime_type != self._mime_type:
            raise StreamError(f"rung {rung} has another codec than was agreed on")
        assert self._steering is not None
        self._steering.choose(rung)

    def _announce(self, rung: int, frame: int) -> None:
        self._metrics.switches.inc()
        self._log.debug("rung %d from frame %d on", rung, frame)
        self._tell(Switch(rung=rung, frame=frame))

    def _on_report(self) -> None:
        if self._steering is not None and self._feedback is not None:
            self._steering.heard(self._feedback, self._delivery)

    # -- media --------------------------------------------------------------------------------

    def _on_idr(self, rung: int, frame: int, ticks: int) -> None:
        # aiortc keeps its RTP time stamps to itself; browsers need one to count from.
        time = getattr(self._sender, "_RTCRtpSender__rtp_timestamp", None)
        if isinstance(time, int):
            self._rtp_origin = time - ticks
            if self._sought_untold:
                self._tell_sought()
            self._send(Anchor(rtp_time=time & 0xFFFF_FFFF, rung=rung, frame=frame))

    def _on_fault(self, error: PackageError) -> None:
        """The video cannot be read any more: rather an end with a reason than silence."""
        self._log.error("%s", error)
        goodbye = Bye(reason="error", message="the video is damaged on the server")
        self._spawn(self.close("fault", goodbye))

    def _on_end(self, kind: str) -> None:
        """A track came to its end; the play is over when all have."""
        if self._ended_epoch != self._playhead.epoch:
            self._ended_epoch, self._ended = self._playhead.epoch, set()
        self._ended.add(kind)
        if self._ended != self._playing:
            return
        assert self._video is not None
        self._send(Bye(reason="end", frames=self._video.sent))
        self._after(self._settings.leave_timeout, lambda: self._spawn(self._leave_at_end()))

    async def _leave_at_end(self) -> None:
        if self._playhead.frame >= self.media.package.manifest.source.frames:
            await self.close("end")
