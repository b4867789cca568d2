"""Audio: the source's first track as Ogg Opus, 48 kHz, 20 ms packets, in time with frame 0.

Opus packets of 20 ms are what WebRTC sends (RFC 7874), so the track is encoded once, here, and
never for a viewer. It begins at the time of frame 0: earlier sound is cut, a later start or a hole
is silence, and it ends with the picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from kernels.errors import VideoError
from overfit.video.frames import VideoInfo
from overfit.video.source import open_source

RATE = 48_000
_HOLE = RATE // 20
"""Holes and overlaps under 50 ms are timestamp jitter, not silence."""


@dataclass(frozen=True)
class AudioTrack:
    """What was written: content hash, size in bytes, samples a second, channels."""

    sha256: str
    bytes: int
    sample_rate: int
    channels: int


def write_audio(info: VideoInfo, out: Path) -> AudioTrack | None:
    """Writes the first audio track of the source to `out` (Ogg Opus).

    Returns None, and writes nothing, where the source has no audio that can be decoded.
    Raises VideoError where `out` cannot be written.
    """
    if not info.audio:
        return None
    with open_source(info.path) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        channels = 2 if stream is None or stream.codec_context.channels != 1 else 1
    blocks = _aligned(info, channels)
    first = next(blocks, None)
    if first is None:
        return None
    try:
        with av.open(str(out), "w", format="ogg", options={"fflags": "+bitexact"}) as output:
            options = {"frame_duration": "20", "application": "audio", "vbr": "on"}
            track = output.add_stream("libopus", rate=RATE, options=options)
            track.codec_context.layout = "stereo" if channels == 2 else "mono"
            track.codec_context.format = "s16"
            track.codec_context.bit_rate = 48_000 * channels
            position = 0
            block: NDArray[np.int16] | None = first
            while block is not None:
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(block.reshape(1, -1)),
                    "s16",
                    "stereo" if channels == 2 else "mono",
                )
                frame.sample_rate, frame.pts = RATE, position
                output.mux(track.encode(frame))
                position += len(block)
                block = next(blocks, None)
            output.mux(track.encode(None))
    except (FFmpegError, OSError) as error:
        raise VideoError(f"{out}: cannot write the audio: {error}") from error
    data = out.read_bytes()
    return AudioTrack(hashlib.sha256(data).hexdigest(), len(data), RATE, channels)


def _aligned(info: VideoInfo, channels: int) -> Iterator[NDArray[np.int16]]:
    """Blocks of samples [n, channels] from the time of frame 0 to the end of the last frame."""
    end = int(info.duration * RATE)
    position = 0
    heard = False
    for start, samples in _decoded(info, channels):
        heard = True
        if start - position > _HOLE:
            gap = min(start, end) - position
            while gap > 0:
                step = min(gap, RATE)
                yield np.zeros((step, channels), np.int16)
                position, gap = position + step, gap - step
        elif position - start > _HOLE:
            samples = samples[position - start :]
        samples = samples[: max(0, end - position)]
        if len(samples):
            yield samples
            position += len(samples)
        if position >= end:
            return
    while heard and position < end:
        step = min(end - position, RATE)
        yield np.zeros((step, channels), np.int16)
        position += step


def _decoded(info: VideoInfo, channels: int) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """(sample number counted from frame 0, samples [n, channels]) of what can be decoded."""
    with open_source(info.path) as container:
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        if stream is None:
            return
        layout = "stereo" if channels == 2 else "mono"
        resampler = av.AudioResampler(format="s16", layout=layout, rate=RATE)
        expected: int | None = None
        packets = container.demux(stream)
        while True:
            try:
                decoded = stream.decode(next(packets))
            except (StopIteration, EOFError):
                break
            except FFmpegError:
                continue
            for frame in decoded:
                if frame.pts is not None and frame.time_base:
                    expected = round((frame.pts * frame.time_base - info.start) * RATE)
                frame.pts = None
                for piece in resampler.resample(frame):
                    start = expected or 0
                    samples = piece.to_ndarray().reshape(-1, channels).astype(np.int16)
                    yield start, samples
                    expected = start + len(samples)
