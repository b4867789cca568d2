"""After a seek, nothing is shown before the frame that was sought."""

from __future__ import annotations

import pytest

from client_sdk.contract import Package
from client_sdk.frame_clock import CLOCK_RATE, Identified
from client_sdk.landing import Landing
from tests.client_sdk.tiny import FPS

TICKS = int(CLOCK_RATE / FPS)


@pytest.fixture
def landing(tiny: Package) -> Landing:
    landing = Landing(tiny.manifest)
    assert all(landing.shows(n * TICKS, Identified(n, 0)) for n in range(5))
    return landing


def burst(frames: range, at: int) -> list[tuple[int, Identified]]:
    """Frames as they come after a seek: numbers, and times that lie close."""
    return [(at + n * TICKS // 16, Identified(frame, 0)) for n, frame in enumerate(frames)]


def test_what_was_on_its_way_and_what_leads_there_is_not_shown(landing: Landing) -> None:
    landing.begin(30)
    assert not landing.shows(5 * TICKS, Identified(5, 0))
    frames = burst(range(22, 31), 10 * TICKS)
    landing.sought(frames[-1][0], 30)
    assert [landing.shows(*frame) for frame in frames] == [False] * 8 + [True]
    assert not landing.active


def test_without_the_message_a_jump_in_the_numbers_tells(landing: Landing) -> None:
    landing.begin(6)
    # The sought frame comes as part of the old play, and again after the jump.
    assert not landing.shows(5 * TICKS, Identified(5, 0))
    assert not landing.shows(6 * TICKS, Identified(6, 0))
    frames = burst(range(7), 8 * TICKS)
    assert [landing.shows(*frame) for frame in frames] == [False] * 6 + [True]


def test_a_lost_frame_does_not_hold_the_others_back(landing: Landing) -> None:
    landing.begin(30)
    frames = burst(range(22, 30), 10 * TICKS)
    landing.sought(frames[-1][0] + TICKS // 16, 30)
    assert not any(landing.shows(*frame) for frame in frames)
    assert landing.shows(frames[-1][0] + TICKS, Identified(31, 0))


def test_unknown_frames_are_held_back_too_but_not_for_ever(landing: Landing) -> None:
    landing.begin(30)
    shown = [landing.shows((5 + n) * TICKS, None) for n in range(300)]
    assert not any(shown[:200])
    assert shown[-1]


def test_the_answer_to_a_seek_before_is_passed_over(landing: Landing) -> None:
    landing.begin(30)
    landing.begin(14)
    landing.sought(6 * TICKS, 30)
    assert not landing.shows(6 * TICKS, Identified(30, 0))
    landing.sought(9 * TICKS, 14)
    assert landing.shows(9 * TICKS, Identified(14, 0))


def test_a_refused_seek_changes_nothing(landing: Landing) -> None:
    landing.begin(30)
    landing.cancel()
    assert landing.shows(5 * TICKS, Identified(5, 0))


def test_a_new_connection_has_other_times(landing: Landing) -> None:
    landing.reconnected()
    landing.begin(5)
    frames = burst(range(6), 0)
    assert [landing.shows(*frame) for frame in frames] == [False] * 5 + [True]
