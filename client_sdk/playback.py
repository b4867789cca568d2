"""What happens to decoded frames and arriving assets once the manifest is known.

    asset frames ─► AssetFetcher ─► cache ──────┐
    decoded frames ─► FrameClock ─► Landing ────┴─► UpscalingThread ─► file, window

Lives in the event loop, and never waits: pixels are the thread's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av

from client_sdk.asset_fetcher import Arrival, AssetFetcher
from client_sdk.asset_routes import AssetRoutes, Preference
from client_sdk.cache import DEFAULT_LIMIT, AssetCache
from client_sdk.contract import sei
from client_sdk.contract.asset_frames import AssetFrame
from client_sdk.contract.control import Message, Seek
from client_sdk.contract.manifest import Manifest
from client_sdk.contract.signing import Trust
from client_sdk.frame_clock import CLOCK_RATE, FrameClock
from client_sdk.http_assets import HttpAssets
from client_sdk.landing import Landing
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.receiving import identity_of
from client_sdk.sinks import Sink, WindowClosed, open_sink
from client_sdk.upscaling_thread import UpscalingThread
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")

FILE_BACKLOG, WINDOW_BACKLOG = 300, 8  # frames that may wait before some are interpolated

_LONGEST_GAP = 10  # seconds without a picture that are put out as such

OnStatus: TypeAlias = Callable[[PlayStats], None]


@dataclass(frozen=True)
class PlayOptions:
    """How to play. `out`: .y4m or .mp4; `threads` 0: all cores; `cache`: a folder, or None.

    `cache_limit`: bytes that the cache may hold. `delivery`: the way that assets are asked for
    first (`client_sdk.asset_routes`). `loop`: begin again at the end, for ever. `reconnect`:
    seconds for which a lost server is looked for; 0: not at all. `token`: the bearer token that the
    server wants, where it wants one; `token_origins`: who else may see it when the server sends
    the play there, as https://b.example.org. `trust`: public keys, one of which must have signed
    the manifest, or all is interpolated; none: signatures are not asked for. `media`: the WHEP
    endpoint of an SFU that the media comes from, with `media_token` where it wants one; the URL
    that is played is then a package's at its origin (`client_sdk.sfu_connection`).
    """

    out: str | os.PathLike[str] | None = None
    display: bool = False
    sr: bool = True
    threads: int = 0
    cache: str | os.PathLike[str] | None = None
    cache_limit: int = DEFAULT_LIMIT
    delivery: Preference = "auto"
    loop: bool = False
    reconnect: float = 30.0
    on_status: OnStatus | None = None
    status_interval: float = 0.5
    token: str | None = field(default=None, repr=False)
    token_origins: tuple[str, ...] = ()
    trust: Trust = ()
    media: str | None = None
    media_token: str | None = field(default=None, repr=False)


class Playback:
    """The play of a stream, from `rung_index` on.

    `send` speaks to the server; `on_error` hears of a sink's end.
    Asks for assets as the play goes on, and calls `ready` once those of the first segment are
    prepared. `live`: the frame that a channel is at; its viewers cannot seek.
    """

    def __init__(
        self,
        manifest: Manifest,
        rung_index: int,
        options: PlayOptions,
        *,
        cache: AssetCache,
        meter: PlayMeter,
        send: Callable[[Message], None],
        ready: Callable[[], None],
        on_error: Callable[[Exception], None],
        live: int | None = None,
    ) -> None:
        self.manifest = manifest
        self._options = options
        self._meter = meter
        self._send = send
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._loops = options.loop or live is not None
        self._clock = FrameClock(manifest)
        self._landing = Landing(manifest)
        self._fetcher: AssetFetcher | None = None
        if options.sr:
            self._fetcher = AssetFetcher(manifest, cache, loops=self._loops)
        self._thread = UpscalingThread(
            manifest,
            rung_index,
            self._sinks,
            meter,
            cache,
            threads=options.threads,
            max_backlog=WINDOW_BACKLOG if options.out is None else FILE_BACKLOG,
            # A file has time.
            paced=options.out is None,
            loops=self._loops,
            on_error=lambda error: self._in_loop(lambda: on_error(error)),
        )
        self.routes: AssetRoutes | None = None
        if self._fetcher is not None:
            fetcher = self._fetcher
            self.routes = AssetRoutes(options.delivery, send, fetcher.missing, fetcher.size)
        self._origin: Fraction | None = None  # time stamp of position 0
        self._position = -1  # of the last frame
        self._rung = rung_index
        self._segment = -1
        self._ready_for: int | None = None  # the segment whose assets `ready` waits for
        self._next = 0
        self.frames_seen = 0

    def begin(self, live: int | None, url: str, token: str | None) -> None:
        """A connection is there: ask for assets, from `url`'s server too, and for the place.

        After the first one: go on where the play was.
        """
        if self.routes is not None:
            self.routes.connected(HttpAssets(url, token, self._by_http, self.routes.http_failed))
        again = self._position >= 0
        self._clock.forget()
        self._landing.reconnected()
        self.frames_seen = 0
        if live is not None:
            self.join()
        elif self._next:
            self._landing.begin(self._next)
            self._send(Seek(frame=self._next))
        if again:
            self._origin = None
        segment = self.manifest.segment_of(self._next if live is None else live)
        self._segment, self._ready_for = segment, segment
        if self._fetcher is not None and self.routes is not None:
            for want in self._fetcher.resume():
                self.routes.ask(want)
        self._advance(segment)

    @property
    def over(self) -> bool:
        """Whether the last frame of the video has come."""
        return self._next >= self.manifest.source.frames

    def asset(self, frame: AssetFrame) -> None:
        """Take a piece of an asset. Raises StreamError where it is not wanted or damaged."""
        if self._fetcher is None or self.routes is None:
            return
        self._meter.plan_bytes += len(frame.data)
        arrival, again = self._fetcher.arrived(frame)
        self.routes.came(frame.sha256)
        for want in again:
            self.routes.ask(want)
        if arrival is not None:
            self._take(arrival)
            self._say_when_ready()

    def frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """Take a decoded frame, in order."""
        if isinstance(frame, av.AudioFrame):
            self._thread.audio(frame)
            return
        pts = int(frame.pts or 0)
        identified = self._clock.identify(pts, identity_of(frame))
        self.frames_seen += 1
        landing = self._landing.active
        if not self._landing.shows(pts, identified):
            if identified is not None and self._options.sr:
                self._thread.pass_over(identified, frame)
            return
        if landing:
            self._origin = None
        self._position = self._place(pts)
        self._next += 1
        if identified is not None:
            self._next = identified.frame + 1
            segment = self.manifest.segment_of(identified.frame)
            if (identified.rung, segment) != (self._rung, self._segment):
                self._rung, self._segment = identified.rung, segment
                self._advance(segment)
        if self._loops and self.over:
            self._next = 0
        known = identified if self._options.sr else None
        self._thread.frame(self._position, known, frame, landed=landing)

    def _place(self, pts: int) -> int:
        """Where a picture stands among those that were put out, in frames of time."""
        rate = self.manifest.source.rate
        if self._origin is not None:
            position = round((pts - self._origin) * rate / CLOCK_RATE)
            if 0 < position - self._position <= _LONGEST_GAP * rate:
                return position
        # What was put out goes on without a gap, whatever time passed meanwhile, or was told.
        self._origin = pts - (self._position + 1) * CLOCK_RATE / rate
        return self._position + 1

    def anchor(self, pts: int, rung: int, frame: int) -> None:
        """The server says which frame has this time stamp."""
        self._clock.set_anchor(pts, sei.FrameIdentity(self.manifest.id, rung, frame))

    def switch(self, rung: int, frame: int) -> None:
        """The server says which rung plays from this frame on: get its assets ready.

        Raises StreamError where there is no such rung or frame.
        """
        if rung >= len(self.manifest.rungs) or frame >= self.manifest.source.frames:
            raise StreamError(f"a switch to rung {rung} at frame {frame}, which is not there")
        segment = self.manifest.segment_of(frame)
        if self._fetcher is not None:
            self._fetch(rung, segment)
            self._thread.expect(rung, segment)

    @property
    def networks_ms(self) -> float:
        """Median milliseconds of the last frames with networks."""
        return self._thread.pace.networks_ms

    @property
    def resting(self) -> bool:
        """Whether networks were too slow, and frames are interpolated for a while."""
        return self._options.out is None and self._thread.pace.resting

    def sought(self, pts: int, rung: int, frame: int) -> None:
        """The server says which is the first to show after a seek, and its time stamp."""
        self.anchor(pts, rung, frame)
        self._landing.sought(pts, frame)

    def seek(self, frame: int) -> None:
        """Go on at `frame`. Raises PackageError outside the video."""
        segment = self.manifest.segment_of(frame)
        self._clock.forget()
        self._landing.begin(frame)
        self._meter.sought()
        self._next = frame
        self._advance(segment)
        self._send(Seek(frame=frame))

    def stay(self) -> None:
        """A seek was refused: nothing changes."""
        self._landing.cancel()

    def loop(self, on: bool) -> None:
        """The first segment follows the last, or not."""
        self._loops = on
        self._thread.loops = on
        if self._fetcher is not None:
            self._fetcher.loops = on

    def join(self) -> None:
        """Go on where the channel is by now."""
        self._clock.forget()
        self._landing.begin(None)

    async def finish(self) -> None:
        """Put out all that came. Raises what went wrong on the way to a file or window."""
        if self.routes is not None:
            self.routes.close()
        await asyncio.to_thread(self._thread.finish)
        error = self._thread.error
        if error is not None and not isinstance(error, WindowClosed):
            raise error

    def _by_http(self, frame: AssetFrame) -> None:
        self._meter.http_bytes += len(frame.data)
        try:
            self.asset(frame)
        except StreamError as error:
            self._meter.wrong_assets += 1
            log.warning("%s", error)

    def _advance(self, segment_index: int) -> None:
        self._fetch(self._rung, segment_index)
        self._say_when_ready()

    def _fetch(self, rung: int, segment_index: int) -> None:
        if self._fetcher is not None and self.routes is not None:
            wants, cached = self._fetcher.advance(rung, segment_index)
            for arrival in cached:
                self._take(arrival)
            for want in wants:
                self.routes.ask(want)

    def _take(self, arrival: Arrival) -> None:
        if arrival.cached:
            self._meter.cached_bytes += len(arrival.data)
        self._thread.asset(arrival.sha256, arrival.data)

    def _say_when_ready(self) -> None:
        if self._ready_for is None:
            return
        if self._fetcher is None or self._fetcher.has(self._rung, self._ready_for):
            self._ready_for = None
            self._thread.call(lambda: self._in_loop(self._ready))

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
