"""One play of a stream, over as many connections as it takes.

    Connection ─┬─► control, pieces of assets ─► Playback
                └─► decoded frames ────────────► Playback ─► file, window
    lost ─► wait, connect again, go on at the next frame (client_sdk.reconnecting)

Signalling: draft-ietf-wish-whep-03. Data channel: docs/control.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

import av
from aiortc import RTCDataChannel

from client_sdk.cache import AssetCache
from client_sdk.connection import Connection
from client_sdk.contract.asset_frames import Assembler, decode_frame
from client_sdk.contract.control import (
    Anchor,
    Bye,
    ChooseRung,
    Hello,
    Loop,
    ManifestHead,
    Message,
    Pause,
    Refused,
    Resume,
    Sought,
    Stats,
    Switch,
    decode_server_message,
    minor_of,
)
from client_sdk.contract.manifest import Manifest, parse_manifest
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.playback import Playback, PlayOptions
from client_sdk.reconnecting import come_back
from client_sdk.sinks import WindowClosed, check_output
from client_sdk.whep import origin_of
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")

CONNECT_TIMEOUT = 15.0  # seconds until the manifest must be here
SILENCE = 4.0  # seconds without a frame, while not paused: the server is gone
DRAIN = 1.5  # seconds to wait for the last frames once the server said that it is over
QUIET = 0.1  # seconds without sound after the end: all of it is here
_HELD = 600  # frames that may come before the manifest


class Session:
    """A play. `run` does it all; `pause`, `resume`, `seek`, `loop` and `stop` steer it.

    `manifest` is a future that holds it once it came; `first_frame` is set by the first frame;
    `live` is the frame that a channel was at, or None where this is none.
    """

    def __init__(self, url: str, options: PlayOptions) -> None:
        self._url = url
        self._options = options
        if options.out is not None:
            check_output(options.out)
        if options.display:
            from client_sdk.display import check_display

            check_display()
        self._cache = AssetCache(options.cache, options.cache_limit)
        self._meter = PlayMeter()
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.manifest: asyncio.Future[Manifest] = asyncio.get_running_loop().create_future()
        self.live: int | None = None
        self._connection: Connection | None = None
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._joined = asyncio.Event()  # this connection's manifest is here
        self._head: ManifestHead | None = None
        self._head_assembler = Assembler()
        self._playback: Playback | None = None
        self._held: list[av.VideoFrame | av.AudioFrame] = []
        self._untimed: list[Anchor | Sought] = []
        self._paused = False
        self._loops = options.loop
        self._end_count: int | None = None
        self.first_frame = asyncio.Event()
        self._all_here = asyncio.Event()
        self._frame_came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------

    async def run(self) -> PlayStats:
        """Play until the end. Raises StreamError where it cannot start or breaks off for good."""
        self._spawn(self._report())
        try:
            self._meter.started = asyncio.get_running_loop().time()
            await self._connect(CONNECT_TIMEOUT)
            self._spawn(self._watch_silence())
            while (why := await self._until_lost()) is not None:
                await self._reconnect(why)
            self._meter.ended = await self._over
            if self._meter.ended == "end":
                await self._drain()
            if self._playback is not None:
                await self._playback.finish()
            return self._meter.stats()
        finally:
            await self._close()
            if self._options.on_status is not None:
                self._options.on_status(self._meter.stats())

    async def _connect(self, timeout: float) -> None:
        """A new connection, up to its manifest. Raises StreamError."""
        self._lost = asyncio.get_running_loop().create_future()
        self._joined = asyncio.Event()
        self._untimed.clear()
        self._held.clear()
        self._connection = Connection(self._url, self._options.token, self)
        await self._connection.open()
        joined = asyncio.ensure_future(self._joined.wait())
        either: set[asyncio.Future[Any]] = {joined, self._over, self._lost}
        try:
            done, _ = await asyncio.wait(
                either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            joined.cancel()
        if not done:
            raise StreamError(
                f"{self._url}: no manifest within {timeout:.0f} s: is it a Crispcast "
                "server, and does UDP get through?"
            )

    async def _until_lost(self) -> str | None:
        """Why the connection is lost; None where the play is over."""
        await asyncio.wait({self._over, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            return None
        why = self._lost.result()
        if self._playback is not None and self._playback.over:
            self.stop("end")
            self._all_here.set()
            return None
        return why

    async def _reconnect(self, why: str) -> None:
        """Look for the server until it is there again. Raises StreamError where it stays away."""

        async def attempt(left: float) -> None:
            self._hang_up()
            if not self._over.done():
                await self._connect(min(CONNECT_TIMEOUT, max(1.0, left)))
            self._meter.reconnects += self._joined.is_set()

        first = StreamError(f"{self._url}: {why}")
        await come_back(self._options.reconnect, first, attempt, self._over)

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
        """Go on after `pause`; in a channel, where that is by now."""
        if self._playback is not None and self.live is not None and self._paused:
            self._playback.join()
        self._paused = False
        self._frame_came.set()
        self._send(Resume())

    def seek(self, frame: int) -> None:
        """Go on at `frame`. Raises PackageError outside the video, StreamError in a channel."""
        if self.live is not None:
            raise StreamError(f"{self._url} is a channel: there is no seeking in it")
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

    def loop(self, on: bool) -> None:
        """Begin again at the end, or not."""
        self._loops = on
        if self._playback is not None:
            self._playback.loop(on)
        self._send(Loop(on=on))

    def stats(self) -> PlayStats:
        """The figures so far."""
        return self._meter.stats()

    @property
    def channel(self) -> RTCDataChannel:
        """The data channel of the connection there is. Raises StreamError before there is one."""
        if self._connection is None:
            raise StreamError(f"{self._url}: there is no connection yet")
        return self._connection.channel

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._spawn(connection.close())

    async def _close(self) -> None:
        self._send(Bye(reason="leaving"))
        for task in self._tasks:
            task.cancel()
        if self._playback is not None:
            # What went wrong there is raised already, or hidden by something that went before.
            with contextlib.suppress(Exception):
                await self._playback.finish()
        if self._connection is not None:
            await self._connection.close()
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
        return self._head is not None and minor_of(self._head.version) >= 1

    def _told(self, stats: PlayStats) -> Stats:
        playback = self._playback
        return Stats(
            frames=stats.frames,
            frames_sr=stats.frames_sr,
            frames_lost=stats.frames_lost,
            late_plans=stats.late_plans,
            plan_bytes=stats.plan_bytes,
            upscale_ms=stats.upscale_ms_median if playback is None else playback.networks_ms,
            fps=stats.fps,
            interpolating=playback is not None and playback.resting and self._switches,
        )

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._options.status_interval)
            stats = self._meter.stats()
            if self._options.on_status is not None:
                self._options.on_status(stats)
            self._send(self._told(stats))

    async def _watch_silence(self) -> None:
        while True:
            self._frame_came.clear()
            try:
                await asyncio.wait_for(self._frame_came.wait(), SILENCE)
            except TimeoutError:
                if not self._paused and self._joined.is_set():
                    self.lost(f"nothing came for {SILENCE:.0f} s; the server is gone")

    # -- what the connection tells -----------------------------------------------------------

    def opened(self) -> None:
        """The data channel is open."""
        self._send(Hello(sr=self._options.sr))

    def lost(self, why: str) -> None:
        """The connection is over."""
        if not self._lost.done():
            self._lost.set_result(why)

    def said(self, text: str) -> None:
        """A control message came."""
        self._guarded(self._on_control, text)

    def brought(self, data: bytes) -> None:
        """A piece of an asset came."""
        self._guarded(self._on_asset, data)

    def frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """A frame was decoded."""
        self._frame_came.set()
        if self._playback is None or not self._joined.is_set():
            if len(self._held) < _HELD:
                self._held.append(frame)
            return
        self._tell_times()
        self._playback.frame(frame)
        if isinstance(frame, av.VideoFrame):
            self.first_frame.set()
        if self._end_count is not None and self._playback.frames_seen >= self._end_count:
            self._all_here.set()

    def _guarded(self, take: Any, what: str | bytes) -> None:
        try:
            take(what)
        except StreamError as error:
            # A bad message costs itself; frames go on, interpolated where it was needed.
            self._meter.wrong_assets += 1
            log.warning("%s: %s", self._url, error)
        except Exception as error:
            self._fail(error)

    def _send(self, message: Message) -> None:
        if self._connection is not None:
            self._connection.send(message)

    def _on_control(self, text: str) -> None:
        message = decode_server_message(text)
        if isinstance(message, ManifestHead):
            self._on_head(message)
        elif isinstance(message, Anchor | Sought):
            self._untimed.append(message)
            self._tell_times()
        elif isinstance(message, Switch):
            if self._playback is not None:
                self._playback.switch(message.rung, message.frame)
        elif isinstance(message, Refused):
            log.warning("%s: no %s: %s", self._url, message.what, message.message)
            if self._playback is not None:
                self._playback.stay()
        elif message.reason == "end":
            self._on_end(message)
        elif message.reason == "shutdown":
            self.lost(_ended(message))
        else:
            self._fail(StreamError(f"{self._url}: {_ended(message)}"))

    def _on_head(self, head: ManifestHead) -> None:
        if self._playback is None:
            self._head = head
            self._head_assembler.expect(head.sha256, head.bytes)
        elif self._head is not None and head.sha256 == self._head.sha256:
            self._join(self._playback, head.live)
        else:
            self._fail(StreamError(f"{self._url} plays another video by now; start anew"))

    def _on_end(self, bye: Bye) -> None:
        self.stop("end")
        seen = 0 if self._playback is None else self._playback.frames_seen
        if bye.frames is None or seen >= bye.frames:
            self._all_here.set()
        else:
            self._end_count = bye.frames

    def _tell_times(self) -> None:
        """The other way to know a frame, for a decoder that drops SEI; and where a seek lands."""
        while self._untimed and self._playback is not None and self._connection is not None:
            message = self._untimed[0]
            pts = self._connection.pts_of(message.rtp_time)
            if pts is None:
                return
            del self._untimed[0]
            tell = self._playback.sought if isinstance(message, Sought) else self._playback.anchor
            tell(pts, message.rung, message.frame)

    def _on_asset(self, data: bytes) -> None:
        frame = decode_frame(data)
        if self._head is not None and frame.sha256 == self._head.sha256:
            body = self._head_assembler.add(frame) if self._playback is None else None
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
            ready=self._on_ready,
            on_error=self._on_sink_error,
            live=self._head.live,
        )
        self._join(self._playback, self._head.live)
        self.manifest.set_result(manifest)
        held, self._held = self._held, []
        for frame in held:
            self.frame(frame)

    def _join(self, playback: Playback, live: int | None) -> None:
        """This connection's manifest is here: go on, or begin."""
        assert self._connection is not None
        assert self._connection.answer is not None
        self.live = live
        self._end_count = None
        if self._loops:
            self._send(Loop(on=True))
        endpoint, token = self._connection.answer.endpoint, self._options.token
        same = origin_of(endpoint) == origin_of(self._url)
        playback.begin(live, endpoint, token if same else None)
        self._joined.set()

    def _on_ready(self) -> None:
        self._send(Pause() if self._paused else Resume())

    def _on_sink_error(self, error: Exception) -> None:
        if isinstance(error, WindowClosed):
            self.stop("closed")
        else:
            self._fail(error)


def _ended(bye: Bye) -> str:
    return f"the server ended the play{': ' + bye.message if bye.message else ''}"


async def play_async(url: str, options: PlayOptions) -> PlayStats:
    """Play `url` to its end inside a running event loop. Raises StreamError."""
    return await Session(url, options).run()
