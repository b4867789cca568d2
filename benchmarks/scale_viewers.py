"""Plays of the reference client for `benchmarks.scale`, many in one process.

    python -m benchmarks.scale_viewers URL COUNT

Says `playing` once all show something, plays until a line comes, and then prints what each saw.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import av

from client_sdk.core import Result
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from client_sdk.upscaler import Planes
from client_sdk.upscaling_thread import UpscalingThread
from kernels.errors import CrispcastError

_STILL_HERE = 2.0  # seconds before the end in which a frame must have come
_JOINS = 0.1  # seconds between two that come

Shown = tuple[float, int | None]
"""When a frame was put out, in the loop's seconds, and its number."""


def judged(shown: Sequence[Shown], ended: float, error: str | None) -> dict[str, Any]:
    """What a viewer saw: whether it was lost, the longest gap in seconds, and breaks.

    A break is a frame that is not the one after that before it, or not known by its number.
    """
    times = [at for at, _ in shown]
    numbers = [number for _, number in shown]
    here = bool(times) and ended - times[-1] < _STILL_HERE
    return {
        "lost": error is not None or not here,
        "gap_s": max((b - a for a, b in itertools.pairwise(times)), default=ended),
        "frames": len(shown),
        "breaks": sum(a is None or b != a + 1 for a, b in itertools.pairwise(numbers)),
        "error": error,
    }


class Audience:
    """So many plays, and every frame that they put out."""

    def __init__(self) -> None:
        self._shown: dict[int, list[Shown]] = {}
        put_out = UpscalingThread._put_out

        def watched(
            thread: UpscalingThread, lr: av.VideoFrame, made: Result, hr: Planes, spent_ms: float
        ) -> None:
            put_out(thread, lr, made, hr, spent_ms)
            number = None if made.frame < 0 else made.frame
            self._shown.setdefault(id(thread), []).append((time.monotonic(), number))

        UpscalingThread._put_out = watched  # type: ignore[method-assign,assignment]

    async def watch(self, url: str) -> Viewer:
        """A play that shows something by now. Raises StreamError."""
        viewer = Viewer(url)
        first = asyncio.create_task(viewer.session.first_frame.wait())
        await asyncio.wait({viewer.playing, first}, return_when=asyncio.FIRST_COMPLETED)
        if viewer.playing.done():
            viewer.playing.result()
        return viewer

    def saw(self, viewer: Viewer, ended: float, error: str | None) -> dict[str, Any]:
        """What the viewer saw until then."""
        playback = viewer.session.playback
        shown = self._shown.get(id(playback._thread), []) if playback is not None else []
        reconnects = viewer.session.stats().reconnects
        return judged(shown, ended, error) | {"reconnects": reconnects}


class Viewer:
    """A play, and its task."""

    def __init__(self, url: str) -> None:
        self.session = Session(url, PlayOptions(threads=1))
        self.playing = asyncio.create_task(self.session.run())


async def _main(url: str, count: int) -> None:
    audience = Audience()
    viewers = []
    for _ in range(count):
        viewers.append(await audience.watch(url))
        await asyncio.sleep(_JOINS)
    print("playing", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    ended = asyncio.get_running_loop().time()
    errors = []
    for viewer in viewers:
        broke = viewer.playing.done()
        viewer.session.stop()
        try:
            stats = await viewer.playing
            errors.append(f"it ended by itself: {stats.ended}" if broke else None)
        except CrispcastError as error:
            errors.append(str(error))
    said = [audience.saw(v, ended, error) for v, error in zip(viewers, errors, strict=True)]
    print(json.dumps(said))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="of the WHEP endpoint that all ask first")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.url, arguments.count))
