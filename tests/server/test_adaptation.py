"""The policy that chooses rungs, as sentences; its link here has no packets, only what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from server.adaptation import HOLD, START, TRIAL, WAIT, Adaptation, Report, RungFacts, useful

LADDER = (150_000.0, 300_000.0, 600_000.0)
FRAME_MS = 1000 / 30


def policy(
    rates: tuple[float, ...] = LADDER, computes: tuple[int, ...] | None = None
) -> Adaptation:
    computes = computes or (10,) * len(rates)
    return Adaptation([RungFacts(*facts) for facts in zip(rates, computes, strict=True)], FRAME_MS)


@dataclass
class Seen:
    """What was wanted at each second."""

    rungs: list[int]

    @property
    def switches(self) -> int:
        return sum(a != b for a, b in pairwise(self.rungs))


def report(now: float, rate: float, capacity: float, **client: float) -> Report:
    """What a receiver says of a rung at this rate over a link of this capacity, in b/s."""
    fits = rate <= capacity
    return Report(
        now=now,
        estimate=min(1.5 * rate, capacity) if fits else 0.85 * capacity,
        sent=rate,
        lost=0.0 if fits else 1 - capacity / rate,
        round_trip=0.05 if fits else 0.4,
        **client,  # type: ignore[arg-type]
    )


def watch(
    chooser: Adaptation, seconds: int, capacity: Callable[[int], float], begin: int = 0
) -> Seen:
    rungs = []
    for now in range(begin, begin + seconds):
        rate = chooser._rungs[chooser.rung].bitrate
        rungs.append(chooser.update(report(now, rate, capacity(now))))
    return Seen(rungs)


def test_it_begins_at_the_highest_rung_of_a_modest_rate() -> None:
    assert policy().rung == 1
    assert policy((START + 1, 2 * START)).rung == 0


def test_a_wide_link_brings_the_highest_rung_and_it_stays() -> None:
    seen = watch(policy(), 300, lambda _: 5e6)
    assert seen.rungs[-1] == 2
    assert seen.switches == 1


def test_rungs_are_climbed_one_by_one_and_not_at_once() -> None:
    seen = watch(policy((50_000.0, 700_000.0, 900_000.0, 1.2e6)), 120, lambda _: 5e6)
    assert seen.rungs[: int(HOLD)] == [0] * int(HOLD)
    steps = [(at, b - a) for at, (a, b) in enumerate(pairwise(seen.rungs)) if a != b]
    assert [step for _, step in steps] == [1, 1, 1]
    assert all(b - a >= TRIAL for (a, _), (b, _) in pairwise(steps))


def test_a_link_that_narrows_is_heeded_within_three_seconds_and_skips_rungs() -> None:
    chooser = policy()
    watch(chooser, 60, lambda _: 5e6)
    assert chooser.rung == 2
    seen = watch(chooser, 10, lambda _: 180_000, begin=60)
    assert seen.rungs[3] == 0
    assert seen.switches <= 2


def test_a_square_wave_is_not_followed_up_and_down_for_ever() -> None:
    # 20 s wide, 20 s narrow: a policy without memory changes at every edge.
    seen = watch(policy(), 1200, lambda now: 5e6 if now // 20 % 2 else 350_000)
    edges = 1200 / 20
    assert seen.switches < edges / 2
    late = seen.rungs[600:]
    assert sum(a != b for a, b in pairwise(late)) < seen.switches / 2 + 2
    assert set(late) <= {1, 2}


def test_a_rung_just_beyond_the_link_is_tried_ever_more_rarely() -> None:
    seen = watch(policy(), 1200, lambda _: 500_000)
    tries = [at for at, (a, b) in enumerate(pairwise(seen.rungs)) if (a, b) == (1, 2)]
    gaps = [b - a for a, b in pairwise(tries)]
    assert len(tries) >= 3
    assert gaps[0] >= WAIT
    assert gaps[-1] > 3 * gaps[0]
    assert seen.rungs.count(2) < 1200 * 0.03


def test_what_failed_long_ago_is_tried_again_when_the_link_has_widened() -> None:
    chooser = policy()
    watch(chooser, 300, lambda _: 400_000)
    seen = watch(chooser, 400, lambda _: 5e6, begin=300)
    assert seen.rungs[-1] == 2


def test_random_loss_of_a_radio_link_is_no_congestion() -> None:
    chooser = policy()
    for now in range(120):
        chooser.update(Report(now=now, sent=LADDER[chooser.rung], lost=0.03, round_trip=0.05))
    assert chooser.rung == 2


def test_a_route_that_becomes_longer_is_in_the_end_no_queue() -> None:
    chooser = policy()
    watch(chooser, 60, lambda _: 5e6)
    for now in range(60, 400):
        chooser.update(Report(now=now, sent=LADDER[chooser.rung], round_trip=0.3))
    assert chooser.rung == 2


def test_one_estimate_that_dips_changes_nothing() -> None:
    chooser = policy()
    watch(chooser, 60, lambda _: 5e6)
    for now in range(60, 100):
        dip = now % 10 == 0
        chooser.update(
            Report(now=now, estimate=3e5 if dip else 9e5, sent=6e5, lost=0, round_trip=0.05)
        )
        assert chooser.rung == 2


def test_without_estimates_loss_and_delay_are_enough() -> None:
    chooser = policy()
    for now in range(60):
        chooser.update(Report(now=now, sent=LADDER[chooser.rung], round_trip=0.05))
    assert chooser.rung == 2
    for now in range(60, 70):
        chooser.update(Report(now=now, sent=LADDER[chooser.rung], lost=0.3, round_trip=0.05))
    assert chooser.rung == 0


def test_trouble_is_first_blamed_on_what_goes_beside_the_video() -> None:
    chooser = policy()
    for now in range(5):
        assets = Report(now=now, sent=3e5, beside=2e5, lost=0.3, round_trip=0.5)
        assert chooser.update(assets) == 1
        assert chooser.congested
    for now in range(5, 8):  # what was sent has to drain
        chooser.update(Report(now=now, sent=3e5, beside=2e4, lost=0.3, round_trip=0.5))
    assert chooser.rung == 0


def test_a_persons_choice_stands_until_it_is_given_back() -> None:
    chooser = policy()
    assert chooser.choose(2) == 2
    seen = watch(chooser, 60, lambda _: 100_000)
    assert set(seen.rungs) == {2}
    assert chooser.choose(None) == 2
    seen = watch(chooser, 20, lambda _: 100_000, begin=60)
    assert seen.rungs[-1] == 0


def client(chooser: Adaptation, seconds: range, ms: Callable[[int], float]) -> list[int]:
    """A client that needs so many milliseconds on each rung, and gives up beyond a frame's."""
    rungs = []
    for now in seconds:
        rate, spent = chooser._rungs[chooser.rung].bitrate, ms(chooser.rung)
        told = report(now, rate, 5e6, upscale_ms=spent, interpolating=spent > FRAME_MS)
        rungs.append(chooser.update(told))
    return rungs


