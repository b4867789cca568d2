"""What is played, from the side of the event loop: the thread that has the core's session.

    messages, pieces, decoded frames, wishes ─► UpscalingThread ─► file, window
    `Player` ◄─ what is to be sent, fetched, or known ◄───┘

Never waits, and decides nothing: that is the core's (docs/sdk-core.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import av

from client_sdk.cache import AssetCache
from client_sdk.contract.asset_frames import AssetFrame
from client_sdk.contract.control import Wanted
from client_sdk.contract.manifest import Manifest
from client_sdk.contract.signing import key_text
from client_sdk.core import Delivery, Session, Task, TaskKind
from client_sdk.http_assets import HttpAssets
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.sinks import Sink, WindowClosed, open_sink
from client_sdk.upscaling_thread import UpscalingThread
from kernels.errors import CrispcastError, StreamError

log = logging.getLogger("crispcast.client")

FILE_BACKLOG, WINDOW_BACKLOG = 300, 8  # frames that may wait before some are interpolated
HTTP_FROM = 64 << 10
"""Bytes from which on `auto` prefers HTTP: a data channel is slow where packets are lost."""
_NEVER = (1 << 32) - 1
_MOST_COMPLAINTS = 100  # that are logged: a server may say bad things without end


class Player(Protocol):
    """Whose playback it is; always in the event loop."""

    def send(self, text: str) -> None:
        """Say that on the data channel."""

    def begin(self, manifest: Manifest) -> None:
        """The manifest is here, for the first time."""

    def joined(self, live: int | None) -> None:
        """This connection plays it; `live`: the frame that a channel is at."""

    def shown(self) -> None:
        """The first frame was put out."""

    def ended(self, frames: int | None) -> None:
        """The video is over; so many frames were sent, where that is known."""

    def lost(self, why: str) -> None:
        """The server goes, and may come again."""

    def fail(self, error: BaseException) -> None:
        """The play cannot go on."""

    def stop(self, reason: str) -> None:
        """The play is over, in peace."""


class Playback:
    """The play of `url`, over all its connections. `manifest`: None until it is here."""

    def __init__(
        self, url: str, options: PlayOptions, cache: AssetCache, meter: PlayMeter, player: Player
    ) -> None:
        self._url = url
        self._options = options
        self._meter = meter
        self._player = player
        self._loop = asyncio.get_running_loop()
        self._http: HttpAssets | None = None
        self._complaints = 0
        self._session = Session(
            threads=options.threads,
            delivery=Delivery.HTTP if options.delivery == "http" else Delivery.AUTO,
            http_from=_NEVER if options.delivery == "channel" else HTTP_FROM,
            cache=True,
            plain=not options.sr,
            loops=options.loop,
            trust=" ".join(map(key_text, options.trust)) or None,
        )
        self._thread = UpscalingThread(
            self._session,
            self._sinks,
            meter,
            cache,
            self,
            max_backlog=WINDOW_BACKLOG if options.out is None else FILE_BACKLOG,
            # A file has time.
            paced=options.out is None,
        )

    @property
    def manifest(self) -> Manifest | None:
        return self._thread.manifest

    # -- connections --------------------------------------------------------------------------

    def connected(self, endpoint: str, token: str | None) -> None:
        """A data channel is open; `endpoint`'s server has the assets too."""
        self._hang_up()
        self._http = HttpAssets(endpoint, token, self._by_http, self._http_failed)
        self._thread.say(self._session.connected)

    async def disconnected(self) -> bool:
        """The connection is lost: do all that came by it. Whether the video is over."""
        self._hang_up()
        with contextlib.suppress(CrispcastError):  # the play has failed
            return await asyncio.wrap_future(self._thread.disconnected())
        return False

    def said(self, text: str) -> None:
        """A control message came."""
        self._thread.say(partial(self._session.message, text.encode("utf-8", "surrogatepass")))

    def brought(self, data: bytes) -> None:
        """A piece of an asset came by the data channel."""
        self._thread.say(partial(self._session.frame_bytes, data))

    def frame(self, frame: av.VideoFrame | av.AudioFrame, rtp_time: int) -> None:
        """A decoded frame came, in order."""
        if isinstance(frame, av.AudioFrame):
            self._thread.audio(frame)
        else:
            self._thread.frame(frame, rtp_time)

    def _hang_up(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def _by_http(self, frame: AssetFrame) -> None:
        self._meter.http_bytes += len(frame.data)
        self._thread.say(partial(self._session.piece, frame.sha256, frame.offset, frame.data))

    def _http_failed(self, sha256: str) -> None:
        self._thread.say(partial(self._session.lacks, sha256))

    # -- wishes -------------------------------------------------------------------------------

    def seek(self, frame: int) -> None:
        """Go on at `frame`."""
        self._meter.sought()
        self._thread.say(partial(self._session.seek, frame))

    def pause(self, on: bool) -> None:
        """The server sends nothing until it is off again."""
        self._thread.say(partial(self._session.pause, on))
        if not on:
            self._thread.resumed()

    def loop(self, on: bool) -> None:
        """Begin again at the end, or not."""
        self._thread.say(partial(self._session.loop, on))

    def choose_rung(self, rung: int | None) -> None:
        """Play this rung from the next segment on; None: whichever the server sees fit."""
        self._thread.say(partial(self._session.choose_rung, rung))

    def report(self, stats: PlayStats) -> None:
        """Tell the server how it goes."""
        self._thread.report(stats.fps)

    async def finish(self) -> None:
        """Say goodbye and put out all that came. Raises what went wrong with a file or window."""
        self._hang_up()
        self._thread.say(self._session.leave)
        await asyncio.to_thread(self._thread.finish)
        error = self._thread.error
        if error is not None and not isinstance(error, WindowClosed):
            raise error

    # -- what the thread tells, from there ----------------------------------------------------

    def tell(self, task: Task) -> None:
        """A task that is not of assets."""
        self._in_loop(partial(self._heed, task))

    def complain(self, error: CrispcastError) -> None:
        """Something was refused."""
        self._warn(str(error))

    def begin(self) -> None:
        """The first frame was put out."""
        self._in_loop(self._player.shown)

    def end(self, error: Exception) -> None:
        """The output is over."""
        if isinstance(error, WindowClosed):
            self._in_loop(partial(self._player.stop, "closed"))
        else:
            self._in_loop(partial(self._player.fail, error))

    def _heed(self, task: Task) -> None:
        match task.kind:
            case TaskKind.SEND:
                self._player.send(task.data.decode())
            case TaskKind.FETCH:
                if self._http is not None:
                    self._http.fetch(Wanted(sha256=task.sha256, offset=task.offset), task.total)
            case TaskKind.MANIFEST:
                assert self.manifest is not None
                self._player.begin(self.manifest)
            case TaskKind.JOINED:
                self._player.joined(None if task.frame < 0 else task.frame)
            case TaskKind.ENDED:
                self._player.ended(None if task.count < 0 else task.count)
            case TaskKind.LOST:
                self._player.lost(task.text)
            case TaskKind.FAILED:
                self._player.fail(StreamError(f"{self._url}: {task.text}"))
            case TaskKind.NOT_DONE:
                self._warn(f"no {task.text}")
            case TaskKind.UNTRUSTED:
                log.warning("%s: %s; all is interpolated", self._url, task.text)
                self._meter.untrusted = task.text
            case TaskKind.REFUSED:
                self._warn(f"asset {task.sha256[:16]}: {task.text}")

    def _warn(self, what: str) -> None:
        self._complaints += 1
        if self._complaints <= _MOST_COMPLAINTS:
            log.warning("%s: %s", self._url, what)

    def _sinks(self, manifest: Manifest) -> list[Sink]:
        sinks: list[Sink] = []
        if self._options.out is not None:
            sinks.append(open_sink(Path(self._options.out), manifest))
        if self._options.display:
            from client_sdk.display import WindowSink

            sinks.append(WindowSink(manifest))
        return sinks

    def _in_loop(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be gone when the thread ends
            self._loop.call_soon_threadsafe(function)
