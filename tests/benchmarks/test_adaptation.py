"""The simulated link is a link, and the benchmark's figures are what happened on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.adaptation import Ladder, compare, drawn_ladder, main, mean_of, policies, simulate
from benchmarks.link import HEADERS, PACKET, Link, LinkConfig, Trace
from benchmarks.link_traces import drawn, recorded
from client_sdk.contract import open_package
from kernels.errors import CrispcastError
from tests.client_sdk.ladder import write_ladder

QUIET = LinkConfig(loss=0.0)
KEYS = ("quality_db", "late_share", "switches_per_minute")


def constant(rate: float, seconds: float = 60.0) -> Trace:
    return Trace("constant", [0.0], [rate], seconds)


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    return drawn_ladder()


def test_a_packet_takes_its_bits_over_the_rate_and_half_a_round_trip() -> None:
    link = Link(constant(100_000.0), QUIET)
    assert link.send(1.0, PACKET) == pytest.approx(1.0 + 8 * (PACKET + HEADERS) / 1e5 + 0.025)


def test_packets_wait_for_those_before_them_and_drop_when_the_queue_is_full() -> None:
    link = Link(constant(100_000.0), QUIET)
    first, second = link.send(0.0, PACKET), link.send(0.0, PACKET)
    assert first is not None
    assert second is not None
    assert second - first == pytest.approx(8 * (PACKET + HEADERS) / 1e5)
    assert any(link.send(0.0, PACKET) is None for _ in range(40))


def test_a_rate_that_changes_under_way_is_heeded() -> None:
    link = Link(Trace("step", [0.0, 1.0], [1e4, 1e6], 10.0), QUIET)
    bits = 8 * (PACKET + HEADERS)
    whole = link.send(0.5, PACKET)
    assert whole == pytest.approx(1.0 + (bits - 5e3) / 1e6 + 0.025)


def test_what_is_lost_is_sent_again_and_reported() -> None:
    link = Link(constant(1e7), LinkConfig(loss=0.2))
    came = [link.send(n / 30, PACKET) for n in range(300)]
    assert sum(whole is None for whole in came) < 10
    next(link.reports(10.0))
    assert 0.1 < link.lost < 0.3


def test_the_receivers_estimate_falls_below_what_a_narrow_link_is_sent() -> None:
    link = Link(constant(200_000.0), QUIET)
    for n in range(600):
        link.send(n / 30, 1500)  # 360 kb/s
    assert list(link.reports(20.0))
    assert link.estimate is not None
    assert link.estimate < 220_000


def test_on_a_wide_link_nothing_is_late_and_the_best_rung_is_reached(ladder: Ladder) -> None:
    chooser, first = policies(ladder)["policy"]()
    played = simulate(ladder, constant(5e6, 120.0), QUIET, chooser, first)
    assert played.late_share == 0
    assert played.quality_db > 34.5
    assert played.switches_per_minute == 0.5


def test_a_fixed_rung_that_does_not_fit_is_late_and_never_switches(ladder: Ladder) -> None:
    chooser, first = policies(ladder)["fixed"]()
    played = simulate(ladder, constant(200_000.0), QUIET, chooser, first)
    assert played.late_share > 0.5
    assert played.switches_per_minute == 0


def test_the_policy_is_calmer_and_better_than_the_estimate_alone(ladder: Ladder) -> None:
    means = mean_of(compare(ladder, drawn(*ladder.bitrates[::2])[1:3], LinkConfig()))
    assert means["policy_quality_db"] > means["rate_only_quality_db"]
    assert means["policy_late_share"] < means["rate_only_late_share"]
    assert means["policy_late_share"] < means["fixed_late_share"]
    assert means["policy_switches_per_minute"] < means["rate_only_switches_per_minute"] / 2


def test_a_package_without_a_ladder_is_refused(tiny_path: Path, tmp_path: Path) -> None:
    with pytest.raises(CrispcastError, match="no ladder"):
        Ladder.of(open_package(tiny_path))
    with pytest.raises(CrispcastError, match="no ladder"):  # its rungs have no figures
        Ladder.of(open_package(write_ladder(tmp_path)))


def test_recorded_traces_of_both_formats_are_read_and_scaled(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("10.0 1.0\n11.0 3.0\n12.0 2.0\n")
    (tmp_path / "b.up").write_text("\n".join(str(10 * n) for n in range(1, 301)) + "\n")
    first, second = recorded(tmp_path, None, 10)
    assert (first.at(0.5), first.at(1.5), first.at(3.5)) == (1e6, 3e6, 1e6)
    assert first.seconds == 3.0
    assert second.mean == pytest.approx(100 * 1500 * 8, rel=0.3)
    scaled, _ = recorded(tmp_path, 300_000.0, 10)
    assert scaled.mean == pytest.approx(300_000.0)


@pytest.mark.parametrize("text", ["hello\n", "1 2 3\n4 5 6\n", "1.0\n"])
def test_files_that_are_no_traces_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(CrispcastError, match="no trace"):
        recorded(tmp_path, None, 10)
    with pytest.raises(CrispcastError, match="holds no traces"):
        recorded(tmp_path / "nowhere", None, 10)


def test_the_drawn_ladder_has_the_rates_that_it_says(ladder: Ladder) -> None:
    for sizes, rate in zip(ladder.sizes, ladder.bitrates, strict=True):
        assert 8 * sum(sizes) / 10 == pytest.approx(rate, rel=0.05)


def test_the_command_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    monkeypatch.setattr("sys.argv", ["adaptation", "--quick", "--fixed", "0", "--json", str(out)])
    main()
    figures = json.loads(out.read_text())
    keys = [f"{p}_{k}" for p in ("policy", "fixed", "rate_only") for k in KEYS]
    assert figures.keys() >= set(keys)
    assert len(figures["traces"]) == 3
    assert figures["fixed_quality_db"] == pytest.approx(31.0)
    assert "mean" in capsys.readouterr().out
