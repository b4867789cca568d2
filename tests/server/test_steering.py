"""What follows of a viewer's reports: the rung of its video, the pace of what goes beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk.contract import open_package
from client_sdk.contract.control import Stats
from server.media import PackageMedia, VideoTrack
from server.playhead import Playhead
from server.steering import FREE, SLOWEST, Steering
from tests.client_sdk.ladder import write_ladder
from tests.client_sdk.tiny import SEGMENTS


class Heard:
    """A receiver's report, as `Feedback` has it."""

    def __init__(self, lost: float = 0.0, round_trip: float = 0.05) -> None:
        self.estimate: float | None = None
        self.lost, self.round_trip = lost, round_trip


class Pretend:
    """A delivery that sends what it is told to have sent."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.paces: list[float | None] = []

    def pace(self, rate: float | None) -> None:
        self.paces.append(rate)


class Viewing:
    """A viewer at a clock of its own, who gets so many bytes a second."""

    def __init__(self, path: Path, *, adaptive: bool = True) -> None:
        self.now = 0.0
        self.media = PackageMedia.open(open_package(path))
        playhead = Playhead(self.media.package.manifest, lambda: self.now)
        self.video = VideoTrack(
            self.media,
            playhead,
            flush=False,
            on_idr=lambda *_: None,
            on_end=lambda: None,
            on_fault=lambda error: None,
        )
        self.told: list[tuple[int, int]] = []
        self.delivery = Pretend()
        self.steering = Steering(
            self.media,
            self.video,
            lambda: self.now,
            lambda rung, frame: self.told.append((rung, frame)),
            adaptive=adaptive,
        )

    def second(self, heard: Heard, assets: int = 0, video: int = 14_000) -> None:
        self.now += 1
        self.video.sent_bytes += video
        self.delivery.sent_bytes += assets
        self.steering.heard(heard, self.delivery)  # type: ignore[arg-type]


@pytest.fixture
def viewing(tmp_path: Path) -> Viewing:
    return Viewing(write_ladder(tmp_path, segments=SEGMENTS * 4))


def test_assets_are_slowed_down_before_the_rung_is_changed(viewing: Viewing) -> None:
    viewing.second(Heard(), assets=100_000)
    viewing.second(Heard(lost=0.3), assets=100_000)
    assert viewing.video.wanted_rung == 0
    (halved,) = viewing.delivery.paces
    assert halved == pytest.approx(50_000)
    for _ in range(30):
        viewing.second(Heard(lost=0.3), assets=10_000)
    paces = [pace for pace in viewing.delivery.paces if pace is not None]
    assert paces == sorted(paces, reverse=True)
    assert paces[-1] == SLOWEST
    for _ in range(60):
        viewing.second(Heard(), assets=2_000)
    assert viewing.delivery.paces[-1] is None  # free again
    assert max(pace for pace in viewing.delivery.paces if pace is not None) >= FREE / 1.25


def test_assets_are_slowed_down_without_adaptation_too(tmp_path: Path) -> None:
    viewing = Viewing(write_ladder(tmp_path), adaptive=False)
    viewing.second(Heard(), assets=100_000)
    viewing.second(Heard(lost=0.3), assets=100_000)
    (halved,) = viewing.delivery.paces
    assert halved == pytest.approx(50_000)
    assert viewing.told == []


def test_trouble_without_assets_changes_the_rung_at_the_next_segment(viewing: Viewing) -> None:
    viewing.second(Heard())
    viewing.second(Heard(lost=0.3))
    assert viewing.told == [(1, 0)]
    assert viewing.delivery.paces == []


def test_a_pause_says_nothing(viewing: Viewing) -> None:
    viewing.second(Heard())
    for _ in range(20):
        viewing.second(Heard(lost=0.3, round_trip=3.0), video=0)
    viewing.second(Heard(), video=0)
    assert viewing.told == [(1, 0)] or viewing.told == []


def test_what_a_client_said_of_another_rung_counts_for_nothing(viewing: Viewing) -> None:
    for _ in range(2):
        viewing.steering.told(Stats(upscale_ms=90.0))
        viewing.second(Heard())
    assert viewing.told == [(1, 0)]
    viewing.video.rung = 1
    for _ in range(15):
        viewing.second(Heard())
    assert viewing.told == [(1, 0)]


def test_without_adaptation_only_people_choose(tmp_path: Path) -> None:
    viewing = Viewing(write_ladder(tmp_path), adaptive=False)
    for _ in range(10):
        viewing.second(Heard(lost=0.5))
    assert viewing.told == []
    viewing.steering.choose(None)
    assert viewing.told == []
    viewing.steering.choose(1)
    assert viewing.told == [(1, 0)]
    viewing.steering.choose(None)  # the first rung is what those have who make no choice
    assert viewing.told[1:] == [(0, 0)]
