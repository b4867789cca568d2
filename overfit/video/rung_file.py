"""The MP4 of a rung: one pass of an encoder over LR planes, and reading it back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError
from av.video.frame import PictureType

from client_sdk.contract.rung_mp4 import open_rung
from kernels.errors import VideoError
from overfit.video.frames import Frame, Planes, VideoInfo, picture_of, raw_planes


@dataclass(frozen=True)
class Encoder:
    """An FFmpeg encoder as this pass wants it.

    `options` are its own; `profile` is one of its names; `bitrate` in bits a second, or None;
    `cleaning` is a bitstream filter over what it writes, or None; `begun` is called once, when its
    threads are there.
    """

    name: Literal["libx264", "libsvtav1"]
    options: Mapping[str, str]
    profile: str | None = None
    bitrate: int | None = None
    cleaning: str | None = None
    begun: Callable[[], None] | None = None


def encode(
    planes: Iterator[Planes],
    path: Path,
    info: VideoInfo,
    starts: Sequence[int],
    encoder: Encoder,
) -> tuple[int, tuple[int, int]]:
    """Writes an MP4 with a key frame at each of `starts`; returns frames and (width, height).

    Raises VideoError where nothing can be encoded or written.
    """
    first = next(planes, None)
    if first is None:
        raise VideoError(f"{path}: there is no frame to encode")
    height, width = first[0].shape
    keys = frozenset(starts) | {0}
    timescale = info.fps.numerator
    container_options = {
        "movflags": "+faststart",
        "fflags": "+bitexact",
        "video_track_timescale": str(timescale if timescale >= 1000 else timescale * 512),
    }
    try:
        with av.open(str(path), "w", format="mp4", options=container_options) as container:
            stream = container.add_stream(
                encoder.name, rate=info.fps, options=dict(encoder.options)
            )
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.time_base = 1 / info.fps
            if encoder.profile is not None:
                context.profile = encoder.profile
            context.sample_aspect_ratio = Fraction(1)
            if encoder.bitrate is not None:
                context.bit_rate = encoder.bitrate
            colour = info.colour
            context.color_range = 2 if colour.range == "full" else 1
            context.color_primaries = colour.primaries
            context.color_trc = colour.transfer
            context.colorspace = colour.matrix
            cleaning = BitStreamFilterContext(encoder.cleaning or "null", stream)
            count, units = 0, itertools.count()
            picture: Planes | None = first
            while picture is not None:
                frame = picture_of(picture)
                frame.pts, frame.time_base = count, 1 / info.fps
                frame.color_range = context.color_range
                frame.pict_type = PictureType.I if count in keys else PictureType.NONE
                for packet in stream.encode(frame):
                    container.mux(cleaning.filter(_timed(packet, next(units), info)))
                if count == 0 and encoder.begun is not None:
                    encoder.begun()
                count += 1
                picture = next(planes, None)
            for packet in stream.encode(None):
                container.mux(cleaning.filter(_timed(packet, next(units), info)))
            container.mux(cleaning.filter(None))
    except (FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot write the rung: {error}") from error
    if (made := next(units)) != count:
        raise VideoError(f"{path}: {encoder.name} gave {made} pictures for {count}: encode again")
    return count, (width, height)


def _timed(packet: Any, number: int, info: VideoInfo) -> Any:
    """A rung's units come in the order in which they are shown, and are decoded at that time.

    On busy machines SVT-AV1 has made times, of decoding and of showing, that an MP4 refused.
    """
    packet.time_base = 1 / info.fps
    packet.pts = packet.dts = number
    return packet


def read_rung(path: Path, size: tuple[int, int] | None = None) -> Iterator[Frame]:
    """The decoded LR frames of a rung, numbered from 0: what every viewer's decoder gives.

    `size`: (width, height) of a rung that others made, as its manifest says. Raises VideoError
    where it cannot be read, or its pictures are not of that size.
    """
    try:
        with open_rung(path, size) as (container, stream):
            stream.thread_type = "AUTO"
            for number, picture in enumerate(container.decode(stream)):
                y, u, v = (np.array(plane) for plane in raw_planes(picture))
                yield Frame(number, y, u, v)
    except (FFmpegError, OSError, IndexError, ValueError) as error:
        raise VideoError(f"{path}: cannot read the rung: {error}") from error
