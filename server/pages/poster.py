"""A package's poster: a frame of its smallest video, as it is decoded."""

from __future__ import annotations

import asyncio
import io
import logging
from collections import OrderedDict
from fractions import Fraction
from typing import Any, TypeAlias

import av

from client_sdk.contract import Package
from client_sdk.contract.rung_mp4 import open_rung
from kernels.errors import PackageError

QUALITY = 85
MOST_POSTERS = 256
_Key: TypeAlias = tuple[str, str, int, int]
log = logging.getLogger("crispcast.server")


def make_poster(package: Package) -> bytes:
    """A JPEG of the frame with which the middle segment starts. Raises PackageError."""
    manifest = package.manifest
    segment, rung = manifest.segments[len(manifest.segments) // 2], manifest.rungs[0]
    path, out = package.video_path(0), io.BytesIO()
    try:
        with open_rung(path, (rung.width, rung.height)) as (container, stream):
            time = segment.start / manifest.source.rate / Fraction(stream.time_base or 1)
            container.seek(round(time), stream=stream)
            frame: Any = next(container.decode(stream))
            frame.to_image().save(out, "JPEG", quality=QUALITY)
    except (av.FFmpegError, OSError, IndexError, ValueError, StopIteration) as error:
        raise PackageError(f"{path} gives no picture: {error}") from None
    return out.getvalue()


def _key(package: Package) -> _Key:
    """What changes when the poster may: the package, and its video, which may be mended."""
    try:
        found = package.video_path(0).stat()
    except OSError:
        return package.name, package.manifest.id, 0, 0
    return package.name, package.manifest.id, found.st_size, found.st_mtime_ns


class Posters:
    """Posters of packages: each is made once, one at a time, and what fails is not tried again.

    That holds for as long as a package stays as it is. `MOST_POSTERS` are kept; those that were
    asked for longest ago go. Who waits for one takes no thread, of which pages need some.
    """

    def __init__(self) -> None:
        self._made: OrderedDict[_Key, bytes | None] = OrderedDict()
        self._making = asyncio.Lock()

    async def of(self, package: Package) -> bytes | None:
        """The JPEG; None where the video gives no picture: the log says why."""
        key = _key(package)
        if key not in self._made:
            async with self._making:
                if key not in self._made:
                    self._made[key] = await asyncio.to_thread(_made, package)
                    if len(self._made) > MOST_POSTERS:
                        self._made.popitem(last=False)
                return self._made[key]
        self._made.move_to_end(key)
        return self._made[key]


def _made(package: Package) -> bytes | None:
    try:
        return make_poster(package)
    except PackageError as error:
        log.error("no poster: %s", error)
        return None