def test_a_slow_client_gets_the_rung_with_the_cheaper_plan_and_stays_there_for_a_while() -> None:
    chooser = policy(computes=(10, 30, 100))
    rungs = client(chooser, range(600), lambda rung: (8.0, 24.0, 80.0)[rung])
    assert rungs[-1] == 1
    spent = [rung == 2 for rung in rungs]
    assert any(spent)
    assert sum(spent) < 0.1 * len(rungs)
    last = [at for at, slow in enumerate(spent) if slow]
    assert max(b - a for a, b in pairwise(last)) > 100


def test_where_no_plan_is_cheaper_the_rung_stays() -> None:
    chooser = policy()
    rungs = client(chooser, range(60), lambda _: 80.0)
    assert rungs[-1] == 2


def test_rungs_of_one_rate_are_not_climbed_between() -> None:
    chooser = policy((300_000.0, 300_000.0, 310_000.0))
    assert set(watch(chooser, 100, lambda _: 5e6).rungs) == {0}


def test_a_rung_that_costs_more_and_shows_no_more_is_never_chosen() -> None:
    facts = [RungFacts(1.5e5, 0, 28.0), RungFacts(1.1e5, 0, 33.8), RungFacts(6e5, 0, 36.0)]
    assert useful(facts) == [1, 2]
    chooser = Adaptation(facts, FRAME_MS)
    assert chooser.rung == 1
    assert watch(chooser, 60, lambda _: 5e6).rungs[-1] == 2


def test_of_two_rungs_of_nearly_one_rate_the_better_is_chosen() -> None:
    assert useful([RungFacts(1e5, 0, 30.0), RungFacts(1.05e5, 0, 32.0)]) == [1]
    assert useful([RungFacts(1e5), RungFacts(1.05e5)]) == [0]


@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_a_single_rung_is_kept_whatever_comes(lost: float) -> None:
    chooser = policy((300_000.0,))
    for now in range(30):
        assert chooser.update(Report(now=now, lost=lost, estimate=0.0, sent=3e5)) == 0
