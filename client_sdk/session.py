"""One play of a stream: WHEP, the data channel, decoded frames, and what becomes of them.

    POST offer ─► 201 answer ─► ICE, DTLS ─► data channel: hello, manifest, want, assets, resume
                                        └──► RTP: H.264 or AV1, decoded ─► Playback

Signalling: draft-ietf-wish-whep-03. Data channel: RFC 8831. Video: RFC 6184, AV1.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from client_sdk.cache import AssetCache
from client_sdk.contract import av1_codec
from client_sdk.contract.asset_frames import Assembler, decode_frame
from client_sdk.contract.control import (
    CHANNEL,
    Anchor,
    Bye,
    ChooseRung,
    Hello,
    ManifestHead,
    Message,
    Pause,
    Resume,
    Stats,
    Switch,
    decode_server_message,
    encode_message,
    knows_switches,
)
from client_sdk.contract.manifest import Manifest, parse_manifest
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.playback import Playback, PlayOptions
from client_sdk.sinks import WindowClosed, check_output
from client_sdk.whep import Answer, delete_session, post_offer
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")

CONNECT_TIMEOUT = 15.0  # seconds until the manifest must be here
SILENCE = 10.0  # seconds without a frame, while not paused: the server is gone
DRAIN = 1.5  # seconds to wait for the last frames once the server said that it is over
QUIET = 0.1  # seconds without sound after the end: all of it is here
_CODECS = (av1_codec.MIME_TYPE, "video/H264", "video/rtx")
_HELD = 600  # frames that may come before the manifest


class Session:
    """A connected play. `run` does it all; `pause`, `resume`, `seek` and `stop` steer it.

    `manifest` is a future that holds it once it came; `first_frame` is set by the first frame.
    """

    def __init__(self, url: str, options: PlayOptions) -> None:
        self._url = url
        self._options = options
        if options.out is not None:
            check_output(options.out)
        if options.display:
            from client_sdk.display import check_display

            check_display()
        self._cache = AssetCache(options.cache)
        av1_codec.register()
        self._meter = PlayMeter()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self._peer.createDataChannel(CHANNEL)
        self._answer: Answer | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.manifest: asyncio.Future[Manifest] = asyncio.get_running_loop().create_future()
        self._head: ManifestHead | None = None
        self._head_assembler = Assembler()
        self._playback: Playback | None = None
        self._held: list[av.VideoFrame | av.AudioFrame] = []
        self._paused = False
        self._end_count: int | None = None
        self._receiver: RTCRtpReceiver | None = None
        self.first_frame = asyncio.Event()
        self._all_here = asyncio.Event()
        self._frame_came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listen()

    # -- life ---------------------------------------------------------------------------------

    async def run(self) -> PlayStats:
        """Play until the end. Raises StreamError where it cannot start or breaks off."""
        reporting = asyncio.create_task(self._report())
        try:
            await self._connect()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    either: set[asyncio.Future[Any]] = {self.manifest, self._over}
                    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                raise StreamError(
                    f"{self._url}: no manifest within {CONNECT_TIMEOUT:.0f} s: is it a Crispcast "
                    "server, and does UDP get through?"
                ) from None
            self._spawn(self._watch_silence())
            self._meter.ended = await self._over
            if self._meter.ended == "end":
                await self._drain()
            if self._playback is not None:
                await self._playback.finish()
            return self._meter.stats()
        finally:
            reporting.cancel()
            await self._close()
            if self._options.on_status is not None:
                self._options.on_status(self._meter.stats())

    async def _drain(self) -> None:
        """Wait for the last frames: all video that was sent, and sound until it falls silent."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_here.wait(), DRAIN)
        if self.manifest.done() and self.manifest.result().audio is not None:
            with contextlib.suppress(TimeoutError):
                while True:
                    self._frame_came.clear()
                    await asyncio.wait_for(self._frame_came.wait(), QUIET)

    def stop(self, reason: str = "stopped") -> None:
        """End the play; what has come is still put out."""
        if not self._over.done():
            self._over.set_result(reason)

    def pause(self) -> None:
        """Ask the server to send nothing until `resume`."""
        self._paused = True
        self._send(Pause())

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._frame_came.set()
        self._send(Resume())

    def seek(self, frame: int) -> None:
        """Go on from the IDR at or before `frame`. Raises PackageError outside the video."""
        if self._playback is not None:
            self._playback.seek(frame)

    def choose_rung(self, rung: int | None) -> None:
        """Play this rung from the next segment on; None: whichever the server sees fit.

        Raises StreamError where the server knows nothing of None, or the manifest is not here yet.
        """
        if self._head is None:
            raise StreamError("the manifest is not here yet; choose a rung when it is")
        if rung is None and not self._switches:
            raise StreamError("the server does not choose rungs by itself; choose one")
        self._send(ChooseRung(rung=rung))

    def stats(self) -> PlayStats:
        """The figures so far."""
        return self._meter.stats()

    async def _connect(self) -> None:
        peer = self._peer
        video = peer.addTransceiver("video", direction="recvonly")
        capabilities = RTCRtpReceiver.getCapabilities("video")
        assert capabilities is not None
        video.setCodecPreferences([c for c in capabilities.codecs if c.mimeType in _CODECS])
        self._receiver = video.receiver
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        # First-frame times count from the POST.
        self._meter.started = asyncio.get_running_loop().time()
        self._answer = await asyncio.to_thread(
            post_offer, self._url, peer.localDescription.sdp, token=self._options.token
        )
        try:
            await peer.setRemoteDescription(RTCSessionDescription(self._answer.sdp, "answer"))
        except Exception as error:  # aiortc raises whatever its parser trips over
            raise StreamError(f"{self._url} gave an answer that is no SDP: {error}") from None

    async def _close(self) -> None:
        self._send(Bye(reason="leaving"))
        for task in self._tasks:
            task.cancel()
        if self._playback is not None:
            # What went wrong there is raised already, or hidden by something that went before.
            with contextlib.suppress(Exception):
                await self._playback.finish()
        await self._peer.close()
        if self._answer is not None:
            await asyncio.to_thread(delete_session, self._answer.session)
        for future in (self._over, self.manifest):
            if future.done() and not future.cancelled():
                future.exception()  # retrieved, so that asyncio does not complain

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    @property
    def _switches(self) -> bool:
        """Whether the server speaks 1.1 or more of the protocol."""
        return self._head is not None and knows_switches(self._head.version)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._options.status_interval)
            stats, playback = self._meter.stats(), self._playback
            if self._options.on_status is not None:
                self._options.on_status(stats)
            self._send(
                Stats(
                    frames=stats.frames,
                    frames_sr=stats.frames_sr,
                    frames_lost=stats.frames_lost,
                    late_plans=stats.late_plans,
                    plan_bytes=stats.plan_bytes,
                    upscale_ms=stats.upscale_ms_median
                    if playback is None
                    else playback.networks_ms,
                    fps=stats.fps,
                    interpolating=playback is not None and playback.resting and self._switches,
                )
            )

    async def _watch_silence(self) -> None:
        while True:
            self._frame_came.clear()
            try:
                await asyncio.wait_for(self._frame_came.wait(), SILENCE)
            except TimeoutError:
                if not self._paused:
                    raise StreamError(
                        f"{self._url}: nothing came for {SILENCE:.0f} s; the server is gone"
                    ) from None

    # -- data channel -------------------------------------------------------------------------

    def _listen(self) -> None:
        self.channel.on("open", lambda: self._send(Hello(sr=self._options.sr)))
        self.channel.on("message", self._on_message)
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_connection_state)

    def _on_connection_state(self) -> None:
        state = self._peer.connectionState
        if state in ("failed", "closed") and not self._over.done():
            self._fail(StreamError(f"{self._url}: the connection {state}"))

    def _send(self, message: Message) -> None:
        if self.channel.readyState == "open":
            self.channel.send(encode_message(message))

    def _on_message(self, data: str | bytes) -> None:
        try:
            if isinstance(data, bytes):
                self._on_asset(data)
            else:
                self._on_control(data)
        except StreamError as error:
            # A bad message costs itself; frames go on, interpolated where it was needed.
            self._meter.wrong_assets += 1
            log.warning("%s: %s", self._url, error)
        except Exception as error:
            self._fail(error)

    def _on_control(self, text: str) -> None:
        message = decode_server_message(text)
        if isinstance(message, ManifestHead):
            self._head = message
            self._head_assembler.expect(message.sha256, message.bytes)
        elif isinstance(message, Anchor):
            self._on_anchor(message)
        elif isinstance(message, Switch):
            if self._playback is not None:
                self._playback.switch(message.rung, message.frame)
        elif message.reason == "end":
            self._on_end(message)
        else:
            said = f": {message.message}" if message.message else ""
            self._fail(StreamError(f"{self._url}: the server ended the play{said}"))

    def _on_end(self, bye: Bye) -> None:
        self.stop("end")
        seen = 0 if self._playback is None else self._playback.frames_seen
        if bye.frames is None or seen >= bye.frames:
            self._all_here.set()
        else:
            self._end_count = bye.frames

    def _on_anchor(self, anchor: Anchor) -> None:
        """The other way to know a frame, for a decoder that drops SEI."""
        # aiortc rebases time stamps on the first one, which it keeps to itself.
        mapper = getattr(self._receiver, "_RTCRtpReceiver__timestamp_mapper", None)
        origin = getattr(mapper, "_origin", None)
        if self._playback is not None and isinstance(origin, int):
            pts = (anchor.rtp_time - origin) & 0xFFFF_FFFF
            self._playback.anchor(pts, anchor.rung, anchor.frame)

    def _on_asset(self, data: bytes) -> None:
        frame = decode_frame(data)
        if self._head is not None and frame.sha256 == self._head.sha256:
            body = self._head_assembler.add(frame)
            if body is not None:
                self._on_manifest(body)
            return
        if self._playback is None:
            raise StreamError("an asset came before the manifest")
        self._playback.asset(frame)

    def _on_manifest(self, body: bytes) -> None:
        assert self._head is not None
        manifest = parse_manifest(body, f"the manifest of {self._url}")
        if self._head.rung >= len(manifest.rungs):
            raise StreamError(f"{self._url} plays rung {self._head.rung}, which is not there")
        self._playback = Playback(
            manifest,
            self._head.rung,
            self._options,
            cache=self._cache,
            meter=self._meter,
            send=self._send,
            on_error=self._on_sink_error,
        )
        self.manifest.set_result(manifest)
        held, self._held = self._held, []
        for frame in held:
            self._on_frame(frame)

    def _on_sink_error(self, error: Exception) -> None:
        if isinstance(error, WindowClosed):
            self.stop("closed")
        else:
            self._fail(error)

    # -- media --------------------------------------------------------------------------------

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._spawn(self._receive(track))

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if isinstance(frame, av.VideoFrame | av.AudioFrame):
                self._on_frame(frame)

    def _on_frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        self._frame_came.set()
        if self._playback is None:
            if len(self._held) < _HELD:
                self._held.append(frame)
            return
        self._playback.frame(frame)
        if isinstance(frame, av.VideoFrame):
            self.first_frame.set()
        if self._end_count is not None and self._playback.frames_seen >= self._end_count:
            self._all_here.set()


async def play_async(url: str, options: PlayOptions) -> PlayStats:
    """Play `url` to its end inside a running event loop. Raises StreamError."""
    return await Session(url, options).run()
