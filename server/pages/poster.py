"""A package's poster: a frame of its smallest video, as it is decoded."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

import av

from client_sdk.contract import Package
from kernels.errors import PackageError
from server.rung_video import LOCAL

QUALITY = 85


def make_poster(package: Package) -> bytes:
    """A JPEG of the frame with which the middle segment starts. Raises PackageError."""
    manifest = package.manifest
    segment = manifest.segments[len(manifest.segments) // 2]
    path = package.video_path(0)
    try:
        with av.open(str(path), format="mp4", options=LOCAL) as container:
            stream = container.streams.video[0]
            time = segment.start / manifest.source.rate / Fraction(stream.time_base or 1)
            container.seek(round(time), stream=stream)
            frame: Any = next(container.decode(stream))
    except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
        raise PackageError(f"{path} gives no picture: {error}") from None
    out = io.BytesIO()
    frame.to_image().save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
