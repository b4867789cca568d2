"""Where a viewer is: bursts, pauses, loops and channels, on a clock that the test moves."""

from __future__ import annotations

from fractions import Fraction

import pytest

from client_sdk.contract import Package
from server.playhead import BURST, ChannelClock, Playhead
from tests.client_sdk.tiny import FPS, SEGMENTS

FRAMES = sum(SEGMENTS)
LAST = SEGMENTS[0] + SEGMENTS[1]  # first frame of the last segment


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def due(playhead: Playhead, frame: int, *, peek: bool = True) -> bool:
    """Whether a frame is due by now."""
    seconds = playhead.due_in(float(frame / FPS), peek)
    return seconds is not None and seconds <= 0


def test_what_leads_to_a_sought_frame_takes_a_sixteenth_of_its_time(
    tiny: Package, clock: Clock
) -> None:
    playhead = Playhead(tiny.manifest, clock)
    playhead.resume()
    playhead.seek(LAST + 8)
    assert (playhead.frame, playhead.target) == (LAST, LAST + 8)
    assert due(playhead, LAST)
    assert not due(playhead, LAST + 8)
    clock.now += 8 / float(FPS) / BURST + 0.001
    assert due(playhead, LAST + 8)
    assert not due(playhead, LAST + 9)
    clock.now += 1 / float(FPS)
    assert due(playhead, LAST + 9)


def test_time_stamps_lie_as_close_as_a_burst_is_sent_and_never_go_back(
    tiny: Package, clock: Clock
) -> None:
    playhead = Playhead(tiny.manifest, clock)
    playhead.resume()
    stamps = []
    for target in (30, 30, 3, 12, 0, FRAMES - 1):
        playhead.seek(target)
        for frame in range(playhead.frame, target + 1):
            stamps.append(playhead.stream_time(frame / FPS))
            playhead.sent(frame)
    assert stamps == sorted(set(stamps))
    assert stamps[-1] - stamps[-2] < Fraction(1, 10) / FPS


def test_a_seek_without_a_start_waits_for_it(tiny: Package, clock: Clock) -> None:
    playhead = Playhead(tiny.manifest, clock)
    playhead.seek(30)
    assert playhead.epoch == 0
    playhead.resume()
    assert (playhead.epoch, playhead.frame, playhead.target) == (1, LAST, 30)
    assert due(playhead, LAST)


def test_a_seek_in_a_pause_lets_that_frame_be_seen_and_nothing_be_heard(
    tiny: Package, clock: Clock
) -> None:
    playhead = Playhead(tiny.manifest, clock)
    playhead.resume()
    playhead.pause()
    assert not due(playhead, 0)
    playhead.seek(30)
    clock.now += 1
    assert due(playhead, 30)
    assert not due(playhead, 31)
    assert not due(playhead, 30, peek=False)
    playhead.pause()
    assert not due(playhead, 30)


def test_who_does_not_know_exact_seeks_gets_the_idr_in_real_time(
    tiny: Package, clock: Clock
) -> None:
    playhead = Playhead(tiny.manifest, clock)
    playhead.resume()
    playhead.seek(30, exact=False)
    assert (playhead.frame, playhead.target, playhead.bursts) == (LAST, LAST, False)
    assert due(playhead, LAST)
    assert not due(playhead, LAST + 1)


def test_a_loop_has_no_gap_in_time(tiny: Package, clock: Clock) -> None:
    playhead = Playhead(tiny.manifest, clock)
    playhead.loop(True)
    playhead.resume()
    end = playhead.stream_time(FRAMES / FPS)
    clock.now += 17  # the process was held up
    playhead.wrap()
    assert playhead.frame == 0
    assert playhead.stream_time(Fraction(0)) == end


@pytest.mark.parametrize("late", [0.01, 0.1, 0.47, 0.5, 0.7, 1.21, 1.43])
def test_whoever_joins_a_channel_is_where_all_are(tiny: Package, clock: Clock, late: float) -> None:
    channel = ChannelClock(tiny.manifest, clock.now)
    clock.now += 10 * FRAMES / float(FPS) + late
    playhead = Playhead(tiny.manifest, clock, channel)
    assert playhead.live == channel.frame(clock.now)
    playhead.resume()
    starts = [segment.start for segment in tiny.manifest.segments]
    assert playhead.frame in starts  # at an IDR
    # From the target on, a frame is due when the channel has it.
    target = playhead.target
    assert target == playhead.frame or target - playhead.frame < max(SEGMENTS)
    begun = clock.now
    while not due(playhead, target):
        clock.now += 0.001
    assert clock.now - begun <= max(SEGMENTS) / float(FPS) / BURST + 1 / float(FPS) + 0.002
    assert channel.frame(clock.now + 1e-6) == target


def test_a_pause_in_a_channel_ends_at_the_live_edge(tiny: Package, clock: Clock) -> None:
    channel = ChannelClock(tiny.manifest, clock.now)
    playhead = Playhead(tiny.manifest, clock, channel)
    playhead.resume()
    playhead.pause()
    clock.now += 1.0  # 25 frames
    playhead.resume()
    assert playhead.frame == LAST
    assert playhead.target in (25, 26)
    playhead.loop(False)
    assert playhead.loops
