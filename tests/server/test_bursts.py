"""Jumping about is free for a while, and then brings no more than playing does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from client_sdk.contract import Manifest, Package
from client_sdk.contract.control import Hello, Resume, Seek
from server.bursts import AT_ONCE, Bursts
from server.joining import Joined
from server.playhead import ChannelClock
from server.settings import Settings
from server.viewer import Viewer
from tests.client_sdk.tiny import FPS, SEGMENTS
from tests.server.test_fuzz_control import MemoryChannel
from tests.server.test_limits import Clock
from tests.server.test_storms import converse, hear

LAST = sum(SEGMENTS) - 1  # what leads there is the whole of the longest segment
EVERY = 0.25  # seconds between two jumps, as seeks are joined
NEVER = 1e6


def stretched(manifest: Manifest, frames: int, segments: int = 10) -> Manifest:
    """The manifest of a video of so many segments, all that long."""
    one = manifest.segments[0]
    made = [
        one.model_copy(update={"start": index * frames, "frames": frames})
        for index in range(segments)
    ]
    source = manifest.source.model_copy(update={"frames": frames * segments})
    # A copy would keep what was worked out of the old segments.
    return Manifest.model_construct(**{**dict(manifest), "source": source, "segments": tuple(made)})


def test_who_jumps_all_the_time_gets_as_much_again_as_a_play(tiny: Package) -> None:
    clock = Clock()
    bursts = Bursts(tiny.manifest, clock)
    jumps = 0
    while clock.now < 60:
        wait = bursts.wait(LAST)
        jumps += not wait
        clock.now += wait or EVERY
    frames, longest = jumps * max(SEGMENTS), max(SEGMENTS)
    assert 60 * FPS - longest <= frames <= 60 * FPS + (AT_ONCE + 1) * longest


def test_to_seek_the_same_idr_again_and_again_is_counted_too(tiny: Package) -> None:
    bursts = Bursts(tiny.manifest, Clock())
    assert sum(not bursts.wait(0) for _ in range(1000)) == AT_ONCE * max(SEGMENTS)


@pytest.mark.parametrize("frames", [12, 50, 250])
@pytest.mark.parametrize("way", [1, -1])
def test_a_slider_that_is_dragged_for_three_seconds_does_not_wait(
    tiny: Package, frames: int, way: int
) -> None:
    manifest, clock = stretched(tiny.manifest, frames), Clock()
    bursts = Bursts(manifest, clock)
    for step in range(int(3 / EVERY) + 1):
        place = round(step * EVERY / 3 * (manifest.source.frames - 1))
        assert bursts.wait(place if way == 1 else manifest.source.frames - 1 - place) == 0
        clock.now += EVERY


@pytest.mark.parametrize("frames", [12, 50, 250])
def test_who_seeks_now_and_then_never_waits(tiny: Package, frames: int) -> None:
    clock = Clock()
    bursts = Bursts(stretched(tiny.manifest, frames), clock)
    for step in range(1000):
        assert bursts.wait(step * 37) == 0
        clock.now += frames / float(FPS)


def test_what_is_beyond_the_end_counts_as_the_last_frame(tiny: Package) -> None:
    bursts = Bursts(tiny.manifest, Clock())
    assert bursts.wait(1 << 30) == 0


def test_what_must_wait_is_asked_again_and_the_last_counts() -> None:
    async def run() -> None:
        joined, done = Joined(0.0), asyncio.Queue[str]()
        waits = iter([NEVER, 0.01, 0.01, 0.0])
        joined.ask(lambda: done.put_nowait("first"), lambda: next(waits))
        joined.ask(lambda: done.put_nowait("second"), lambda: next(waits))
        assert done.empty()
        assert await asyncio.wait_for(done.get(), 5) == "second"
        assert done.empty()
        joined.ask(lambda: done.put_nowait("third"), lambda: NEVER)
        joined.ask(lambda: done.put_nowait("fourth"))  # need not wait
        assert done.get_nowait() == "fourth"

    asyncio.run(run())


def hold(viewer: Viewer, *allowed: int) -> None:
    """Let jumps to these frames be made, and no others."""
    bursts: Any = viewer._conversation._bursts
    bursts.wait = lambda frame: 0.0 if frame in allowed else NEVER


def test_a_seek_waits_for_the_bucket_and_a_later_one_replaces_it(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        hear(channel, Hello(), Resume())
        playhead = viewer._playhead
        epoch = playhead.epoch
        hold(viewer, 13)
        hear(channel, Seek(frame=30))
        assert playhead.epoch == epoch
        hear(channel, Seek(frame=13))
        assert (playhead.epoch, playhead.target) == (epoch + 1, 13)

    converse(tiny, talk, Settings())


def test_to_join_a_channel_again_and_again_waits_too(tiny: Package) -> None:
    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        clock = ChannelClock(tiny.manifest, asyncio.get_running_loop().time() + NEVER)
        viewer._playhead._channel = clock
        conversation: Any = viewer._conversation
        conversation._media = replace(conversation._media, channel=clock)
        hold(viewer)
        hear(channel, Hello(), Resume())
        assert not viewer._playhead.running
        hold(viewer, *range(LAST + 1))
        hear(channel, Resume())
        assert viewer._playhead.running

    converse(tiny, talk, Settings())
