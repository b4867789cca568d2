"""Where a viewer is: media time, mapped to stream time (RTP) and to the loop's monotonic clock.

    seek to m ─► IDR before m ══ burst, 16 times as fast ══► m ── real time ──► end ─► (loop) 0

A decoder can only begin at an IDR, so the frames between it and the one that was sought are sent
too, faster than they play, with time stamps as close as they are sent.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from client_sdk.contract.manifest import Manifest

BURST = 16
"""How much faster than real time the frames before a sought one are sent: 2 s take 125 ms."""


@dataclass(frozen=True, slots=True)
class ChannelClock:
    """The one clock of a package that is a channel: it plays from `origin` on, for ever."""

    manifest: Manifest
    origin: float

    def position(self, now: float) -> Fraction:
        """Media time in seconds that all viewers are at when the clock says `now`."""
        source = self.manifest.source
        return Fraction(now - self.origin) % (source.frames / source.rate)

    def frame(self, now: float) -> int:
        """The frame that is shown then."""
        return math.floor(self.position(now) * self.manifest.source.rate)


class Playhead:
    """Starts paused. With `channel`, its place is that clock's, and nowhere else.

    Stream time never goes back and runs on through a pause, as a live source's would. Every jump
    starts a new epoch, at which tracks look for their place again. `target`: the frame that the
    last jump was for; those before it lead there and are not to be shown.
    """

    def __init__(
        self,
        manifest: Manifest,
        clock: Callable[[], float],
        channel: ChannelClock | None = None,
    ) -> None:
        self._manifest = manifest
        self._clock = clock
        self._channel = channel
        self._end = manifest.source.frames / manifest.source.rate
        self._start = self._shown = Fraction(0)  # media times: the epoch's start, and the target's
        self._burst = Fraction(0)  # seconds between the two
        self._stream = Fraction(0)  # stream time at the epoch's start
        self._latest = Fraction(-1)  # stream time of the last picture of the epochs before
        self._last_sent: int | None = None  # the last picture of this one
        self._wall = 0.0  # clock at the epoch's start
        self._started: float | None = None  # clock at stream time 0
        self._paused, self._peeking = True, False
        self._loops = channel is not None
        self.epoch = 0
        self.frame = 0  # the next frame to send
        self.target = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._in_seconds = (0.0, 0.0, 0.0)  # start, shown and burst: what is asked at every frame

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return self._manifest.source.rate

    @property
    def running(self) -> bool:
        """Whether media is due at all."""
        return not self._paused

    @property
    def live(self) -> int | None:
        """The frame that the channel is at, or None where this is none."""
        return None if self._channel is None else self._channel.frame(self._clock())

    @property
    def loops(self) -> bool:
        """Whether the first frame follows the last."""
        return self._loops

    def loop(self, on: bool) -> None:
        """Begin again at the end, or not. A channel always does."""
        self._loops = on or self._channel is not None
        self._signal()

    def resume(self) -> None:
        """Start, or go on from the next frame; in a channel, where that is now."""
        if not self._paused:
            return
        self._paused = False
        if self._channel is not None:
            self._join(self._channel)
        else:
            self._jump()

    def pause(self) -> None:
        """Let nothing be due until `resume`."""
        self._paused, self._peeking = True, False
        self._signal()

    def seek(self, frame_number: int, exact: bool = True) -> None:
        """Go on from `frame_number` (clipped to the video), or else from the IDR before it.

        In a pause, what leads there and the frame itself are due; before the start nothing is.
        """
        number = min(frame_number, self._manifest.source.frames - 1)
        self.frame = self._manifest.segments[self._manifest.segment_of(number)].start
        self.target = number if exact else self.frame
        if self.epoch:
            self._peeking = self._paused
            self._jump()

    def wrap(self) -> None:
        """The last frame has been shown: go on with the first, without a gap."""
        lasted = self._since(self._end)
        self.frame = self.target = 0
        self._begin(self._wall + float(lasted), self._stream + lasted, Fraction(0))

    def media_start(self) -> Fraction:
        """Media time in seconds from which on the epoch is shown and heard."""
        return self._shown

    @property
    def bursts(self) -> bool:
        """Whether the epoch begins with pictures that are sent faster than they play."""
        return self._burst > 0

    def stream_time(self, media: Fraction) -> Fraction:
        """Stream time in seconds of media time `media`."""
        return self._stream + self._since(media)

    def sent(self, frame_number: int) -> None:
        """That picture goes out: none may come that is older."""
        self._last_sent = frame_number

    async def until(self, media: float, epoch: int, peek: bool = False) -> bool:
        """Wait until media time `media`, in seconds, is due; False where the epoch ended before.

        `peek`: what a seek in a pause asks to see is due too.
        """
        while self.epoch == epoch:
            delay = self.due_in(media, peek)
            if delay is not None and delay <= 0:
                return True
            await self._change_within(delay)
        return False

    def due_in(self, media: float, peek: bool = False) -> float | None:
        """Seconds until media time `media` is due, as things stand; None in a pause."""
        start, shown, burst = self._in_seconds
        if self._paused and not (peek and self._peeking and media <= shown):
            return None
        if media >= shown or not burst:
            since = burst + media - shown
        else:
            since = burst * (media - start) / (shown - start)
        return self._wall + since - self._clock()

    async def next_epoch(self, epoch: int) -> None:
        """Wait until `epoch` is over."""
        while self.epoch == epoch:
            await self._change_within(None)

    async def change(self) -> None:
        """Wait until anything is asked of it."""
        await self._change_within(None)

    async def _change_within(self, seconds: float | None) -> None:
        """Wait for a change, `seconds` at most. Once a frame and viewer: hence a bare timer."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.add(waiter)
        timer = None if seconds is None else loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()

    def _since(self, media: Fraction) -> Fraction:
        """Seconds from the epoch's start to `media`."""
        if media >= self._shown or not self._burst:
            return self._burst + media - self._shown
        return self._burst * (media - self._start) / (self._shown - self._start)

    def _jump(self) -> None:
        """From `frame` on now, to `target` in a burst."""
        ahead = max(0, self.target - self.frame) / self._manifest.source.rate
        # On whole milliseconds, which 90 kHz and 48 kHz both hold exactly.
        self._begin_at(self._clock(), Fraction(math.ceil(ahead * 1000 / BURST), 1000))

    def _join(self, channel: ChannelClock) -> None:
        """To where the channel is: by a burst that catches up, or with the next segment."""
        now, rate = self._clock(), self._manifest.source.rate
        position = channel.position(now)
        segment = self._manifest.segments[self._manifest.segment_of(math.floor(position * rate))]
        caught_up = position + (position - segment.start / rate) / (BURST - 1)
        self.frame, self.target = segment.start, math.ceil(caught_up * rate)
        burst = self.target / rate - position
        if self.target < segment.end:
            self._begin_at(now, burst)
            return
        self.frame = self.target = segment.end % self._manifest.source.frames
        self._begin_at(now + float(segment.end / rate - position), Fraction(0))

    def _begin_at(self, wall: float, burst: Fraction) -> None:
        if self._started is None:
            self._started = wall
        self._settle()
        stream = max(Fraction(round((wall - self._started) * 1000), 1000), self._latest)
        if stream == self._latest:
            stream += Fraction(1, 1000)
        self._begin(wall, stream, burst)

    def _begin(self, wall: float, stream: Fraction, burst: Fraction) -> None:
        self._settle()
        rate = self._manifest.source.rate
        self._start, self._shown = self.frame / rate, max(self.frame, self.target) / rate
        self._wall, self._stream, self._burst = wall, stream, burst
        self._in_seconds = (float(self._start), float(self._shown), float(burst))
        self.epoch += 1
        self._signal()

    def _settle(self) -> None:
        """Before the epoch ends: the stream time of its last picture, while that can be told."""
        if self._last_sent is not None:
            media = self._last_sent / self._manifest.source.rate
            self._latest = max(self._latest, self.stream_time(media))
            self._last_sent = None

    def _signal(self) -> None:
        for waiter in self._waiters:
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Ticks:
    """Stream time of a playhead's frames in ticks of a clock, for one epoch: exact, in integers.

    Once a frame and viewer, which fractions are too slow for.
    """

    def __init__(self, playhead: Playhead, clock: int) -> None:
        self._playhead, self._clock = playhead, clock
        self._rate = playhead.rate
        shown = playhead.media_start()
        base = (playhead.stream_time(shown) - shown) * clock
        step = clock / self._rate
        self._divisor = base.denominator * step.denominator
        self._base = base.numerator * step.denominator
        self._step = step.numerator * base.denominator
        self._straight_from = math.ceil(shown * self._rate) if playhead.bursts else 0

    def of(self, frame_number: int) -> int:
        """The last whole tick at or before the frame's time."""
        if frame_number < self._straight_from:
            return int(self._playhead.stream_time(frame_number / self._rate) * self._clock)
        return (self._base + frame_number * self._step) // self._divisor
