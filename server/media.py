"""Media in real time: a playhead per viewer, and the tracks that follow it.

    Playhead (when is media time t due?) ─┬─► VideoTrack ─► av.Packet (H.264 or AV1, 90 kHz)
                                          └─► AudioTrack ─► av.Packet (Opus, 48 kHz)

aiortc packetises an `av.Packet` as it is (RFC 6184, RFC 7587; AV1 by our `av1_codec`) and adds its
own random origin to the time stamps. Both tracks take their stream time from the one playhead, so
they stay in sync.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from client_sdk.contract import Package
from kernels.errors import PackageError
from server.opus import OpusAudio
from server.rung_video import RungVideo

AvPacket: TypeAlias = "av.Packet[Any]"  # generic in PyAV's stub only
VIDEO_CLOCK, AUDIO_CLOCK = 90_000, 48_000
_OPUS_SILENCE = b"\xf8\xff\xfe"  # 20 ms of CELT silence (RFC 6716, section 3.1)
_OPUS_SAMPLES = 960
# Some receivers hold this many audio packets back until more come (aiortc prefetches 4).
_AUDIO_FLUSH = 5


@dataclass(frozen=True, slots=True)
class PackageMedia:
    """What all viewers of a package share."""

    package: Package
    rungs: tuple[RungVideo, ...]
    audio: OpusAudio | None

    @classmethod
    def open(cls, package: Package) -> PackageMedia:
        """Index the rungs and read the sound. Raises PackageError."""
        rungs = tuple(RungVideo(package, index) for index in range(len(package.manifest.rungs)))
        path = package.audio_path
        return cls(package, rungs, None if path is None else OpusAudio.open(path))

    def close(self) -> None:
        """Give the files back."""
        for rung in self.rungs:
            rung.close()


class Playhead:
    """Maps media time to stream time (RTP) and to the loop's monotonic clock; starts paused.

    Stream time never goes back and runs on through a pause, as a live source's would. Every jump
    starts a new epoch, at which tracks look for their place again.
    """

    def __init__(self, package: Package, clock: Callable[[], float]) -> None:
        self._manifest = package.manifest
        self._clock = clock
        self._media = Fraction(0)  # media time at the epoch's start
        self._stream = Fraction(0)  # stream time at the epoch's start
        self._wall: float | None = None  # clock at the epoch's start; None: paused
        self._started: float | None = None  # clock at stream time 0
        self.epoch = 0
        self.frame = 0  # the next frame to send
        self._changed = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether media is due at all."""
        return self._wall is not None

    def resume(self) -> None:
        """Start, or go on from the next frame."""
        if self._wall is None:
            self._jump(self.frame)

    def pause(self) -> None:
        """Let nothing be due until `resume`."""
        if self._wall is not None:
            self._wall = None
            self._signal()

    def seek(self, frame_number: int) -> None:
        """Go on from the IDR at or before `frame_number` (clipped to the video)."""
        manifest = self._manifest
        last = manifest.source.frames - 1
        segment = manifest.segments[manifest.segment_of(min(frame_number, last))]
        self.frame = segment.start
        if self._wall is not None:
            self._jump(segment.start)

    def media_start(self) -> Fraction:
        """Media time in seconds at which the epoch began."""
        return self._media

    def stream_time(self, media: Fraction) -> Fraction:
        """Stream time in seconds of media time `media`."""
        return self._stream + media - self._media

    async def until(self, media: Fraction, epoch: int) -> bool:
        """Wait until media time `media` is due; False where the epoch ended before."""
        while self.epoch == epoch:
            if self._wall is None:
                await self._changed.wait()
                continue
            delay = self._wall + float(media - self._media) - self._clock()
            if delay <= 0:
                return True
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                return self.epoch == epoch
        return False

    async def next_epoch(self, epoch: int) -> None:
        """Wait until `epoch` is over."""
        while self.epoch == epoch:
            await self._changed.wait()

    def _jump(self, frame_number: int) -> None:
        now = self._clock()
        if self._started is None:
            self._started = now
        # On whole milliseconds, which 90 kHz and 48 kHz both hold exactly.
        self._stream = Fraction(round((now - self._started) * 1000), 1000)
        self._media = frame_number / self._manifest.source.rate
        self._wall = now
        self.epoch += 1
        self._signal()

    def _signal(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class VideoTrack(MediaStreamTrack):
    """Sends coded pictures when they are due.

    Frames after a jump carry their identity up to the end of the segment, so that a lost IDR cannot
    leave a client counting from before the jump.
    """

    kind = "video"

    def __init__(
        self,
        media: PackageMedia,
        playhead: Playhead,
        *,
        flush: bool,
        on_idr: Callable[[int, int], None],
        on_end: Callable[[], None],
        on_fault: Callable[[PackageError], None],
    ) -> None:
        super().__init__()
        self._media = media
        self._manifest = media.package.manifest
        self._playhead = playhead
        self._flush = flush
        self._on_idr, self._on_end, self._on_fault = on_idr, on_end, on_fault
        self.rung = 0
        self.wanted_rung = 0
        self._switch_at = 0  # frame before which the rung stays
        self.sent = self.sent_bytes = 0
        self._epoch = 0
        self._stamp_to = 0
        self._sent_idr: tuple[int, int] | None = None

    def switch(self, rung: int, lead: float = 0.0) -> int:
        """Change to a rung at the first segment that starts `lead` seconds from now or later.

        The frame at which that is; beyond the last segment there is no change.
        """
        manifest = self._manifest
        self.wanted_rung = rung
        soonest = self._playhead.frame + lead * float(manifest.source.rate)
        starts = (segment.start for segment in manifest.segments)
        self._switch_at = next((n for n in starts if n >= soonest), manifest.source.frames)
        return min(self._switch_at, manifest.source.frames - 1)

    async def recv(self) -> AvPacket:
        if self._sent_idr is not None:
            # aiortc asks for the next packet when the last one is out.
            self._on_idr(*self._sent_idr)
            self._sent_idr = None
        playhead, rate = self._playhead, self._manifest.source.rate
        while True:
            if self._epoch != playhead.epoch:
                self._enter_epoch()
            number = playhead.frame
            if self._epoch == 0:
                await playhead.next_epoch(0)
            elif number > self._manifest.source.frames:
                self._on_end()
                await playhead.next_epoch(self._epoch)
            elif number == self._manifest.source.frames:
                playhead.frame = number + 1
                if self._flush:
                    # A jitter buffer that ignores the marker bit holds the last frame until it
                    # sees another time stamp.
                    return self._packet(self._media.rungs[self.rung].empty(number - 1))
            elif await playhead.until(number / rate, self._epoch):
                try:
                    return self._send(number)
                except PackageError as error:
                    self._on_fault(error)
                    raise MediaStreamError from None

    def _enter_epoch(self) -> None:
        first = self._epoch == 0
        self._switch_at = 0  # after a jump any segment will do
        self._epoch = self._playhead.epoch
        number = min(self._playhead.frame, self._manifest.source.frames - 1)
        if not first:
            self._stamp_to = self._manifest.segments[self._manifest.segment_of(number)].end

    def _send(self, number: int) -> AvPacket:
        starts = self._manifest.segments[self._manifest.segment_of(number)].start == number
        if starts:
            if number >= self._switch_at:
                self.rung = self.wanted_rung
            self._sent_idr = (self.rung, number)
        unit = self._media.rungs[self.rung].unit(number, number < self._stamp_to)
        packet = self._packet(unit)
        self._playhead.frame = number + 1
        self.sent += 1
        self.sent_bytes += len(unit)
        return packet

    def _packet(self, unit: bytes) -> AvPacket:
        media = self._playhead.frame / self._manifest.source.rate
        packet: AvPacket = av.Packet(unit)
        packet.time_base = Fraction(1, VIDEO_CLOCK)
        packet.pts = int(self._playhead.stream_time(media) * VIDEO_CLOCK)
        return packet


class AudioTrack(MediaStreamTrack):
    """Sends Opus packets when they are due, up to the end of the video."""

    kind = "audio"

    def __init__(
        self,
        media: PackageMedia,
        audio: OpusAudio,
        playhead: Playhead,
        *,
        flush: bool,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__()
        source = media.package.manifest.source
        end = source.frames / source.rate * AUDIO_CLOCK
        self._last = bisect_left(audio.times, end)
        self._audio = audio
        self._playhead = playhead
        self._flush = _AUDIO_FLUSH if flush else 0
        self._on_end = on_end
        self._epoch = 0
        self._next = 0

    async def recv(self) -> AvPacket:
        playhead = self._playhead
        while True:
            if self._epoch != playhead.epoch:
                self._epoch = playhead.epoch
                start = playhead.media_start() * AUDIO_CLOCK
                self._next = bisect_left(self._audio.times, start - _OPUS_SAMPLES + 1)
            index = self._next
            if self._epoch == 0 or index >= self._last + self._flush:
                if self._epoch:
                    self._on_end()
                await playhead.next_epoch(self._epoch)
                continue
            if index < self._last:
                time, data = self._audio.times[index], self._audio.packets[index]
            else:
                past = (index - self._last + 1) * _OPUS_SAMPLES
                time, data = self._audio.times[self._last - 1] + past, _OPUS_SILENCE
            media = Fraction(time, AUDIO_CLOCK)
            # The flush goes out at once: nobody plays it.
            if index < self._last and not await playhead.until(media, self._epoch):
                continue
            self._next = index + 1
            packet: AvPacket = av.Packet(data)
            packet.time_base = Fraction(1, AUDIO_CLOCK)
            packet.pts = int(playhead.stream_time(media) * AUDIO_CLOCK)
            return packet
