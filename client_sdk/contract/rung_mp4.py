"""Opening a rung's mp4, which may come from anybody, so that it cannot take all memory.

A picture's size is in the codec's own headers, and a few kilobytes can say 16384 x 16384. They are
compared with the manifest before a picture is decoded, and the decoder takes none that is larger:
headers may change within a stream.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

_LOCAL = {"protocol_whitelist": "file"}  # its files lead nowhere else
_BLOCK = 64  # pixels of a coded picture's side that may lie beyond what is shown
_STREAMS = 16  # that are looked into


@contextlib.contextmanager
def open_rung(
    path: Path, size: tuple[int, int] | None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The mp4 and its video, whose pictures have `size` (width, height) pixels and never more.

    None for a file of our own making, whose pictures may be of any size.
    Raises ValueError where they are of another size, av.FFmpegError and OSError where it is no mp4,
    IndexError where it has no video. Decoding raises av.FFmpegError at a larger picture.
    """
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
