"""What the benchmark of replicas makes of what its viewers saw."""

from __future__ import annotations

import pytest

from benchmarks.scale_viewers import Shown, judged

STEADY: list[Shown] = [(number / 10, number) for number in range(30)]


def test_a_viewer_that_saw_every_frame_in_time_lost_nothing() -> None:
    seen = judged(STEADY, 3.0, None)
    assert (seen["lost"], seen["breaks"], seen["frames"]) == (False, 0, 30)
    assert seen["gap_s"] == pytest.approx(0.1)


def test_a_pause_is_a_gap_and_what_is_skipped_or_not_known_a_break() -> None:
    later: list[Shown] = [(at + 1.5, number) for at, number in STEADY[10:]]
    paused = judged(STEADY[:10] + later, 4.5, None)
    assert (paused["lost"], paused["breaks"]) == (False, 0)
    assert paused["gap_s"] == pytest.approx(1.6)
    assert judged(STEADY[:10] + STEADY[11:], 3.0, None)["breaks"] == 1
    unknown: list[Shown] = [(1.0, None)]
    assert judged(STEADY[:10] + unknown + STEADY[11:], 3.0, None)["breaks"] == 2


def test_who_broke_off_fell_silent_or_saw_nothing_is_lost() -> None:
    assert judged(STEADY, 3.0, "the server is gone")["lost"]
    assert judged(STEADY, 5.0, None)["lost"]
    silent = judged([], 5.0, None)
    assert (silent["lost"], silent["gap_s"]) == (True, 5.0)
