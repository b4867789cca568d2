"""What a viewer and its client say to each other over the data channel.

    hello ──────────────────────► the manifest
    want ───────► Delivery ─────► pieces of assets
    resume, seek ─► Playhead ───► sought, refused
    rung, stats ──► Steering ───► switch
                an IDR is sent ─► anchor

Messages and their order: docs/control.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiortc import RTCDataChannel

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
from kernels.errors import StreamError
from server.asset_store import AssetStore
from server.bursts import Bursts
from server.delivery import Delivery
from server.feedback import Feedback
from server.joining import Joined
from server.logs import ViewerLog
from server.media import PackageMedia, VideoTrack, video_ticks
from server.metrics import Metrics, Why
from server.playhead import Playhead
from server.rates import Bucket
from server.settings import Settings
from server.steering import Steering

_STORM = 0.25  # seconds between two seeks, or two of pause and resume
_ASSETS_CHARGED = 16  # that many wanted assets count as one message more


class Conversation:
    """Obeys a client's messages and says what it must know; without a channel it says nothing.

    `leave` ends the session, for a reason and with a last word; `after` calls a function that many
    seconds later, unless the session is over by then. `paused` is set while the client has asked
    for silence.
    """

    def __init__(
        self,
        media: PackageMedia,
        assets: AssetStore,
        playhead: Playhead,
        settings: Settings,
        metrics: Metrics,
        log: ViewerLog,
        *,
        leave: Callable[[Why, Bye | None], None],
        after: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self._media = media
        self._assets = assets
        self._playhead = playhead
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._leave = leave
        self._after = after
        self._messages = Bucket(settings.messages_per_minute, asyncio.get_running_loop().time)
        self._seeks, self._pauses = Joined(_STORM), Joined(_STORM)
        self._pause_waits = False  # one that came, and may be joined away
        self._bursts = Bursts(media.package.manifest, asyncio.get_running_loop().time)
        self._patience: asyncio.TimerHandle | None = None  # with a pause
        self._told = Stats()
        self._channel: RTCDataChannel | None = None
        self._delivery: Delivery | None = None
        self._video: VideoTrack | None = None
        self._steering: Steering | None = None
        self.paused = asyncio.Event()
        self.greeted = False
        self._minor = 0  # of the protocol that the client speaks
        self._rtp_origin: int | None = None  # RTP time of stream time 0
        self._sought_untold = False
        self._sought: Sought | None = None  # the last one told, until its IDR is sent
        self._closing = False

    @property
    def asset_bytes_sent(self) -> int:
        """Bytes sent over the data channel so far, but for control messages."""
        return 0 if self._delivery is None else self._delivery.sent_bytes

    # -- what it is about ---------------------------------------------------------------------

    def watch(self, video: VideoTrack) -> None:
        """Talk of this track from now on, and steer it from rung to rung."""
        self._video = video
        self._steering = Steering(
            self._media,
            video,
            asyncio.get_running_loop().time,
            self._announce,
            adaptive=self._settings.adaptive,
        )

    def heard(self, feedback: Feedback) -> None:
        """A receiver report came."""
        if self._steering is not None:
            self._steering.heard(feedback, self._delivery)

    def open(self, channel: RTCDataChannel) -> None:
        """Converse over `channel`; one of another name, or a second one, is closed."""
        if channel.label != CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        self._delivery = Delivery(
            channel,
            self._media.package,
            self._assets,
            self._position,
            high_water=self._settings.high_water,
            low_water=self._settings.low_water,
            log=self._log,
        )
        channel.on("message", self._on_message)
        channel.on("close", lambda: self._leave("left", None))

    def close(self, bye: Bye | None) -> None:
        """Send no more assets, and `bye` as the last message."""
        self._closing = True
        self._seeks.close()
        self._pauses.close()
        self._be_patient(False)
        if self._delivery is not None:
            self._delivery.close()
        if bye is not None:
            self.send(bye)

    # -- what the client says -----------------------------------------------------------------

    def _on_message(self, data: str | bytes) -> None:
        try:
            self._charge(1)
            if isinstance(data, bytes):
                raise StreamError("a client sends text only")
            message = decode_client_message(data)
            if isinstance(message, Want):
                self._charge(len(message.assets) // _ASSETS_CHARGED)
            self._obey(message)
        except StreamError as error:
            self._log.warning("the client broke the protocol: %s", error)
            self._leave("protocol", Bye(reason="error", message=str(error)[:300]))
        except Exception:
            # Raised into aiortc, it would silence the whole connection and leave it standing.
            self._log.exception("a message met a fault of the server")
            self._leave("fault", Bye(reason="error", message="the server failed"))

    def _charge(self, messages: int) -> None:
        """Count what the client makes the server do; raises StreamError where it is too much."""
        if self._messages.wait(messages):
            raise StreamError(
                f"more than {self._settings.messages_per_minute} messages a minute came"
            )

    def _obey(self, message: ClientMessage) -> None:
        if isinstance(message, Hello):
            self._greet(minor_of(message.version))
        elif not self.greeted:
            raise StreamError("the first message must be hello")
        elif isinstance(message, Want):
            assert self._delivery is not None
            self._delivery.want(message)
        elif isinstance(message, Resume):
            self._pauses.ask(self.resume, self._wait_to_join)
        elif isinstance(message, Pause):
            self._pause_waits = True
            self._pauses.ask(self._pause)
        elif isinstance(message, Seek):
            self._seek(message.frame)
        elif isinstance(message, Loop):
            self._playhead.loop(message.on)
        elif isinstance(message, ChooseRung):
            self._choose_rung(message.rung)
        elif isinstance(message, Bye):
            self._leave("left", None)
        else:
            told, self._told = self._told, message
            self._metrics.told(
                message.late_plans - told.late_plans, message.frames_lost - told.frames_lost
            )
            if self._steering is not None:
                self._steering.told(message)
            self._log.debug("%s", message)

    def _greet(self, minor: int) -> None:
        if self.greeted:
            return
        self.greeted, self._minor = True, minor
        package, delivery = self._media.package, self._delivery
        assert delivery is not None
        digest = package.manifest_sha256
        self.send(
            ManifestHead(
                package=package.manifest.id,
                rung=self._position()[0],
                sha256=digest,
                bytes=len(package.manifest_bytes),
                live=self._playhead.live if minor >= 1 else None,
                signature=package.signature if minor >= 2 else None,
            )
        )
        delivery.send_manifest(digest)
        self._after(self._settings.start_delay, self._start_late)

    def _start_late(self) -> None:
        if self._playhead.epoch == 0 and not self.paused.is_set():
            self.resume()

    def resume(self) -> None:
        """Let the play begin, or go on."""
        self.paused.clear()
        self._be_patient(False)
        unheard, self._pause_waits = self._pause_waits, False
        running = self._playhead.running
        self._playhead.resume()
        if self._media.channel is None:
            return
        if not running:
            self._tell_sought()
        elif unheard:
            # Who says that it goes on waits for where, though nobody obeyed its pause.
            self._tell_place()

    def _wait_to_join(self) -> float:
        """Seconds until a channel may be joined again: what catches up with it is a burst too."""
        live = self._playhead.live
        return 0.0 if live is None or self._playhead.running else self._bursts.wait(live)

    def _seek(self, frame: int) -> None:
        if self._media.channel is not None:
            name = self._media.package.name
            why = f"{name} is a channel: all viewers see the same moment of it"
            self._tell(Refused(what="seek", message=why[:300]))
            return
        self._seeks.ask(lambda: self._jump(frame), lambda: self._bursts.wait(frame))

    def _jump(self, frame: int) -> None:
        if self.paused.is_set():
            self._be_patient(True)  # anew: somebody is there
        self._playhead.seek(frame, exact=self._minor >= 1)
        self._tell_sought()

    def _pause(self) -> None:
        if not self.paused.is_set():
            self._playhead.pause()
            self.paused.set()
            self._be_patient(True)

    def _be_patient(self, with_pause: bool) -> None:
        """Count the seconds of a pause, from now on or no more."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        seconds = self._settings.pause_timeout
        if with_pause and seconds:
            why = f"it was paused for longer than {seconds:g} s"
            over = Bye(reason="error", message=why)
            self._patience = asyncio.get_running_loop().call_later(
                seconds, self._leave, "paused", over
            )

    def _choose_rung(self, rung: int | None) -> None:
        rungs = self._media.rungs
        if rung is not None and rung >= len(rungs):
            raise StreamError(f"there is no rung {rung}")
        if rung is not None and rungs[rung].mime_type != rungs[0].mime_type:
            raise StreamError(f"rung {rung} has another codec than was agreed on")
        assert self._steering is not None
        self._steering.choose(rung)

    # -- what the client is told --------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Say it where there is a channel; who does not read what is said is sent away."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > 2 * self._settings.high_water and not self._closing:
            # Assets wait for it long before; what is said at every IDR would pile up for ever.
            self._log.warning("the client does not read its channel")
            self._leave("protocol", None)
            return
        channel.send(encode_message(message))

    def anchor(self, time: int, rung: int, frame: int, ticks: int) -> None:
        """An IDR, this frame of this rung, is sent with this RTP time, `ticks` of stream time."""
        self._rtp_origin = time - ticks
        if self._sought_untold:
            self._tell_sought()
        self.send(Anchor(rtp_time=time & 0xFFFF_FFFF, rung=rung, frame=frame))
        self._correct_sought(rung, frame, ticks)

    def _tell(self, message: Sought | Refused | Switch) -> None:
        """Say what clients of version 1.0 do not know."""
        if self._minor >= 1:
            self.send(message)

    def _tell_sought(self) -> None:
        """Which picture is the first to show, and its RTP time: as soon as that is known."""
        self._sought_untold = self._rtp_origin is None or self._playhead.epoch == 0
        if self._rtp_origin is None or self._sought_untold:
            return
        assert self._video is not None
        target = self._playhead.target
        self._sought = Sought(
            rtp_time=self._rtp_time(target), rung=self._video.wanted_rung, frame=target
        )
        self._tell(self._sought)

    def _tell_place(self) -> None:
        """Where it is by now, of a play that never stood still."""
        if self._rtp_origin is None or self._video is None:
            return  # nothing was sent yet: `sought` comes with the first picture
        frame = min(self._playhead.frame, self._media.package.manifest.source.frames - 1)
        self._tell(Sought(rtp_time=self._rtp_time(frame), rung=self._video.rung, frame=frame))

    def _rtp_time(self, frame: int) -> int:
        assert self._rtp_origin is not None
        ticks = video_ticks(self._playhead, frame / self._media.package.manifest.source.rate)
        return (self._rtp_origin + ticks) & 0xFFFF_FFFF

    def _correct_sought(self, rung: int, frame: int, ticks: int) -> None:
        """The rung may have changed after `sought` was told, and before its IDR was sent."""
        sought, rate = self._sought, self._media.package.manifest.source.rate
        # An IDR from before the jump was sent at another stream time.
        if sought is None or ticks != video_ticks(self._playhead, frame / rate):
            return
        self._sought = None
        if rung != sought.rung and self._minor >= 1:
            self.send(Anchor(rtp_time=sought.rtp_time, rung=rung, frame=sought.frame))

    def _announce(self, rung: int, frame: int) -> None:
        self._metrics.switches.inc()
        self._log.debug("rung %d from frame %d on", rung, frame)
        self._tell(Switch(rung=rung, frame=frame))

    def _position(self) -> tuple[int, int]:
        """The rung and the segment for which assets are needed next."""
        manifest = self._media.package.manifest
        live = self._playhead.live
        # What leads to the frame that is sought is not shown, so nothing is needed for it.
        frame = max(self._playhead.frame, self._playhead.target) if live is None else live
        frame = min(frame, manifest.source.frames - 1)
        return (self._video.wanted_rung if self._video else 0), manifest.segment_of(frame)
