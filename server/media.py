"""Media in real time: a playhead per viewer, and the tracks that follow it.

    Playhead (when is media time t due?) ─┬─► VideoTrack ─► Coded (H.264 or AV1, 90 kHz)
                                          └─► AudioTrack ─► Coded (Opus, 48 kHz)

`server.rtp_sender` sends what is handed over, and adds a random origin to the time stamps. Both
tracks take their stream time from the one playhead, so they stay in sync.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from client_sdk.contract import Package
from kernels.errors import PackageError
from server.opus import OpusAudio
from server.playhead import ChannelClock, Playhead, Ticks
from server.rtp_sender import Coded
from server.rung_video import HeldPayloads, RungVideo

VIDEO_CLOCK, AUDIO_CLOCK = 90_000, 48_000
_OPUS_SILENCE = b"\xf8\xff\xfe"  # 20 ms of CELT silence (RFC 6716, section 3.1)
_OPUS_SAMPLES = 960
# Some receivers hold this many audio packets back until more come (aiortc prefetches 4).
_AUDIO_FLUSH = 5


@dataclass(frozen=True, slots=True)
class PackageMedia:
    """What all viewers of a package share; `channel` where it is one."""

    package: Package
    rungs: tuple[RungVideo, ...]
    audio: OpusAudio | None
    starts: frozenset[int]  # frame numbers at which segments start
    channel: ChannelClock | None = None

    @classmethod
    def open(
        cls,
        package: Package,
        channel: ChannelClock | None = None,
        payloads: HeldPayloads | None = None,
    ) -> PackageMedia:
        """Index the rungs and read the sound. `payloads`: what other media share. Raises
        PackageError.
        """
        manifest, held = package.manifest, payloads or HeldPayloads()
        path = package.audio_path
        starts = frozenset(segment.start for segment in manifest.segments)
        with ExitStack() as opened:
            audio = None if path is None else OpusAudio.open(path)
            rungs = []
            for index in range(len(manifest.rungs)):
                rungs.append(RungVideo(package, index, held))
                opened.callback(rungs[-1].close)
            opened.pop_all()
        return cls(package, tuple(rungs), audio, starts, channel)

    def close(self) -> None:
        """Give the files back."""
        for rung in self.rungs:
            rung.close()


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
        on_idr: Callable[[int, int, int], None],
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
        self._sent_idr: tuple[int, int, int] | None = None
        self._rate = self._manifest.source.rate
        self._ticks = Ticks(playhead, VIDEO_CLOCK)

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

    async def recv(self) -> Coded:  # type: ignore[override] # for `rtp_sender` alone
        if self._sent_idr is not None:
            # aiortc asks for the next packet when the last one is out.
            self._on_idr(*self._sent_idr)
            self._sent_idr = None
        playhead = self._playhead
        numerator, denominator = self._rate.numerator, self._rate.denominator
        while True:
            if self._epoch != playhead.epoch:
                self._enter_epoch()
            number = playhead.frame
            if self._epoch == 0:
                await playhead.next_epoch(0)
            elif number == self._manifest.source.frames and playhead.loops:
                due = await playhead.until(number * denominator / numerator, self._epoch)
                if due and playhead.loops:
                    playhead.wrap()
            elif number > self._manifest.source.frames:
                self._on_end()
                await playhead.next_epoch(self._epoch)
            elif number == self._manifest.source.frames:
                playhead.frame = number + 1
                if self._flush:
                    # A jitter buffer that ignores the marker bit holds the last frame until it
                    # sees another time stamp.
                    return self._coded(self._media.rungs[self.rung].empty(number - 1))
            elif await playhead.until(number * denominator / numerator, self._epoch, peek=True):
                try:
                    return self._send(number)
                except PackageError as error:
                    self._on_fault(error)
                    raise MediaStreamError from None

    def _enter_epoch(self) -> None:
        first = self._epoch == 0
        self._switch_at = 0  # after a jump any segment will do
        self._epoch = self._playhead.epoch
        self._ticks = Ticks(self._playhead, VIDEO_CLOCK)
        number = min(self._playhead.frame, self._manifest.source.frames - 1)
        # In a burst nobody can count by time.
        if not first or self._playhead.target > number:
            self._stamp_to = self._manifest.segments[self._manifest.segment_of(number)].end

    def _send(self, number: int) -> Coded:
        if number in self._media.starts and number >= self._switch_at:
            self.rung = self.wanted_rung
        payloads = self._media.rungs[self.rung].payloads(number, number < self._stamp_to)
        coded = self._coded(payloads)
        if number in self._media.starts:
            self._sent_idr = (self.rung, number, coded.time)
        self._playhead.frame = number + 1
        self.sent += 1
        self.sent_bytes += sum(map(len, payloads))
        return coded

    def _coded(self, payloads: Sequence[bytes]) -> Coded:
        number = self._playhead.frame
        self._playhead.sent(number)
        return Coded(payloads, self._ticks.of(number))


def video_ticks(playhead: Playhead, media: Fraction) -> int:
    """Stream time of media time `media`, in the video's 90 kHz."""
    return int(playhead.stream_time(media) * VIDEO_CLOCK)


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

    async def recv(self) -> Coded:  # type: ignore[override] # for `rtp_sender` alone
        playhead = self._playhead
        while True:
            if self._epoch != playhead.epoch:
                self._epoch = playhead.epoch
                start = playhead.media_start() * AUDIO_CLOCK
                # The packet under way at the start, but nothing of what is not shown.
                before = 0 if playhead.bursts else _OPUS_SAMPLES - 1
                self._next = bisect_left(self._audio.times, start - before)
            index = self._next
            if self._epoch and index >= self._last and playhead.loops:
                await playhead.change()
                continue
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
            if index < self._last and not await playhead.until(time / AUDIO_CLOCK, self._epoch):
                continue
            self._next = index + 1
            return Coded((data,), int(playhead.stream_time(media) * AUDIO_CLOCK))
