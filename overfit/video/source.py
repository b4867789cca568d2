"""Reads any file FFmpeg reads, as upright I420 frames on a constant-frame-rate grid.

The grid: a picture shown at time t (from the first picture) belongs to frame number
round(t * fps); it is repeated until the next one, and where two fall on one number the later wins.
So frame number n is the picture on the screen at n / fps, whatever the source's timing.

    file --demux, decode--> pictures --deinterlaced--> --grid--> --upright I420--> frames
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from kernels.errors import VideoError
from overfit.video.frames import (
    Frame,
    Normaliser,
    VideoInfo,
    colour_of,
    display_matrix,
)
from overfit.video.interlace import deinterlaced

MIN_SIDE = 32
"""Smallest width and height of a source, in pixels."""

_NOT_VIDEO = frozenset({"tty", "bin", "xbin", "adf", "idf", "image2", "ico"})
"""FFmpeg "demuxers" that draw text files or open a single still image."""

_COMMON_RATES = tuple(
    Fraction(n, d)
    for n, d in (
        (12, 1),
        (15, 1),
        (24000, 1001),
        (24, 1),
        (25, 1),
        (30000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60000, 1001),
        (60, 1),
        (120, 1),
    )
)
_MAX_RATE = Fraction(240)
_LONGEST_HOLD = 60
"""Seconds a picture may stay, or frames where one lasts longer than a second; a longer hole in the
timestamps is taken for a broken clock."""


@contextmanager
def open_source(path: Path) -> Iterator[InputContainer]:
    """The container at `path`, from local files only.

    Raises VideoError where there is no file or FFmpeg does not know it.
    """
    if not path.is_file():
        raise VideoError(f"{path}: no such file; give the path of a video")
    try:
        # Playlists and the like must not make the encoder fetch anything from a network.
        container = av.open(str(path.resolve()), options={"protocol_whitelist": "file"})
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{path}: not a video FFmpeg can read ({reason}); is the file whole and a video?"
        ) from error
    with container:
        name = container.format.name
        if name in _NOT_VIDEO or name.endswith("_pipe"):
            raise VideoError(f"{path}: not a video (FFmpeg takes it for '{name}'); give a video")
        yield container


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream that moves: cover art does not count. Raises VideoError without one."""
    for stream in container.streams.video:
        attached = av.stream.Disposition.attached_pic in stream.disposition
        if not attached and stream.codec_context is not None:
            stream.thread_type = "AUTO"
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise VideoError(f"{path}: no video stream that FFmpeg can decode (the file has {kinds})")


