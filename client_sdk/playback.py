"""What happens to decoded frames and arriving assets once the manifest is known.

    asset frames ─► AssetFetcher ─► cache ─┐
    decoded frames ─► FrameClock ──────────┴─► UpscalingThread ─► file, window

Lives in the event loop, and never waits: pixels are the thread's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import av

from client_sdk.asset_fetcher import Arrival, AssetFetcher
from client_sdk.cache import AssetCache
from client_sdk.contract import sei
from client_sdk.contract.asset_frames import AssetFrame
from client_sdk.contract.control import Message, Resume, Seek
from client_sdk.contract.manifest import Manifest
from client_sdk.frame_clock import CLOCK_RATE, FrameClock
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.sinks import Sink, WindowClosed, open_sink
from client_sdk.upscaling_thread import UpscalingThread
from kernels.errors import StreamError

FILE_BACKLOG, WINDOW_BACKLOG = 300, 8  # frames that may wait before some are interpolated

OnStatus: TypeAlias = Callable[[PlayStats], None]


@dataclass(frozen=True)
class PlayOptions:
    """How to play. `out`: .y4m or .mp4; `threads` 0: all cores; `cache`: a folder, or None.

    `token`: the bearer token that the server wants, where it wants one.
    """

    out: str | os.PathLike[str] | None = None
    display: bool = False
    sr: bool = True
    threads: int = 0
    cache: str | os.PathLike[str] | None = None
    on_status: OnStatus | None = None
    status_interval: float = 0.5
    token: str | None = field(default=None, repr=False)


class Playback:
    """The play of a stream, from `rung_index` on.

    `send` speaks to the server; `on_error` hears of a sink's end.
    Asks for assets as the play goes on, and says `resume` once those of the first segment are
    prepared.
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
        on_error: Callable[[Exception], None],
    ) -> None:
        self.manifest = manifest
        self._options = options
        self._meter = meter
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._clock = FrameClock(manifest)
        self._fetcher = AssetFetcher(manifest, cache) if options.sr else None
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
            on_error=lambda error: self._in_loop(lambda: on_error(error)),
        )
        self._origin: int | None = None
        self._rung = rung_index
        self._segment = -1
        self._ready_for: int | None = 0  # the segment whose assets `resume` waits for
        self.frames_seen = 0
        self._advance(0)

    def asset(self, frame: AssetFrame) -> None:
        """Take a piece of an asset. Raises StreamError where it is not wanted or damaged."""
        if self._fetcher is None:
            return
        self._meter.plan_bytes += len(frame.data)
        arrival, again = self._fetcher.arrived(frame)
        for want in again:
            self._send(want)
        if arrival is not None:
            self._take(arrival)
            self._resume_when_ready()

    def frame(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """Take a decoded frame, in order."""
        if isinstance(frame, av.AudioFrame):
            self._thread.audio(frame)
            return
        pts = int(frame.pts or 0)
        if self._origin is None:
            self._origin = pts
        position = round((pts - self._origin) * self.manifest.source.rate / CLOCK_RATE)
        identified = self._clock.identify(pts, identity_of(frame))
        if identified is not None:
            segment = self.manifest.segment_of(identified.frame)
            if (identified.rung, segment) != (self._rung, self._segment):
                self._rung, self._segment = identified.rung, segment
                self._advance(segment)
        self._thread.frame(position, identified if self._options.sr else None, frame)
        self.frames_seen += 1

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

    def seek(self, frame: int) -> None:
        """Go on from the IDR at or before `frame`. Raises PackageError outside the video."""
        segment = self.manifest.segment_of(frame)
        self._clock.forget()
        self._advance(segment)
        self._send(Seek(frame=frame))

    async def finish(self) -> None:
        """Put out all that came. Raises what went wrong on the way to a file or window."""
        await asyncio.to_thread(self._thread.finish)
        error = self._thread.error
        if error is not None and not isinstance(error, WindowClosed):
            raise error

    def _advance(self, segment_index: int) -> None:
        self._fetch(self._rung, segment_index)
        self._resume_when_ready()

    def _fetch(self, rung: int, segment_index: int) -> None:
        if self._fetcher is not None:
            wants, cached = self._fetcher.advance(rung, segment_index)
            for arrival in cached:
                self._take(arrival)
            for want in wants:
                self._send(want)

    def _take(self, arrival: Arrival) -> None:
        if arrival.cached:
            self._meter.cached_bytes += len(arrival.data)
        self._thread.asset(arrival.sha256, arrival.data)

    def _resume_when_ready(self) -> None:
        if self._ready_for is None:
            return
        if self._fetcher is None or self._fetcher.has(self._rung, self._ready_for):
            self._ready_for = None
            self._thread.call(lambda: self._in_loop(lambda: self._send(Resume())))

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


def identity_of(frame: av.VideoFrame) -> sei.FrameIdentity | None:
    """Which frame this is, if it says so: of AV1 our decoder knows, SEI are side data."""
    opaque: object = frame.opaque
    if isinstance(opaque, sei.FrameIdentity):
        return opaque
    sides: Any = frame.side_data  # a sequence of SideData, whatever its stub says
    for data in sides:
        if data.type.name == "SEI_UNREGISTERED":
            identity = sei.parse_payload(bytes(data))
            if identity is not None:
                return identity
    return None
