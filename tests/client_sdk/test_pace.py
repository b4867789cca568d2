"""A machine too slow for its networks interpolates, and tries again ever more rarely."""

from __future__ import annotations

from itertools import pairwise

from client_sdk.pace import LONGEST, LOOKED_AT, REST, Pace

FRAME = 0.04


def run(pace: Pace, seconds: float, spent_ms: float, begin: float = 0.0) -> list[bool]:
    """Whether networks ran, frame by frame."""
    ran = []
    for number in range(round(seconds / FRAME)):
        now = begin + number * FRAME
        ran.append(pace.may_run(now))
        if ran[-1]:
            pace.took(now, spent_ms)
    return ran


def test_a_machine_that_keeps_up_somewhat_runs_networks_on_every_frame() -> None:
    assert all(run(Pace(1000 * FRAME), 60, 30))
    # A few frames less are better than none super-resolved.
    assert all(run(Pace(1000 * FRAME), 60, 70))


def test_a_single_slow_frame_changes_nothing() -> None:
    pace = Pace(1000 * FRAME)
    run(pace, 1, 30)
    pace.took(1.0, 500)
    assert all(run(pace, 10, 30, begin=1.04))


def test_a_slow_machine_rests_for_twice_as_long_each_time_up_to_a_bound() -> None:
    ran = run(Pace(1000 * FRAME), 400, 100)
    assert ran[:LOOKED_AT] == [True] * LOOKED_AT
    edges = [at for at, (a, b) in enumerate(pairwise(ran)) if a != b]
    rests = [(b - a) * FRAME for a, b in zip(edges[::2], edges[1::2], strict=False)]
    assert [round(rest) for rest in rests[:5]] == [REST, 4, 8, 16, 32]
    assert max(rests) <= LONGEST + FRAME


def test_other_plans_are_tried_at_once() -> None:
    pace = Pace(1000 * FRAME)
    run(pace, 2, 100)
    assert pace.resting
    pace.other_plans()
    assert pace.may_run(2.0)


def test_after_a_sound_while_the_next_rest_is_short_again() -> None:
    pace = Pace(1000 * FRAME)
    run(pace, 100, 100)
    pace.other_plans()
    assert all(run(pace, 30, 20, begin=100))
    ran = run(pace, 2.6, 100, begin=130)
    assert REST - 2 * FRAME < sum(not each for each in ran) * FRAME < REST + 2 * FRAME
