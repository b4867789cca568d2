"""Rungs: low-resolution video that a WebRTC stack can send as it is.

Closed GOPs, one key frame at each segment's start and nowhere else, pictures in the order in which
they are shown. The same input and settings give the same bytes.

    write_rung --> x264 (H.264) | svt_av1 (AV1) --> rung_file (MP4)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from kernels.errors import VideoError
from overfit.video import svt_av1, x264
from overfit.video.frames import U8, Frame, Planes, VideoInfo
from overfit.video.rung_config import RungConfig, RungFacts

MIN_LR_SIDE = 16
"""Smallest side of a rung: one macroblock."""


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

    `planes()` gives the LR planes of all frames in order; for a bit rate it is called several
    times. `starts` are the frame numbers at which segments start (0 among them). Raises VideoError
    where nothing can be encoded or written.
    """
    encoder = _ENCODERS[config.codec]
    total = info.frames * (1 if config.bitrate is None else encoder.MOST_PASSES)
    done = 0

    def counted() -> Iterator[Planes]:
        nonlocal done
        for item in planes():
            yield item
            done += 1
            if on_progress is not None:
                on_progress(min(1.0, done / total))

    count, (width, height) = encoder.write(counted, path, info, starts, config)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return RungFacts(width, height, count, config.codec, encoder.PROFILE, len(data), digest)


_ENCODERS = {"h264": x264, "av1": svt_av1}
