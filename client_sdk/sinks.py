"""Where played frames go: a .y4m file (every sample as it was), an .mp4 file, or nowhere.

YUV4MPEG2: the format of mjpegtools, yuv4mpeg(5). A sink sees positions: frames since the first
that was shown; what was lost on the way leaves a gap.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Protocol

import av

from client_sdk.contract.manifest import Manifest
from client_sdk.picture import fill
from client_sdk.timeline import LONGEST_GAP
from client_sdk.upscaler import Planes
from kernels.errors import StreamError

_SOUND_RATE = 48_000
"""Of the samples, and of the clock, that Opus comes with (RFC 7587, section 4.1)."""


class Sink(Protocol):
    """Takes frames in order of their positions, audio as it comes, and an end."""

    def video(self, position: int, planes: Planes) -> None: ...

    def audio(self, frame: av.AudioFrame) -> None: ...

    def close(self) -> None: ...


class WindowClosed(StreamError):  # noqa: N818 - an event, not a fault
    """The viewer closed the window: the play is over."""


class Y4mSink:
    """Raw frames; a gap is filled by repeating the frame before, since y4m has no time stamps."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        source = manifest.source
        self._path = path
        self._file: IO[bytes] = _create(path)
        self._next = 0
        self._last = b""
        # Chroma keeps the source's siting through all scaling: left, nearly always (mpeg2).
        colour_range = "FULL" if source.colour.range == "full" else "LIMITED"
        self._write(
            f"YUV4MPEG2 W{source.width} H{source.height} F{source.fps[0]}:{source.fps[1]} Ip A1:1 "
            f"C420mpeg2 XCOLORRANGE={colour_range}\n".encode()
        )

    def video(self, position: int, planes: Planes) -> None:
        frame = b"FRAME\n" + b"".join(plane.tobytes() for plane in planes)
        while self._next < position:
            self._write(self._last or frame)
            self._next += 1
        self._write(frame)
        self._next += 1
        self._last = frame

    def audio(self, frame: av.AudioFrame) -> None:
        """A y4m file has no sound."""

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise StreamError(f"{self._path} cannot be written: {error.strerror}") from None

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise StreamError(f"{self._path} cannot be written: {error.strerror}") from None


class Mp4Sink:
    """H.264 by libx264 at CRF 16, with the sound (AAC) where the package has one."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        source = manifest.source
        self._path = path
        self._rate = source.rate
        _create(path).close()
        try:
            self._container = av.open(str(path), "w", format="mp4")
        except (OSError, av.FFmpegError) as error:
            raise StreamError(f"{path} cannot be written: {error}") from None
        stream: Any = self._container.add_stream("libx264", rate=self._rate)
        # 4:2:0 needs even sizes; the last row or column of an odd picture is repeated.
        self._size = source.width + source.width % 2, source.height + source.height % 2
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "16", "preset": "ultrafast", "bf": "0"}
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.color_range = 2 if source.colour.range == "full" else 1
        context.color_primaries = source.colour.primaries
        context.color_trc = source.colour.transfer
        context.colorspace = source.colour.matrix
        self._video = stream
        self._audio: Any = None
        if manifest.audio is not None:
            self._audio = self._container.add_stream("aac", rate=_SOUND_RATE)
            self._audio.layout = "stereo"
            self._resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_SOUND_RATE)
        # In samples: where picture and sound have come to, and from the sound's stamps to there.
        self._picture_end = self._sound_end = self._sound_shift = 0

    def video(self, position: int, planes: Planes) -> None:
        self._picture_end = int((position + 1) * _SOUND_RATE / self._rate)
        frame = av.VideoFrame(*self._size, "yuv420p")
        fill(frame, planes)
        frame.pts = position
        frame.time_base = 1 / self._rate
        self._mux(self._video, frame)

    def audio(self, frame: av.AudioFrame) -> None:
        if self._audio is None:
            return
        stamp = int(frame.pts or 0)
        start = stamp + self._sound_shift
        if not 0 <= start - self._sound_end <= LONGEST_GAP * _SOUND_RATE:
            # Another connection counts from 0 again: sound goes on where the picture is.
            start = max(self._sound_end, self._picture_end)
            self._sound_shift = start - stamp
        self._sound_end = start + frame.samples
        frame.pts, frame.time_base = start, Fraction(1, _SOUND_RATE)
        for part in self._resampler.resample(frame):
            self._mux(self._audio, part)

    def close(self) -> None:
        try:
            self._mux(self._video, None)
            if self._audio is not None:
                self._mux(self._audio, None)
        finally:
            try:
                self._container.close()
            except (OSError, av.FFmpegError) as error:
                raise StreamError(f"{self._path} cannot be written: {error}") from None

    def _mux(self, stream: Any, frame: av.VideoFrame | av.AudioFrame | None) -> None:
        try:
            for packet in stream.encode(frame):
                self._container.mux(packet)
        except (OSError, av.FFmpegError) as error:
            raise StreamError(f"{self._path} cannot be written: {error}") from None


def _create(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise StreamError(f"{path} cannot be written: {error.strerror}") from None


def check_output(path: str | os.PathLike[str]) -> Path:
    """The output path, once its ending is one of ours; raises StreamError otherwise."""
    output = Path(path)
    if output.suffix.lower() not in (".y4m", ".mp4"):
        raise StreamError(f"{output}: the output must end in .y4m or .mp4")
    if not output.absolute().parent.is_dir():
        raise StreamError(f"{output}: there is no folder {output.absolute().parent}")
    return output


def open_sink(path: Path, manifest: Manifest) -> Sink:
    """The sink that the ending of `path` asks for."""
    return (Y4mSink if path.suffix.lower() == ".y4m" else Mp4Sink)(path, manifest)
