"""One play of a stream, over as many connections as it takes.

    Connection ─► messages, pieces of assets, decoded frames ─► Playback ─► file, window
    lost ─► wait, connect again, go on at the next frame (client_sdk.reconnecting)

Signalling: draft-ietf-wish-whep-03.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import av
from aiortc import RTCDataChannel

from client_sdk.cache import AssetCache
from client_sdk.connection import Connection
from client_sdk.contract.manifest import Manifest
from client_sdk.origin import Origin
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.playback import Playback
from client_sdk.reconnecting import come_back
from client_sdk.sfu_connection import SfuConnection
from client_sdk.sinks import check_output
from client_sdk.whep import checked_url, origin_of, origins_of, without_query
from kernels.errors import StreamError

CONNECT_TIMEOUT = 15.0  # seconds until the manifest must be here
SILENCE = 4.0  # seconds without a frame, while not paused: the server is gone
DRAIN = 1.5  # seconds to wait for the last frames once the server said that it is over
QUIET = 0.1  # seconds without sound after the end: all of it is here


class Session:
    """A play. `run` does it all; `pause`, `resume`, `seek`, `loop` and `stop` steer it.

    `manifest` is a future that holds it once it came; `first_frame` is set once a frame was put
    out; `connection` is the one there is now; `live` is the frame that a channel was at, or None
    where this is none.
    """

    def __init__(self, url: str, options: PlayOptions) -> None:
        self._url = url
        self._answered = url  # by whom, the last time
        self._origin: Origin | None = None  # where the media comes from elsewhere
        if options.media is not None:
            self._origin = Origin(url, options.token, signed=bool(options.trust))
            options = replace(options, loop=True, delivery="http")
        self._options = options
        self._trusted = origins_of(url, *options.token_origins)
        if options.out is not None:
            check_output(options.out)
        if options.display:
            from client_sdk.display import check_display

            check_display()
        self._cache = AssetCache(options.cache, options.cache_limit)
        self._meter = PlayMeter()
        self.playback: Playback | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.manifest: asyncio.Future[Manifest] = asyncio.get_running_loop().create_future()
        self.live: int | None = None
        self.connection: Connection | SfuConnection | None = None
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._joined = asyncio.Event()  # this connection's manifest is here
        self._paused = False
        self._loops: bool | None = None  # as it was wished for
        self._frames = 0  # that came by this connection
        self._end_count: int | None = None
        self.first_frame = asyncio.Event()
        self._all_here = asyncio.Event()
        self._frame_came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------

    async def run(self) -> PlayStats:
        """Play until the end. Raises StreamError where it cannot start or breaks off for good."""
        self.playback = Playback(self._url, self._options, self._cache, self._meter, self)
        # What was wished for before there was anything to play.
        if self._paused:
            self.playback.pause(True)
        if self._loops is not None:
            self.playback.loop(self._loops)
        self._spawn(self._report(self.playback))
        try:
            self._meter.started = asyncio.get_running_loop().time()
            await self._connect(self._url, CONNECT_TIMEOUT)
            self._spawn(self._watch_silence())
            while (why := await self._until_lost(self.playback)) is not None:
                await self._reconnect(why)
            self._meter.ended = await self._over
            if self._meter.ended == "end":
                await self._drain()
            await self.playback.finish()
            return self._meter.stats()
        finally:
            await self._close()
            if self._options.on_status is not None:
                self._options.on_status(self._meter.stats())

    async def _connect(self, url: str, timeout: float) -> None:
        """A new connection, up to its manifest. Raises StreamError."""
        self._lost = asyncio.get_running_loop().create_future()
        self._joined = asyncio.Event()
        self._frames, self._end_count = 0, None
        token = self._options.token if origin_of(url) in self._trusted else None
        self.connection = self._connection_to(url, token)
        await self.connection.open()
        assert self.connection.answer is not None
        endpoint = self.connection.answer.endpoint
        self._answered = url if endpoint == checked_url(url) else without_query(endpoint)
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

    def _connection_to(self, url: str, token: str | None) -> Connection | SfuConnection:
        options = self._options
        if self._origin is None or options.media is None:
            return Connection(url, token, options.token_origins, self)
        return SfuConnection(options.media, options.media_token, self._origin, self)

    async def _until_lost(self, playback: Playback) -> str | None:
        """Why the connection is lost; None where the play is over."""
        await asyncio.wait({self._over, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done():
            return None
        self._hang_up()
        over = await playback.disconnected()
        if self._over.done():
            return None  # the server's last word came meanwhile
        if not over:
            return self._lost.result()
        self.stop("end")
        self._all_here.set()
        return None

    async def _reconnect(self, why: str) -> None:
        """Look for the server until it is there again. Raises StreamError where it stays away.

        Where the play was sent on to another server, that one is asked in turn with the first.
        """
        places = itertools.cycle((self._url, self._answered))

        async def attempt(left: float) -> None:
            self._hang_up()
            if self.playback is not None:
                await self.playback.disconnected()
            if not self._over.done():
                await self._connect(next(places), min(CONNECT_TIMEOUT, max(1.0, left)))
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
        if self.playback is not None:
            self.playback.pause(True)

    def resume(self) -> None:
        """Go on after `pause`; in a channel, where that is by now."""
        self._paused = False
        self._frame_came.set()
        if self.playback is not None:
            self.playback.pause(False)

    def seek(self, frame: int) -> None:
        """Go on at `frame`. Raises PackageError outside the video, StreamError in a channel."""
        if self.live is not None or self._origin is not None:
            raise StreamError(f"{self._url} is a channel: there is no seeking in it")
        if self.playback is not None and self.playback.manifest is not None:
            self.playback.manifest.segment_of(frame)
            self.playback.seek(frame)

    def choose_rung(self, rung: int | None) -> None:
        """Play this rung from the next segment on; None: whichever the server sees fit.

        Raises StreamError where the manifest is not here yet. A server that does not choose rungs
        by itself is not asked for that, and the log says so.
        """
        if self.playback is None or self.playback.manifest is None:
            raise StreamError("the manifest is not here yet; choose a rung when it is")
        self.playback.choose_rung(rung)

    def loop(self, on: bool) -> None:
        """Begin again at the end, or not."""
        self._loops = on
        if self.playback is not None:
            self.playback.loop(on)

    def stats(self) -> PlayStats:
        """The figures so far."""
        return self._meter.stats()

    @property
    def channel(self) -> RTCDataChannel:
        """The data channel of the connection there is. Raises StreamError where there is none."""
        if not isinstance(self.connection, Connection):
            raise StreamError(f"{self._url}: there is no data channel")
        return self.connection.channel

    def _hang_up(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.ignore()
            self._spawn(connection.close())

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self.playback is not None:
            # What went wrong there is raised already, or hidden by something that went before.
            with contextlib.suppress(Exception):
                await self.playback.finish()
        if self.connection is not None:
            await self.connection.close()
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
            self.fail(error)

    async def _report(self, playback: Playback) -> None:
        while True:
            await asyncio.sleep(self._options.status_interval)
            stats = self._meter.stats()
            if self._options.on_status is not None:
                self._options.on_status(stats)
            playback.report(stats)

    async def _watch_silence(self) -> None:
        while True:
            self._frame_came.clear()
            try:
                await asyncio.wait_for(self._frame_came.wait(), SILENCE)
            except TimeoutError:
                # What was set while the timeout was on its way here ends the silence too.
                silent = not self._frame_came.is_set() and not self._paused
                if silent and self._joined.is_set():
                    self.lost(f"nothing came for {SILENCE:.0f} s; the server is gone")

    # -- what the connection tells ------------------------------------------------------------

    def opened(self) -> None:
        """The data channel is open."""
        assert self.connection is not None
        assert self.connection.answer is not None
        assert self.playback is not None
        endpoint, token = self.connection.answer.endpoint, self._options.token
        trusted = origin_of(endpoint) in self._trusted
        self.playback.connected(endpoint, token if trusted else None)

    def lost(self, why: str) -> None:
        """The connection is over."""
        if not self._lost.done():
            self._lost.set_result(why)

    def broke(self, why: str) -> None:
        """The server broke the protocol."""
        self.fail(StreamError(f"{self._url} broke the protocol: {why}"))

    def said(self, text: str) -> None:
        """A control message came."""
        if self.playback is not None:
            self.playback.said(text)

    def brought(self, data: bytes) -> None:
        """A piece of an asset came."""
        if self.playback is not None:
            self.playback.brought(data)

    def frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """A frame was decoded."""
        if self.playback is None or self.connection is None:
            return
        self._frame_came.set()
        self.playback.frame(frame, self.connection.rtp_time_of(int(frame.pts or 0)))
        self._frames += isinstance(frame, av.VideoFrame)
        self._see_whether_all_is_here()

    # -- what the playback tells --------------------------------------------------------------

    def send(self, text: str) -> None:
        """Say that on the data channel."""
        if self.connection is not None:
            self.connection.send(text)

    def begin(self, manifest: Manifest) -> None:
        """The manifest is here."""
        self.manifest.set_result(manifest)

    def joined(self, live: int | None) -> None:
        """This connection's manifest is here."""
        self.live = live
        self._joined.set()
        self._frame_came.set()  # silence is counted from here

    def shown(self) -> None:
        """The first frame was put out."""
        self.first_frame.set()

    def ended(self, frames: int | None) -> None:
        """The video is over, and so is the play once all `frames` are here."""
        self.stop("end")
        self._end_count = frames or 0
        self._see_whether_all_is_here()

    def fail(self, error: BaseException) -> None:
        """The play cannot go on: `run` raises `error`."""
        if not self._over.done():
            self._over.set_exception(error)

    def _see_whether_all_is_here(self) -> None:
        if self._end_count is not None and self._frames >= self._end_count:
            self._all_here.set()


async def play_async(url: str, options: PlayOptions) -> PlayStats:
    """Play `url` to its end inside a running event loop. Raises StreamError."""
    return await Session(url, options).run()
