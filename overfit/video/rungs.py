"""Rungs: low-resolution H.264 that a WebRTC stack can send as it is.

Closed GOPs, no B-frames (browsers play WebRTC in decoding order), one IDR at each segment's start
and nowhere else. Single-threaded choices of the encoder are pinned, so that the same input and
settings give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.error import FFmpegError
from av.video.frame import PictureType
from PIL import Image

from kernels.errors import VideoError
from kernels.runtime import available_isas
from overfit.video.frames import U8, Frame, Planes, VideoInfo, picture_of, raw_planes

MIN_LR_SIDE = 16
"""Smallest side of a rung: one macroblock."""

_THREADS = 2
"""Encoder threads. x264's output depends on their number, so it does not follow the machine."""


@dataclass(frozen=True)
class PaddedSize:
    """Sizes, in pixels, of the padded HR picture and of the LR picture made of it."""

    hr_width: int
    hr_height: int
    lr_width: int
    lr_height: int


def padded_size(width: int, height: int, scale: int) -> PaddedSize:
    """HR is padded to a multiple of 2 * scale, so that the LR sides are even (4:2:0)."""
    unit = 2 * scale
    hr_width, hr_height = -(-width // unit) * unit, -(-height // unit) * unit
    return PaddedSize(hr_width, hr_height, hr_width // scale, hr_height // scale)


def check_scale(info: VideoInfo, scale: int) -> None:
    """Raises VideoError where the rung would be smaller than a macroblock."""
    size = padded_size(info.width, info.height, scale)
    if min(size.lr_width, size.lr_height) < MIN_LR_SIDE:
        raise VideoError(
            f"{info.path}: {info.width}x{info.height} pixels is too small for scale {scale}; both "
            f"sides of the rung must be at least {MIN_LR_SIDE}"
        )


def pad(plane: U8, height: int, width: int) -> U8:
    """`plane` with its last row and column repeated to [height, width]."""
    rows, columns = height - plane.shape[0], width - plane.shape[1]
    if rows == 0 and columns == 0:
        return plane
    return np.pad(plane, ((0, rows), (0, columns)), mode="edge")


def downscale(frame: Frame, scale: int) -> Planes:
    """LR planes of an HR frame: padded, then Pillow's antialiased bicubic with half-pixel centres.

    Every plane is scaled alone and alike, so chroma keeps the siting of the source and the
    client's interpolation is its inverse.
    """
    height, width = frame.y.shape
    size = padded_size(width, height, scale)

    def shrink(plane: U8, divisor: int) -> U8:
        padded = pad(plane, size.hr_height // divisor, size.hr_width // divisor)
        target = (size.lr_width // divisor, size.lr_height // divisor)
        return np.asarray(Image.fromarray(padded).resize(target, Image.Resampling.BICUBIC))

    return shrink(frame.y, 1), shrink(frame.u, 2), shrink(frame.v, 2)


@dataclass(frozen=True)
class RungConfig:
    """How a rung is encoded: either `crf` (0-51) or `bitrate` (bits a second) is set.

    `still`: what stands still has a plate, so the bits belong to what moves.
    """

    crf: float | None = 28.0
    bitrate: int | None = None
    preset: Literal["fast", "medium", "slow", "slower", "veryslow"] = "slow"
    still: bool = False

    def __post_init__(self) -> None:
        if (self.crf is None) == (self.bitrate is None):
            raise VideoError("a rung needs either a CRF or a bit rate, and not both")
        if self.crf is not None and not 0 < self.crf <= 51:
            raise VideoError(f"CRF {self.crf:g} is out of range; choose one above 0, up to 51")
        if self.bitrate is not None and not 10_000 <= self.bitrate <= 200_000_000:
            raise VideoError(f"{self.bitrate} b/s is out of range; choose 10k to 200M")


@dataclass(frozen=True)
class RungFacts:
    """What was written: size in pixels and bytes, H.264 profile, content hash."""

    width: int
    height: int
    frames: int
    profile: str
    bytes: int
    sha256: str


def _x264_params(config: RungConfig, passes: str) -> str:
    params = {
        "keyint": "infinite",
        "min-keyint": "1",
        "scenecut": "0",
        "open-gop": "0",
        "bframes": "0",
        # Four references keep small rungs inside the levels that phones' decoders take.
        "ref": "4",
        # What is shown is a network's output, trained to the least squared error: bits that
        # psycho-visual tuning spends on grain are lost to it.
        "psy": "0",
        # Nor does the least squared error gain by bits moved from busy blocks to flat ones.
        "aq-mode": "0",
        "threads": str(_THREADS),
        "lookahead-threads": "1",
        "sliced-threads": "0",
        "force-cfr": "1",
    }
    if config.still:
        # Blocks that are often referred to are those that stand still: they are not coded finer.
        params["mbtree"] = "0"
    if "avx512" in available_isas():
        # Of libx264 165's code for AVX-512, some reads memory it never wrote: on small pictures
        # up to one encode in sixty came out different. Without it 5500 came out the same.
        params["asm"] = "avx2"
    if config.bitrate is not None and "pass=2" in passes:
        # How full the buffer is depends on how far the other thread has come: with one thread, and
        # without a buffer in the first pass, the bytes are the same every time.
        kbps = config.bitrate // 1000
        params |= {"vbv-maxrate": str(2 * kbps), "vbv-bufsize": str(4 * kbps), "threads": "1"}
    return ":".join(f"{key}={value}" for key, value in params.items()) + passes


def write_rung(
    planes: Callable[[], Iterable[Planes]],
    path: Path,
    *,
    info: VideoInfo,
    starts: Sequence[int],
    config: RungConfig,
    on_progress: Callable[[float], None] | None = None,
) -> RungFacts:
    """Encodes LR planes to an MP4 at `path`.

    `planes()` gives the LR planes of all frames in order; it is called once, or twice for a bit
    rate (two passes). `starts` are the frame numbers at which segments start (0 among them).
    Raises VideoError where nothing can be encoded or written.
    """
    total = info.frames * (2 if config.bitrate else 1)
    done = 0

    def counted(source: Iterable[Planes]) -> Iterator[Planes]:
        nonlocal done
        for item in source:
            yield item
            done += 1
            if on_progress is not None:
                on_progress(done / total)

    if config.bitrate is None:
        count, size = _encode(counted(planes()), path, info, starts, config, "")
    else:
        with tempfile.TemporaryDirectory() as folder:
            stats = os.path.join(folder, "stats")
            if ":" in stats:
                raise VideoError(f"{folder}: x264 cannot keep statistics under a path with ':'")
            scratch = Path(folder, "first.mp4")
            _encode(counted(planes()), scratch, info, starts, config, f":pass=1:stats={stats}")
            second = f":pass=2:stats={stats}"
            count, size = _encode(counted(planes()), path, info, starts, config, second)
    data = path.read_bytes()
    return RungFacts(*size, count, "high", len(data), hashlib.sha256(data).hexdigest())


def _encode(
    planes: Iterator[Planes],
    path: Path,
    info: VideoInfo,
    starts: Sequence[int],
    config: RungConfig,
    passes: str,
) -> tuple[int, tuple[int, int]]:
    """One pass; returns the number of frames and (width, height)."""
    first = next(planes, None)
    if first is None:
        raise VideoError(f"{path}: there is no frame to encode")
    height, width = first[0].shape
    idr = frozenset(starts) | {0}
    options = {"preset": config.preset, "forced-idr": "1"}
    if config.crf is not None:
        options["crf"] = f"{config.crf:g}"
    options["x264-params"] = _x264_params(config, passes)
    timescale = info.fps.numerator
    container_options = {
        "movflags": "+faststart",
        "fflags": "+bitexact",
        "video_track_timescale": str(timescale if timescale >= 1000 else timescale * 512),
    }
    try:
        with av.open(str(path), "w", format="mp4", options=container_options) as container:
            stream = container.add_stream("libx264", rate=info.fps, options=options)
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.time_base = 1 / info.fps
            context.profile = "High"
            context.sample_aspect_ratio = info.sample_aspect_ratio
            if config.bitrate is not None:
                context.bit_rate = config.bitrate
            colour = info.colour
            context.color_range = 2 if colour.range == "full" else 1
            context.color_primaries = colour.primaries
            context.color_trc = colour.transfer
            context.colorspace = colour.matrix
            # x264 writes its settings into an SEI: 700 bytes a viewer has no use for.
            drop_sei = BitStreamFilterContext("filter_units=remove_types=6", stream)
            count = 0
            picture: Planes | None = first
            while picture is not None:
                frame = picture_of(picture)
                frame.pts, frame.time_base = count, 1 / info.fps
                frame.color_range = context.color_range
                frame.pict_type = PictureType.I if count in idr else PictureType.NONE
                for packet in stream.encode(frame):
                    container.mux(drop_sei.filter(packet))
                count += 1
                picture = next(planes, None)
            for packet in stream.encode(None):
                container.mux(drop_sei.filter(packet))
            container.mux(drop_sei.filter(None))
    except (FFmpegError, OSError) as error:
        raise VideoError(f"{path}: cannot write the rung: {error}") from error
    return count, (width, height)


def read_rung(path: Path) -> Iterator[Frame]:
    """The decoded LR frames of a rung, numbered from 0: what every viewer's decoder gives.

    Raises VideoError where it cannot be read.
    """
    try:
        options = {"protocol_whitelist": "file"}  # a package may come from anybody
        with av.open(str(path), format="mp4", options=options) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for number, picture in enumerate(container.decode(stream)):
                y, u, v = (np.array(plane) for plane in raw_planes(picture))
                yield Frame(number, y, u, v)
    except (FFmpegError, OSError, IndexError) as error:
        raise VideoError(f"{path}: cannot read the rung: {error}") from error
