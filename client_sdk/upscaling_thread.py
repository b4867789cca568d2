"""The thread that has the SDK core's session of a play: it upscales frames and feeds the sinks.

The event loop must never wait for pixels, and a session is called from one thread at a time, so
that all that concerns it happens here, in order of two lanes (client_sdk.lanes). What the session
wants done is done here where anybody can do it (client_sdk.asset_tasks), and told where not.

    said, queued ─► session ─┬─► tasks ─► cache, pictures, bases; or `tell`
                             └─► HR frame ─► sinks
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import av

from client_sdk.asset_tasks import AssetTasks
from client_sdk.cache import AssetCache
from client_sdk.contract.manifest import Manifest, parse_manifest
from client_sdk.core import Result, Session, Task, TaskKind
from client_sdk.lanes import Lanes
from client_sdk.pace import Pace
from client_sdk.picture import planes_of, user_data_of
from client_sdk.play_stats import PlayMeter
from client_sdk.sinks import Sink
from client_sdk.timeline import Timeline
from client_sdk.upscaler import Planes
from kernels.errors import CrispcastError, PackageError

_MOST_JOBS, _MOST_FRAMES = 4096, 128  # that wait, where the machine or the disk stands still
_RESTING = 8  # pictures that may rest in a receiver while the stream is paused
_TICK = 0.5  # seconds after which a session is asked for tasks where nothing comes
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Frame:
    frame: av.VideoFrame
    rtp_time: int


class _End:
    """Of all jobs."""


_Job: TypeAlias = _Frame | av.AudioFrame | Callable[[], object] | _End | None


class Listener(Protocol):
    """Who hears of a play; always in its thread."""

    def tell(self, task: Task) -> None:
        """A task that is not of assets."""

    def complain(self, error: CrispcastError) -> None:
        """Something was refused, which costs itself only."""

    def begin(self) -> None:
        """The first frame was put out."""

    def end(self, error: Exception) -> None:
        """The output is over, once."""


class UpscalingThread:
    """Owns the session and the sinks. Say what comes, give it frames and audio; then `finish`.

    `max_backlog`: with more frames waiting, a frame is interpolated, which is far cheaper, so a
    machine that is too slow loses quality and not time; `paced`: one whose networks take longer
    than frames last interpolates for a while, then tries again. Beyond twice as many, and 128,
    frames are lost: whatever it waits for, memory is bounded. `manifest` is there once the session
    has it; `error`: what ended the output, if anything did.
    """

    def __init__(
        self,
        session: Session,
        sinks: Callable[[Manifest], Sequence[Sink]],
        meter: PlayMeter,
        cache: AssetCache,
        listener: Listener,
        *,
        max_backlog: int,
        paced: bool = False,
    ) -> None:
        self._session = session
        self._assets = AssetTasks(session, cache)
        self._meter = meter
        self._listener = listener
        self._max_backlog = max_backlog
        self._paced = paced
        self._open_sinks = sinks
        self._sinks: Sequence[Sink] = ()
        self.manifest: Manifest | None = None
        self.error: Exception | None = None
        self.pace = Pace(0.0)
        self._rung = -1  # of the last frame that was known
        self._next_position = 0
        self._forgiven = 0  # pictures, a gap before which is a pause
        self._early: deque[_Frame | av.AudioFrame] = deque(maxlen=_MOST_JOBS)  # for the manifest
        self._lanes: Lanes[_Job] = Lanes(_MOST_JOBS)
        self._most_frames = max(2 * max_backlog, _MOST_FRAMES)
        self._waiting = 0  # frames
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="upscaling", daemon=True)
        self._thread.start()

    # -- from any thread ----------------------------------------------------------------------

    def say(self, call: Callable[[], object]) -> None:
        """Call the session, before it gets the frames that wait."""
        self._lanes.say(call)

    def frame(self, frame: av.VideoFrame, rtp_time: int) -> None:
        """Upscale a decoded frame and put it out; `rtp_time`: 32 bits, 90 kHz."""
        with self._lock:
            if self._waiting >= self._most_frames:
                return
            self._waiting += 1
        self._lanes.must_queue(_Frame(frame, rtp_time))  # they are counted here

    def audio(self, frame: av.AudioFrame) -> None:
        """Put out sound."""
        self._lanes.queue(frame)

    def disconnected(self) -> Future[bool]:
        """The connection is lost: whether the play is over, once all that came by it is done."""
        return self._after_frames(self._part)

    def resumed(self) -> None:
        """A pause is over: the time without pictures that comes was its own, and nothing lost."""
        self._after_frames(self._forgive)

    def report(self, fps: float) -> None:
        """Tell the server how it goes; `fps`: frames put out a second."""
        pace, rests = self.pace, self._paced and self.pace.resting
        self.say(lambda: self._session.report(pace.networks_ms, fps, rests))

    def finish(self) -> None:
        """Do all that waits, close the sinks and join. Blocks."""
        self._lanes.must_queue(_End())
        self._thread.join()

    def _after_frames(self, call: Callable[[], _T]) -> Future[_T]:
        answer: Future[_T] = Future()

        def do() -> None:
            try:
                answer.set_result(call())
            except Exception as error:
                answer.set_exception(error)

        self._lanes.must_queue(do)
        return answer

    # -- in the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not isinstance(job := self._lanes.take(_TICK), _End):
                self._do(job)
                self._do_tasks()
                while self.manifest is not None and self._early:
                    self._do(self._early.popleft())
                    self._do_tasks()
        finally:
            for sink in self._sinks:
                try:
                    sink.close()
                except Exception as error:
                    self._fail(error)
            self._session.close()

    def _do(self, job: _Job) -> None:
        # Whatever happens, the thread must go on taking jobs, or `finish` would wait for ever.
        if isinstance(job, _Frame | av.AudioFrame):
            if self.manifest is None:
                self._early.append(job)
                return
            try:
                self._frame(job)
            except Exception as error:
                self._fail(error)
        elif callable(job):
            try:
                job()
            except CrispcastError as error:
                # What is refused costs itself: frames go on, interpolated where it was needed.
                self._listener.complain(error)
            except Exception as error:
                self._fail(error)

    def _do_tasks(self) -> None:
        try:
            while (task := self._session.next_task(_milliseconds())) is not None:
                try:
                    if not self._assets.do(task):
                        self._tell(task)
                except CrispcastError as error:
                    self._listener.complain(error)
            self._meter.told(self._session.figures())
        except Exception as error:
            self._fail(error)

    def _tell(self, task: Task) -> None:
        if task.kind == TaskKind.MANIFEST:
            try:
                self._begin(parse_manifest(task.data, "the manifest"))
            except CrispcastError as error:
                self._fail(error)
                return
        self._listener.tell(task)

    def _begin(self, manifest: Manifest) -> None:
        self._sinks = self._open_sinks(manifest)
        self._timeline = Timeline(manifest.source.rate)
        self.pace = Pace(float(1000 / manifest.source.rate))
        self._meter.isa = self._session.isa()
        self.manifest = manifest

    def _part(self) -> bool:
        with self._lock:
            self._waiting -= sum(isinstance(job, _Frame) for job in self._early)
        self._early.clear()
        return self._session.disconnected()

    def _forgive(self) -> None:
        self._forgiven = _RESTING

    def _fail(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
            self._listener.end(error)

    def _frame(self, job: _Frame | av.AudioFrame) -> None:
        if isinstance(job, _Frame):
            with self._lock:
                self._waiting -= 1
                self._meter.backlog = self._waiting
        if self.error is not None:
            return
        if isinstance(job, _Frame):
            self._upscale(job)
        else:
            for sink in self._sinks:
                sink.audio(job)

    def _upscale(self, job: _Frame) -> None:
        for payload in user_data_of(job.frame):
            self._session.identify(job.rtp_time, payload)
        started = time.perf_counter()
        networks = self._meter.backlog <= self._max_backlog
        networks = networks and (not self._paced or self.pace.may_run(started))
        lr = planes_of(job.frame)
        try:
            made = self._session.upscale(lr, rtp_time=job.rtp_time, networks=networks)
        except PackageError:
            # Of a rung that the manifest does not have, or not decoded whole: it counts as lost.
            return
        now = time.perf_counter()
        spent = (now - started) * 1000
        if made.frame >= 0 and made.rung != self._rung:
            self._rung = made.rung
            self.pace.other_plans()
        if made.super_resolved:
            self.pace.took(now, spent)
        if made.planes is not None:
            self._put_out(job.frame, made, made.planes, spent)

    def _put_out(self, lr: av.VideoFrame, made: Result, hr: Planes, spent_ms: float) -> None:
        position = self._timeline.place(int(lr.pts or 0), made.landed)
        for sink in self._sinks:
            sink.video(position, hr)
        if position > self._next_position:
            if not self._forgiven:
                self._meter.frames_lost += position - self._next_position
            self._forgiven = 0
        self._forgiven = max(0, self._forgiven - 1)
        self._next_position = position + 1
        height, width = hr[0].shape
        self._meter.size = (width, height)
        if self._meter.frames == 0:
            self._listener.begin()
        self._meter.frame(position, spent_ms, made.super_resolved)
        if made.landed:
            self._meter.landed()


def _milliseconds() -> int:
    """Of a clock that does not jump."""
    return time.monotonic_ns() // 1_000_000
