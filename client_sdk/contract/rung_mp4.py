"""Opening a rung's mp4, which may come from anybody, so that it cannot take all memory.

A picture's size is in the codec's own headers, and a few kilobytes can say 16384 x 16384. They are
compared with the manifest before a picture is decoded, and the decoder takes none that is larger:
headers may change within a stream. Nor is a table of samples believed that says more than the file
can hold: FFmpeg takes 24 bytes for each sample before it looks for one.

Boxes: ISO/IEC 14496-12, 4.2 and 8.7.3.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from client_sdk.contract.plain_files import open_plain

_LOCAL = {"protocol_whitelist": "file"}  # its files lead nowhere else
_BLOCK = 64  # pixels of a coded picture's side that may lie beyond what is shown
_STREAMS = 16  # that are looked into
_MOST_BOXES = 1000
_MOST_HEAD = 64 << 20  # bytes of a box that holds no pictures


@contextlib.contextmanager
def open_rung(
    path: Path, size: tuple[int, int] | None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The mp4 and its video, whose pictures have `size` (width, height) pixels and never more.

    None for a file of our own making, whose pictures may be of any size.
    Raises PackageError where it is no plain file, ValueError where they are of another size or its
    boxes say what cannot be, av.FFmpegError and OSError where it is no mp4,
    IndexError where it has no video. Decoding raises av.FFmpegError at a larger picture.
    """
    _check_tables(path)
    bound = {}
    if size is not None:
        bound["max_pixels"] = str((size[0] + _BLOCK) * (size[1] + _BLOCK))
    # FFmpeg decodes some of a stream, to know its format, before anybody can ask for its size.
    told: Any = [bound] * _STREAMS  # its stubs have another type
    with av.open(str(path), format="mp4", options=_LOCAL, stream_options=told) as container:
        stream = container.streams.video[0]
        # PyAV gives none for what FFmpeg has no decoder for, whatever its stubs say.
        context: Any = stream.codec_context
        if context is not None and size is not None:
            if (context.width, context.height) != size:
                coded = f"{context.width} x {context.height}"
                said = f"{size[0]} x {size[1]}"
                raise ValueError(f"its pictures are {coded} pixels, and {said} by the manifest")
            context.options = bound
        yield container, stream


def _check_tables(path: Path) -> None:
    """Raises ValueError where boxes do not fit, or say that more samples are there than can be.

    Tables of samples are found by their names, wherever they are: FFmpeg finds them in boxes that
    have none by the standard.
    """
    with open_plain(path) as file:
        whole = file.seek(0, 2)
        for number, (kind, start, end) in enumerate(_boxes(file, whole)):
            if number >= _MOST_BOXES or kind == b"moof":
                raise ValueError("it is in fragments, or of too many boxes")
            if kind == b"mdat":
                continue
            if end - start > _MOST_HEAD:
                raise ValueError(f"its head has more than {_MOST_HEAD >> 20} MiB")
            file.seek(start)
            _check_head(file.read(end - start), whole)


def _check_head(head: bytes, whole: int) -> None:
    if b"stz2" in head:
        raise ValueError("its tables of samples are not understood")
    tables = head.count(b"stsz")
    place = head.find(b"stsz")
    while place >= 0:
        if place + 16 > len(head) or tables > _STREAMS:
            raise ValueError("its tables of samples are not understood")
        size, count = struct.unpack_from(">II", head, place + 8)
        if count * size > whole or (not size and 4 * count > len(head) - place):
            raise ValueError(f"its table says {count} samples, more than it can hold")
        place = head.find(b"stsz", place + 4)


def _boxes(file: BinaryIO, whole: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind and span of what is in each box of the file."""
    start = 0
    while start + 8 <= whole:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        inside = start + 8
        if size == 1:
            size, inside = int.from_bytes(file.read(8), "big"), start + 16
        elif size == 0:
            size = whole - start
        if not inside - start <= size <= whole - start:
            raise ValueError("its boxes do not fit into it")
        yield kind, inside, start + size
        start += size
