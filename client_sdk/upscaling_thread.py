"""The thread between the network and the output: it upscales frames and feeds the sinks.

The event loop must never wait for pixels, so everything that touches them happens here, in one
queue: assets before the frames that came after them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import av

from client_sdk.asset_fetcher import segments_ahead
from client_sdk.cache import AssetCache
from client_sdk.contract.manifest import Manifest
from client_sdk.frame_clock import Identified
from client_sdk.pace import Pace
from client_sdk.picture import planes_of
from client_sdk.play_stats import PlayMeter
from client_sdk.sinks import Sink
from client_sdk.upscaler import Upscaler
from kernels.errors import CrispcastError

_MOST_JOBS, _MOST_FRAMES = 4096, 128  # that wait, where the machine or the disk stands still
_KEPT = 2  # upscalers: of the rung that plays, and of one before or to come


@dataclass(frozen=True, slots=True)
class _Frame:
    position: int
    identified: Identified | None
    frame: av.VideoFrame
    landed: bool


@dataclass(frozen=True, slots=True)
class _PassedOver:
    identified: Identified
    frame: av.VideoFrame


@dataclass(frozen=True, slots=True)
class _Asset:
    sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Switch:
    rung: int
    segment: int


_Job: TypeAlias = (
    _Frame | _PassedOver | _Asset | _Switch | av.AudioFrame | Callable[[], None] | None
)


class UpscalingThread:
    """Owns the upscalers and the sinks. Give it assets, frames and audio; then `finish`.

    `max_backlog`: with more frames waiting, a frame is interpolated, which is far cheaper, so a
    machine that is too slow loses quality and not time; `paced`: one whose networks take longer
    than frames last interpolates for a while, then tries again. Beyond twice as many,
    and 128, frames are lost: whatever it waits for, memory is bounded. `loops`: the first segment
    follows the last. `error`: what ended the output, if anything did.
    """

    def __init__(
        self,
        manifest: Manifest,
        rung_index: int,
        sinks: Callable[[Manifest], Sequence[Sink]],
        meter: PlayMeter,
        cache: AssetCache,
        *,
        threads: int = 0,
        max_backlog: int = 300,
        paced: bool = False,
        loops: bool = False,
        on_error: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._manifest = manifest
        self._meter = meter
        self._cache = cache
        self._threads = threads
        self._max_backlog = max_backlog
        self.loops = loops
        self._open_sinks = sinks
        self._sinks: Sequence[Sink] = ()
        self._on_error = on_error
        self.error: Exception | None = None
        self._first_rung = rung_index
        self._upscalers: dict[int, Upscaler] = {}  # the one that plays last
        self.pace = Pace(float(1000 / manifest.source.rate))
        self._paced = paced
        self._segment = (-1, -1)
        self._next_position = 0
        self._jobs: queue.Queue[_Job] = queue.Queue()
        self._most_frames = max(2 * max_backlog, _MOST_FRAMES)
        self._waiting = self._held = 0  # frames to put out, and all frames
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="upscaling", daemon=True)
        self._thread.start()

    def asset(self, sha256: str, data: bytes) -> None:
        """Prepare a whole asset."""
        self._jobs.put(_Asset(sha256, data))  # few and once each: the manifest names them

    def expect(self, rung: int, segment: int) -> None:
        """Another rung is to play from this segment on: prepare what there is of it."""
        self._offer(_Switch(rung, segment))

    def frame(
        self,
        position: int,
        identified: Identified | None,
        frame: av.VideoFrame,
        landed: bool = False,
    ) -> None:
        """Upscale and put out a frame; `position` counts frames of time since the first.

        `landed`: it is the first after a seek.
        """
        if self._hold():
            with self._lock:
                self._waiting += 1
            self._jobs.put(_Frame(position, identified, frame, landed))

    def pass_over(self, identified: Identified, frame: av.VideoFrame) -> None:
        """Take note of a frame that is not put out, since it only leads to one that was sought."""
        if self._hold():
            self._jobs.put(_PassedOver(identified, frame))

    def audio(self, frame: av.AudioFrame) -> None:
        """Put out sound."""
        self._offer(frame)

    def call(self, function: Callable[[], None]) -> None:
        """Call `function` from the thread once all that came before is done."""
        self._jobs.put(function)

    def finish(self) -> None:
        """Do all that waits, close the sinks and join. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _offer(self, job: _Switch | av.AudioFrame) -> None:
        if self._jobs.qsize() < _MOST_JOBS:
            self._jobs.put(job)

    def _hold(self) -> bool:
        """Whether one more frame may wait."""
        with self._lock:
            free = self._held < self._most_frames
            self._held += free
        return free

    def _run(self) -> None:
        try:
            try:
                self._sinks = self._open_sinks(self._manifest)
            except CrispcastError as error:
                self._fail(error)
            while (job := self._jobs.get()) is not None:
                if isinstance(job, _Frame | _PassedOver):
                    with self._lock:
                        self._held -= 1
                if self.error is None:
                    self._do(job)
        finally:
            for sink in self._sinks:
                try:
                    sink.close()
                except Exception as error:
                    self._fail(error)

    def _do(self, job: _Job) -> None:
        try:
            if isinstance(job, _Frame):
                self._put_out(job)
            elif isinstance(job, _PassedOver):
                planes = planes_of(job.frame)
                self._upscaler(job.identified.rung).pass_over(job.identified.frame, planes)
            elif isinstance(job, _Asset):
                self._share(job)
            elif isinstance(job, _Switch):
                self._prepare(job)
            elif isinstance(job, av.AudioFrame):
                for sink in self._sinks:
                    sink.audio(job)
            elif job is not None:
                job()
        except Exception as error:
            # The thread must go on taking jobs, or `finish` would wait for ever.
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
            self._on_error(error)

    def _upscaler(self, rung_index: int) -> Upscaler:
        """That of a rung that is to play now: it is kept, and that of the rung before."""
        upscaler = self._upscalers.pop(rung_index, None)
        if upscaler is None:
            upscaler = Upscaler(self._manifest, rung_index, self._threads)
            self._meter.isa = upscaler.engine.isa
        self._upscalers[rung_index] = upscaler
        while len(self._upscalers) > _KEPT:
            del self._upscalers[next(iter(self._upscalers))]
        return upscaler

    def _size_of(self, rung: int) -> tuple[int, int]:
        return self._manifest.rungs[rung].width, self._manifest.rungs[rung].height

    def _rung_of(self, size: tuple[int, int]) -> int | None:
        """A rung that a frame of this size may be of, the one that plays if it may be."""
        playing = next(reversed(self._upscalers), self._first_rung)
        rungs = [playing, *range(len(self._manifest.rungs))]
        return next((rung for rung in rungs if self._size_of(rung) == size), None)

    def _share(self, asset: _Asset) -> None:
        """Give an asset to the rungs that need it; one that none needs now lies in the cache."""
        if not self._upscalers:
            self._upscaler(self._first_rung)
        for rung, upscaler in list(self._upscalers.items()):
            if upscaler.needs(asset.sha256):
                self._take(rung, asset.sha256, asset.data)

    def _prepare(self, switch: _Switch) -> None:
        playing = next(reversed(self._upscalers), self._first_rung)
        self._fill(self._upscaler(switch.rung), switch.rung, switch.segment)
        self._upscaler(playing)

    def _fill(self, upscaler: Upscaler, rung: int, segment: int) -> None:
        """Take what the cache holds of a segment."""
        for sha256 in upscaler.missing(segment):
            data = self._cache.get(sha256)
            if data is not None:
                self._take(rung, sha256, data)

    def _take(self, rung_index: int, sha256: str, data: bytes) -> None:
        try:
            self._upscalers[rung_index].add_asset(sha256, data)
        except CrispcastError:
            # A refused plan is a missing plan: its patches are interpolated.
            self._meter.wrong_assets += 1

    def _put_out(self, job: _Frame) -> None:
        with self._lock:
            self._waiting -= 1
            backlog = self._waiting
        self._meter.backlog = backlog
        identified = job.identified
        size = job.frame.width, job.frame.height
        rung = self._rung_of(size) if identified is None else identified.rung
        if rung is None or self._size_of(rung) != size:
            # Of a rung that the manifest does not have, or not decoded whole: it counts as lost.
            return
        upscaler = self._upscaler(rung)
        if identified is not None:
            self._enter_segment(upscaler, identified)
        started = time.perf_counter()
        number = None if identified is None else identified.frame
        networks = backlog <= self._max_backlog
        networks = networks and (not self._paced or self.pace.may_run(started))
        upscaled = upscaler.upscale(number, planes_of(job.frame), networks=networks)
        spent = (time.perf_counter() - started) * 1000
        if upscaled.super_resolved:
            self.pace.took(time.perf_counter(), spent)
        for sink in self._sinks:
            sink.video(job.position, upscaled.planes)
        self._meter.frames_lost += max(0, job.position - self._next_position)
        self._next_position = job.position + 1
        height, width = upscaled.planes[0].shape
        self._meter.size = (width, height)
        self._meter.frame(job.position, spent, upscaled.super_resolved)
        if job.landed:
            self._meter.landed()

    def _enter_segment(self, upscaler: Upscaler, identified: Identified) -> None:
        """At a segment's first frame: take what the cache holds of it, count what is late."""
        segment = self._manifest.segment_of(identified.frame)
        if self._segment == (identified.rung, segment):
            return
        if identified.rung != self._segment[0]:
            self.pace.other_plans()
        self._segment = (identified.rung, segment)
        self._fill(upscaler, identified.rung, segment)
        self._meter.late_plans += len(upscaler.missing(segment))
        upscaler.forget_before(
            segment, segments_ahead(self._manifest, segment, True) if self.loops else ()
        )
