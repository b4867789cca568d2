"""Frames are counted from their SEI, through losses and wraps, and never across a segment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import Manifest, Package, Segment, Source
from client_sdk.contract.sei import FrameIdentity
from client_sdk.frame_clock import FrameClock, Identified
from tests.client_sdk.tiny import SEGMENTS

STEP = 3600  # ticks of 90 kHz a frame at 25 fps


def identity(package: Package, frame: int, rung: int = 0) -> FrameIdentity:
    return FrameIdentity(package.manifest.id, rung, frame)


def test_frames_count_from_the_last_sei(tiny: Package) -> None:
    clock = FrameClock(tiny.manifest)
    assert clock.identify(500, identity(tiny, 0)) == Identified(0, 0)
    assert clock.identify(500 + 5 * STEP, None) == Identified(5, 0)


def test_before_the_first_sei_nothing_is_known(tiny: Package) -> None:
    assert FrameClock(tiny.manifest).identify(0, None) is None


def test_a_count_ends_with_its_segment(tiny: Package) -> None:
    clock = FrameClock(tiny.manifest)
    clock.identify(0, identity(tiny, 0))
    assert clock.identify((SEGMENTS[0] - 1) * STEP, None) == Identified(SEGMENTS[0] - 1, 0)
    assert clock.identify(SEGMENTS[0] * STEP, None) is None
    start = SEGMENTS[0]
    assert clock.identify(start * STEP, identity(tiny, start)) == Identified(start, 0)


def test_an_anchor_that_overtakes_its_frame_waits_for_it(tiny: Package) -> None:
    clock = FrameClock(tiny.manifest)
    clock.identify(0, identity(tiny, 0))
    clock.set_anchor(12 * STEP, identity(tiny, 12))
    assert clock.identify(11 * STEP, None) == Identified(11, 0)
    assert clock.identify(12 * STEP, None) == Identified(12, 0)


def test_after_a_seek_only_a_new_sei_counts(tiny: Package) -> None:
    clock = FrameClock(tiny.manifest)
    clock.identify(0, identity(tiny, 0))
    clock.forget()
    assert clock.identify(STEP, None) is None
    assert clock.identify(2 * STEP, identity(tiny, 22)) == Identified(22, 0)


def test_a_foreign_sei_is_not_believed(tiny: Package) -> None:
    clock = FrameClock(tiny.manifest)
    assert clock.identify(0, FrameIdentity("f" * 16, 0, 0)) is None
    assert clock.identify(0, identity(tiny, 0, rung=9)) is None
    assert clock.identify(0, identity(tiny, 1_000_000)) is None


RATES = st.sampled_from([(24, 1), (25, 1), (30000, 1001), (60000, 1001), (120, 1), (25, 2)])


@given(RATES, st.integers(0, 30), st.integers(0, 400), st.integers(0, 1 << 40))
def test_floored_ticks_still_give_the_right_frame(
    rate: tuple[int, int], anchor: int, step: int, origin: int
) -> None:
    frames = 500
    manifest = Manifest.model_construct(
        id="a" * 16,
        source=Source(sha256="0" * 64, width=64, height=64, frames=frames, fps=rate),
        segments=(Segment(start=0, frames=frames),),
        rungs=(None,),
    )
    clock = FrameClock(manifest)

    def ticks(frame: int) -> int:
        return origin + int(frame * 90_000 * rate[1] / rate[0])

    clock.identify(ticks(anchor), FrameIdentity("a" * 16, 0, anchor))
    assert clock.identify(ticks(anchor + step), None) == Identified(anchor + step, 0)
