"""Makes whole pictures of interlaced ones.

    picture ──► flagged as interlaced? ──no──► as it is
                        └─yes─► bwdif, with the pictures before and after it ──► one picture

A picture of interlaced video holds two moments, one in its even rows and one in its odd ones: of a
field, the rows between are made. FFmpeg's bwdif is yadif's choice between neighbours in time and
space with the interpolation of the BBC's w3fdif (M. Weston, EP 0 241 205). It could make a picture
of each field too; one of both keeps the source's count of pictures and their times.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

from av import VideoFormat, VideoFrame
from av.filter import Graph
from av.video.reformatter import ColorRange, VideoReformatter

from overfit.video.frames import colour_of

_SETTINGS = "mode=send_frame:parity=auto:deint=interlaced"
_TAKEN = re.compile(r"yuv[aj]?4[0-4]{2}p(9|10|12|14|16)?(le)?|gray(16le)?")
"""Names of YUV formats that bwdif takes as they are."""


def deinterlaced(pictures: Iterable[VideoFrame | None]) -> Iterator[VideoFrame | None]:
    """The pictures in their order with their times, interlaced ones made whole; None stays.

    What comes before the first interlaced one is untouched, and so is all of a progressive video.
    """
    line: _Bwdif | None = None
    for picture in pictures:
        if picture is None:
            yield None
            continue
        if line is not None and not line.takes(picture):
            yield from line.push(None)
            line = None
        if line is None and not picture.interlaced_frame:
            yield picture
            continue
        line = line or _Bwdif(picture)
        yield from line.push(picture)
    if line is not None:
        yield from line.push(None)


class _Bwdif:
    """FFmpeg's filter for pictures of one size and format: as many come out as went in."""

    def __init__(self, first: VideoFrame) -> None:
        self._kind = _kind(first)
        self._format = _planar(first.format)
        self._reformatter = VideoReformatter()
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=first.width,
            height=first.height,
            format=self._format,
            time_base=first.time_base or Fraction(1, 1000),
        )
        bwdif = self._graph.add("bwdif", _SETTINGS)
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()
        self._times: deque[tuple[int | None, Fraction | None, int]] = deque()

    def takes(self, picture: VideoFrame) -> bool:
        """Whether the picture is like the first one."""
        return _kind(picture) == self._kind

    def push(self, picture: VideoFrame | None) -> Iterator[VideoFrame]:
        """Pictures that are done when this one is there, or, with None, the last."""
        if picture is not None:
            self._times.append((picture.pts, picture.time_base, picture.duration))
            if picture.format.name != self._format.name:
                keep = ColorRange.JPEG if colour_of(picture).range == "full" else ColorRange.MPEG
                picture = self._reformatter.reformat(
                    picture,
                    format=self._format.name,
                    src_color_range=keep,
                    dst_color_range=keep,
                )
        self._graph.vpush(picture)
        while True:
            try:
                made = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            # The filter counts in halves of the source's ticks, and some pictures have no time.
            made.pts, made.time_base, made.duration = self._times.popleft()
            yield made


def _planar(format: VideoFormat) -> VideoFormat:
    """A format that the filter takes, with what this one has.

    Given another, as capture cards' packed ones, it would convert that, and the range with it.
    """
    if _TAKEN.fullmatch(format.name) or format.is_rgb or format.has_palette:
        return format
    bits = format.components[0].bits
    depth = next((f"{depth}le" for depth in (10, 12, 16) if 8 < bits <= depth), "")
    if len(format.components) < 3:
        return VideoFormat("gray16le" if depth else "gray")
    sampling = {(4, 4): "444", (2, 4): "422"}.get((format.chroma_width(4), format.chroma_height(4)))
    return VideoFormat(f"yuv{sampling or '420'}p{depth}")


def _kind(picture: VideoFrame) -> tuple[int, int, str]:
    return picture.width, picture.height, picture.format.name
