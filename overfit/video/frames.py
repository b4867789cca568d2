"""What a video is inside Crispcast: 8-bit 4:2:0 planes, upright, on a constant-frame-rate grid.

Colour is never converted: a frame keeps the range and the matrix of its source, and the tags
(ITU-T H.273 code points) travel beside it into the rungs and the manifest. Only sources that are
not YUV at all (RGB, palettes) are converted, to limited-range BT.709.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
Planes = tuple[U8, U8, U8]
"""Luma [h, w] and two chroma planes [ceil(h/2), ceil(w/2)], u8."""

_INTERPOLATION = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True)
class Colour:
    """Colour tags of a video: range, and H.273 primaries, transfer and matrix (2 = unknown)."""

    range: Literal["limited", "full"] = "limited"
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


@dataclass(frozen=True)
class Frame:
    """One picture: its frame number and its planes, as `Planes` has them."""

    number: int
    y: U8
    u: U8
    v: U8

    @property
    def planes(self) -> Planes:
        """(y, u, v)."""
        return self.y, self.u, self.v


@dataclass(frozen=True)
class VideoInfo:
    """What `probe` learns of a source by decoding it once.

    `width` and `height` are upright (after rotation) square pixels, `frames` counts the frames of
    the constant-rate grid, `sample_aspect_ratio` is that which an upright pixel had before it was
    scaled to a square one, `start` is the time in seconds of frame 0 on the file's clock (audio is
    aligned to it). `damaged`: some of it could not be decoded; `interlaced`: pictures of it are
    flagged so, and are made whole as they are read.
    """

    path: Path
    width: int
    height: int
    frames: int
    fps: Fraction
    colour: Colour
    sample_aspect_ratio: Fraction
    matrix: tuple[int, int, int, int]
    timed: bool
    start: Fraction
    audio: bool
    damaged: bool
    interlaced: bool

    @property
    def duration(self) -> Fraction:
        """Length in seconds."""
        return self.frames / self.fps


def is_rgb(frame: av.VideoFrame) -> bool:
    """Whether the picture holds RGB (or a palette of RGB), not YUV or grey."""
    return frame.format.is_rgb or frame.format.has_palette


def colour_of(frame: av.VideoFrame) -> Colour:
    """Colour tags of a decoded picture; unspecified range is limited, as every player takes it."""
    if is_rgb(frame):
        return Colour("limited", 1, 1, 1)
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return Colour(
        "full" if full else "limited",
        int(frame.color_primaries),
        int(frame.color_trc),
        # 0 is "RGB": a lie on a YUV picture that decoders would act on.
        int(frame.colorspace) or 2,
    )


class Normaliser:
    """Turns decoded pictures of any pixel format and size into upright I420 of one size."""

    def __init__(self, width: int, height: int, matrix: tuple[int, int, int, int]) -> None:
        """`width` x `height`: size of the pictures as coded (before rotation), in pixels."""
        self.width = width
        self.height = height
        self.matrix = matrix
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> Planes:
        """Planes of one picture, copied out of the decoder's buffers."""
        same_size = (picture.width, picture.height) == (self.width, self.height)
        if not same_size or picture.format.name not in ("yuv420p", "yuvj420p"):
            rgb = is_rgb(picture)
            full = colour_of(picture).range == "full"
            keep = ColorRange.JPEG if full else ColorRange.MPEG
            picture = self._reformatter.reformat(
                picture,
                width=self.width,
                height=self.height,
                # The "j" name says full range on both sides, so that no range conversion happens.
                format="yuvj420p" if full else "yuv420p",
                dst_colorspace=Colorspace.ITU709 if rgb else None,
                interpolation=_INTERPOLATION,
                src_color_range=ColorRange.JPEG if rgb else keep,
                dst_color_range=ColorRange.MPEG if rgb else keep,
            )
        y, u, v = (upright(plane, self.matrix) for plane in raw_planes(picture))
        return y, u, v


def raw_planes(picture: av.VideoFrame) -> Planes:
    """Views of the three planes of a planar 4:2:0 8-bit picture, without the row padding."""
    w, h = picture.width, picture.height
    sizes = ((w, h), ((w + 1) // 2, (h + 1) // 2), ((w + 1) // 2, (h + 1) // 2))
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
        for plane, (columns, rows) in zip(picture.planes, sizes, strict=True)
    )
    return y, u, v


def picture_of(planes: Planes) -> av.VideoFrame:
    """A yuv420p picture holding a copy of the planes, ready for an encoder."""
    height, width = planes[0].shape
    picture = av.VideoFrame(width, height, "yuv420p")
    for buffer, plane in zip(picture.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(buffer), np.uint8).reshape(-1, buffer.line_size)
        rows.flags.writeable = True
        rows[: plane.shape[0], : plane.shape[1]] = plane
        # x264 reads past the end of rows of odd chroma planes: what is there must be defined.
        rows[:, plane.shape[1] :] = rows[:, plane.shape[1] - 1 : plane.shape[1]]
    return picture


def upright(plane: U8, matrix: tuple[int, int, int, int]) -> U8:
    """A copy of `plane` turned as the display matrix says.

    `matrix` is (a, b, c, d) of ISO/IEC 14496-12 section 6.2.2, each -1, 0 or 1: a pixel at (x, y)
    is shown at (a*x + c*y, b*x + d*y).
    """
    a, b, c, d = matrix
    turned = plane[:: d or 1, :: a or 1] if a or d else plane.T[:: b or 1, :: c or 1]
    return np.array(turned, order="C")


def display_matrix(picture: av.VideoFrame) -> tuple[int, int, int, int]:
    """Orientation (a, b, c, d) of a picture, rounded to quarter turns and flips."""
    data = picture.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(memoryview(data), np.int32).tolist()
    # Whichever axis is stronger decides; odd angles are shown at the nearest quarter turn.
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0