def pictures(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame | None]:
    """Decoded pictures in display order; None wherever something could not be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (FFmpegError, OSError):
            # The rest of the file is gone: drain what the decoder still holds.
            yield None
            with suppress(FFmpegError, EOFError):
                yield from stream.decode(None)
            return
        try:
            yield from stream.decode(packet)
        except EOFError:
            return
        except FFmpegError:
            yield None


def probe(path: Path) -> VideoInfo:
    """Facts of the source, found by decoding all of it once.

    Decoding is the only way to know how many frames a truncated or badly indexed file really has,
    and costs little beside training.

    Raises VideoError: not a video, no video stream, nothing decodable, one frame, too small.
    """
    path = Path(path)
    times: list[int | None] = []
    damaged = False
    interlaced = False
    first: av.VideoFrame | None = None
    with open_source(path) as container:
        stream = video_stream(container, path)
        last_duration = 0
        for picture in pictures(container, stream):
            if picture is None:
                damaged = True
                continue
            first = first or picture
            interlaced = interlaced or picture.interlaced_frame
            times.append(picture.pts)
            last_duration = picture.duration or 0
        if first is None:
            raise VideoError(
                f"{path}: no frame can be decoded (the file is empty, truncated or encrypted)"
            )
        base = stream.time_base or Fraction(1, 1)
        timed = all(t is not None for t in times) and len(set(times)) > 1
        known = [t for t in times if t is not None]
        fps = _frame_rate(stream, known if timed else [], base)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        audio = any(s.codec_context is not None for s in container.streams.audio)

    matrix = display_matrix(first)
    width, height = first.width, first.height
    if matrix[0] == 0:
        width, height, aspect = height, width, 1 / aspect
    if min(width, height) < MIN_SIDE:
        raise VideoError(
            f"{path}: {width}x{height} pixels is too small; both sides must be at least {MIN_SIDE}"
        )
    width, height, aspect = _with_square_pixels(width, height, aspect)
    grid = _Grid(fps, base, timed)
    frames = 0
    for t in times:
        frames += grid.advance(t)[1]
    frames += grid.finish(last_duration)
    if frames < 2:
        raise VideoError(f"{path}: the video has one frame; a video of at least two is needed")
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        frames=frames,
        fps=fps,
        colour=colour_of(first),
        sample_aspect_ratio=aspect,
        matrix=matrix,
        timed=timed,
        start=(known[0] * base if timed else Fraction(0)),
        audio=audio,
        damaged=damaged,
        interlaced=interlaced,
    )


def _with_square_pixels(width: int, height: int, aspect: Fraction) -> tuple[int, int, Fraction]:
    """The size of a picture that is scaled to square pixels, and what their aspect ratio was.

    One side grows, so that nothing is lost. What differs by less than anybody sees is left as it
    is, and so is what no camera or disc has, which is a mistake of the file's.
    """
    if abs(aspect - 1) < Fraction(1, 100) or not Fraction(1, 4) <= aspect <= 4:
        return width, height, Fraction(1)
    if aspect > 1:
        return 2 * round(width * aspect / 2), height, aspect
    return width, 2 * round(height / aspect / 2), aspect


def read_frames(path: Path, info: VideoInfo) -> Iterator[Frame]:
    """Frames 0 .. info.frames - 1 of the source: I420, upright, constant rate, one at a time.

    They have the size of `info`: pixels that are not square are scaled to it.
    Raises VideoError where the file changed since `probe` and gives fewer frames.
    """
    number = 0
    held = None
    coded = (info.width, info.height) if info.matrix[0] else (info.height, info.width)
    normalise = Normaliser(*coded, info.matrix)
    with open_source(Path(path)) as container:
        stream = video_stream(container, Path(path))
        grid = _Grid(info.fps, stream.time_base or Fraction(1, 1), info.timed)
        for picture in deinterlaced(pictures(container, stream)):
            if picture is None:
                continue
            replaces, repeats = grid.advance(picture.pts)
            if held is not None and repeats:
                planes = normalise(held)
                for _ in range(repeats):
                    yield Frame(number, *planes)
                    number += 1
            if replaces:
                held = picture
        if held is not None and number < info.frames:
            planes = normalise(held)
            while number < info.frames:
                yield Frame(number, *planes)
                number += 1
    if number != info.frames:
        raise VideoError(f"{path}: gave {number} frames, not the {info.frames} found before")


class _Grid:
    """Puts pictures on frame numbers: how long each is held is known when the next one comes."""

    def __init__(self, fps: Fraction, base: Fraction, timed: bool) -> None:
        self._ticks = fps * base
        self._timed = timed
        self._longest = int(_LONGEST_HOLD * max(fps, Fraction(1)))
        self._origin: Fraction | None = None
        self._slot = 0
        self._last: int | None = None

    def advance(self, pts: int | None) -> tuple[bool, int]:
        """(this picture is now the held one, frames for which the one before it was held)."""
        if self._last is None:
            self._last = pts or 0
            self._origin = self._last * self._ticks
            return True, 0
        if not self._timed or pts is None or self._origin is None:
            self._slot += 1
            return True, 1
        if pts <= self._last:
            # One picture with a wrong stamp (muxers leave them where they cut): it is the next one.
            # Where the clock really went back, the pictures after it show that.
            self._last = pts
            self._slot += 1
            return True, 1
        self._last = pts
        slot = round(pts * self._ticks - self._origin)
        hold = slot - self._slot
        if hold < -1 or hold > self._longest:
            # The clock jumped (a wrapped or spliced stream): go on with the next frame number.
            self._origin = pts * self._ticks - (self._slot + 1)
            hold = 1
        if hold <= 0:
            return hold == 0, 0
        self._slot += hold
        return True, hold

    def finish(self, duration: int) -> int:
        """Frames for which the last picture is held; `duration` in stream ticks, 0 if unknown."""
        if not self._timed:
            return 1
        return min(max(1, round(duration * self._ticks)), self._longest)


def _frame_rate(stream: VideoStream, times: list[int], base: Fraction) -> Fraction:
    """Rate of the grid, in frames a second: the declared rate where the pictures agree with it."""
    declared = [r for r in (stream.guessed_rate, stream.average_rate) if r and 0 < r <= _MAX_RATE]
    ordered = sorted(set(times))
    if len(ordered) < 2:
        return declared[0] if declared else Fraction(25)
    steps = [b - a for a, b in itertools.pairwise(ordered)]
    # The usual distance between pictures, not the mean: a pause must not slow the whole grid.
    usual = 1 / (Fraction(statistics.median_low(steps)) * base)
    for rate in declared:
        # Containers with millisecond clocks round 1/120 s by 4 %.
        if abs(rate / usual - 1) < Fraction(45, 1000):
            return rate.limit_denominator(1001)
    nearest = min(_COMMON_RATES, key=lambda rate: abs(rate / usual - 1))
    if abs(nearest / usual - 1) < Fraction(3, 100):
        return nearest
    return min(usual, _MAX_RATE).limit_denominator(1001)
