"""What the benchmark of serving makes of arrivals and pictures; and a short soak of the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving import FRAME_MS, carried, soak
from benchmarks.serving_packages import networked_package
from benchmarks.serving_play import ON_TIME, Shown, on_time, wrong_plans
from benchmarks.serving_viewers import lateness
from client_sdk.contract import Package, open_package
from client_sdk.upscaler import Planes, Upscaler

TICKS = 3000  # a frame at 30 fps


def test_lateness_counts_from_the_most_punctual_frame_over_the_wrap_of_rtp_time() -> None:
    origin = (1 << 32) - 2 * TICKS
    arrivals = [
        ((origin + number * TICKS) & 0xFFFF_FFFF, 10 + number / 30 + late / 1000)
        for number, late in [(0, 5.0), (1, 2.0), (2, 60.0), (3, 3.0), (5, 2.0)]
    ]
    late, missing = lateness(arrivals)
    assert late == pytest.approx([3, 0, 58, 1, 0], abs=1e-3)
    assert missing == 1
    assert lateness([]) == ([], 0)


def test_a_load_is_carried_only_if_all_is_there_and_in_time() -> None:
    good = {"late_ms": [1.0] * 1999 + [FRAME_MS + 1], "missing": 0, "lost_packets": 0}
    assert carried(good, 0.001)
    assert not carried(good, 0.02)
    assert not carried(good | {"missing": 1}, 0.001)
    assert not carried(good | {"lost_packets": 1}, 0.001)
    assert not carried(good | {"late_ms": [1.0] * 997 + [FRAME_MS + 1] * 3}, 0.001)


def shown(position: int, at: float) -> Shown:
    return Shown(at, position, position, (), None)  # type: ignore[arg-type]


def test_frames_that_are_late_or_never_came_are_not_on_time() -> None:
    frames = [shown(number, number / 25) for number in range(8)]
    frames[3] = shown(3, 3 / 25 + ON_TIME + 0.01)
    assert on_time(frames, 25, 10) == 7 / 10


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("serving")
    return open_package(networked_package(folder, 10, width=64))


def test_a_frame_that_another_plan_made_is_found(package: Package) -> None:
    rng = np.random.default_rng(1)
    rung = package.manifest.rungs[0]
    lr: Planes = tuple(
        rng.integers(16, 235, shape, np.uint8)
        for shape in (
            (rung.height, rung.width),
            *[((rung.height + 1) // 2, (rung.width + 1) // 2)] * 2,
        )
    )  # type: ignore[assignment]
    segments = package.manifest.segments

    def made(segment: int | None, claimed: int | None) -> Shown:
        number = None if segment is None else segments[segment].start
        luma = Upscaler.of_package(package, threads=1).upscale(number, lr).planes[0].copy()
        return Shown(0, segments[2].start, claimed, lr, luma)

    right = segments[2].start
    assert wrong_plans(package, [made(2, right)]) == 0
    assert wrong_plans(package, [made(None, None)]) == 0  # interpolated
    assert wrong_plans(package, [made(3, right)]) == 1
    assert wrong_plans(package, [made(2, right + 1)]) == 1


def test_viewers_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    figures = soak(6, tmp_path, viewers_there=8)
    assert figures["soak_sessions"] >= 12
    assert figures["soak_sockets_left"] == 0
    assert figures["soak_tasks_left"] == 0
    # The start of a process grows; half of what two hours may.
    assert figures["soak_growth_mib"] < 10
