"""One play by the reference client in a process of its own, for `benchmarks.serving`: JSON out.

    python -m benchmarks.serving_play URL PACKAGE [--loss 0.01 --delay 0.05] [--seeks 8]

Loss and delay are put into the client's transport, on every datagram in both directions, below ICE.
Every frame that is put out is kept with its time, the number that the client believes it has, and
the picture; afterwards each picture is compared with what every plan makes of the same LR frame.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from aioice.ice import StunProtocol

from client_sdk.contract import Package, open_package
from client_sdk.core import Result
from client_sdk.picture import planes_of
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from client_sdk.upscaler import Planes, Upscaler
from client_sdk.upscaling_thread import UpscalingThread

ON_TIME = 0.2
"""Seconds after its schedule at which a frame is still on time: a small playout buffer."""


@dataclass(frozen=True)
class Shown:
    """A frame as it was put out. `position` is by RTP time, `number` by the frame's identity."""

    at: float
    position: int
    number: int | None
    lr: Planes
    luma: Any


class Watch:
    """Keeps what the upscaling thread puts out. `keep`: the pictures too."""

    def __init__(self, keep: bool) -> None:
        self.shown: list[Shown] = []
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        put_out = UpscalingThread._put_out

        def watched(
            thread: UpscalingThread, lr: av.VideoFrame, made: Result, hr: Planes, spent_ms: float
        ) -> None:
            put_out(thread, lr, made, hr, spent_ms)
            number = None if made.frame < 0 else made.frame
            pictures: Any = ((), None)
            if keep:
                pictures = (tuple(plane.copy() for plane in planes_of(lr)), hr[0].copy())
            position = thread._next_position - 1
            self.shown.append(Shown(time.monotonic(), position, number, *pictures))
            self._loop.call_soon_threadsafe(self._news.set)

        UpscalingThread._put_out = watched  # type: ignore[method-assign,assignment]

    async def until_in(self, start: int, end: int, seen: int) -> float:
        """Wait for a frame of [start, end) among those after the first `seen`; when it came."""
        while True:
            for shown in self.shown[seen:]:
                if shown.number is not None and start <= shown.number < end:
                    return shown.at
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)


def make_lossy(loss: float, delay: float) -> None:
    """Every datagram of this process's ICE is lost with a chance, and else late, both ways."""
    dice = random.Random(1)
    received = StunProtocol.datagram_received
    made = StunProtocol.connection_made

    def late(function: Any, *arguments: Any) -> None:
        if dice.random() >= loss:
            asyncio.get_running_loop().call_later(delay, function, *arguments)

    def connection_made(protocol: Any, transport: Any) -> None:
        sendto = transport.sendto

        def send(data: bytes, address: Any) -> None:
            if not transport.is_closing():
                sendto(data, address)

        transport.sendto = lambda data, address=None: late(send, data, address)
        made(protocol, transport)

    lossy: Any = StunProtocol
    lossy.connection_made = connection_made
    lossy.datagram_received = lambda self, data, address: late(received, self, data, address)


def on_time(shown: list[Shown], fps: float, frames: int) -> float:
    """Share of the video's frames that were put out within ON_TIME of their schedule.

    The schedule runs from the most punctual frame; frames that never came are not on time.
    """
    delays = {frame.position: frame.at - frame.position / fps for frame in shown}
    punctual = min(delays.values())
    return sum(delay - punctual <= ON_TIME for delay in delays.values()) / frames


def wrong_plans(package: Package, shown: list[Shown]) -> int:
    """Frames that another plan than their segment's made, by their picture and by their time."""
    manifest = package.manifest
    kinds = {
        segment.experts: index
        for index, segment in reversed(list(enumerate(manifest.rungs[0].segments)))
    }
    judges = {segment: Upscaler.of_package(package, threads=1) for segment in kinds.values()}
    wrong = 0
    for frame in shown:
        own = manifest.segment_of(frame.position)
        right = kinds[manifest.rungs[0].segments[own].experts]
        errors = {
            segment: _difference(
                judge.upscale(manifest.segments[segment].start, frame.lr).planes[0], frame.luma
            )
            for segment, judge in judges.items()
        }
        errors[-1] = _difference(
            next(iter(judges.values())).upscale(None, frame.lr).planes[0], frame.luma
        )
        best = min(errors, key=errors.__getitem__)
        # Interpolation is never wrong; a frame that says it is another is.
        wrong += best not in (right, -1) or frame.number not in (None, frame.position)
    return wrong


def _difference(a: Any, b: Any) -> float:
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


async def _seek(session: Session, watch: Watch, package: Package, count: int) -> list[float]:
    """Seeks to and fro, one after the other; ms from each call to the first frame from there."""
    manifest = package.manifest
    await session.manifest
    await asyncio.wait_for(session.first_frame.wait(), 20)
    dice = random.Random(2)
    waits = []
    for index in range(count):
        segments = len(manifest.segments)
        far = segments // 2 + dice.randrange(segments // 2) if index % 2 == 0 else index + 1
        segment = manifest.segments[far]
        seen, asked = len(watch.shown), time.monotonic()
        session.seek(segment.start + segment.frames // 3)
        shown = await watch.until_in(segment.start, segment.end, seen)
        waits.append((shown - asked) * 1000)
        await asyncio.sleep(0.4)
    session.stop()
    return waits


async def play(url: str, package: Package, arguments: argparse.Namespace) -> dict[str, Any]:
    """Play and say how it went."""
    watch = Watch(keep=arguments.loss > 0)
    if arguments.loss or arguments.delay:
        make_lossy(arguments.loss, arguments.delay)
    session = Session(url, PlayOptions(threads=1))
    running = asyncio.ensure_future(session.run())
    figures: dict[str, Any] = {}
    if arguments.seeks:
        figures["seek_ms"] = await _seek(session, watch, package, arguments.seeks)
    elif arguments.frames:
        while not watch.shown or session.stats().first_sr_ms is None:
            await asyncio.sleep(0.02)
        session.stop()
    stats = await running
    figures |= {
        "first_frame_ms": stats.first_frame_ms,
        "first_sr_ms": stats.first_sr_ms,
        "late_plans": stats.late_plans,
        "frames": stats.frames,
        "frames_sr": stats.frames_sr,
    }
    if arguments.loss:
        source = package.manifest.source
        figures["on_time"] = on_time(watch.shown, float(source.rate), source.frames)
        figures["wrong_plan"] = wrong_plans(package, watch.shown)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("package", type=Path)
    parser.add_argument("--loss", type=float, default=0.0, help="share of datagrams that is lost")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each is late")
    parser.add_argument("--seeks", type=int, default=0, help="seek so many times")
    parser.add_argument("--frames", action="store_true", help="stop at the first SR frame")
    arguments = parser.parse_args()
    package = open_package(arguments.package)
    print(json.dumps(asyncio.run(play(arguments.url, package, arguments))))


if __name__ == "__main__":
    main()
