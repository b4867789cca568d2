"""Segments are contiguous, last as long as they may, and start at scene changes."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.errors import CrispcastError
from overfit.chunking import SegmentConfig, find_cuts, make_segments
from tests.overfit.making import picture

CONFIG = SegmentConfig()


def test_scene_changes_are_found_and_motion_is_none() -> None:
    scene = [picture(n, 160, 96) for n in range(20)]
    other = [255 - picture(3 * n, 160, 96).T[:96, :96].repeat(2, 1)[:, :160] for n in range(15)]
    assert find_cuts([*scene, *other, *scene], CONFIG) == [20, 35]


def test_a_cut_is_kept_and_long_scenes_are_split_evenly() -> None:
    segments = make_segments(247, [60], Fraction(24), CONFIG)
    assert [(s.start, s.frames) for s in segments[:3]] == [(0, 30), (30, 30), (60, 47)]


def test_two_seconds_are_sixty_frames_of_television() -> None:
    segments = make_segments(300, [], Fraction(30000, 1001), CONFIG)
    assert [s.frames for s in segments] == [60] * 5


def test_cuts_closer_than_a_second_are_merged() -> None:
    starts = [s.start for s in make_segments(100, [30, 40, 45, 95], Fraction(25), CONFIG)]
    assert starts == [0, 30, 65]


def test_a_short_video_is_one_segment() -> None:
    assert [s.frames for s in make_segments(2, [1], Fraction(25), CONFIG)] == [2]


@given(
    st.integers(2, 700),
    st.lists(st.integers(1, 699), max_size=20),
    st.sampled_from([Fraction(12), Fraction(24000, 1001), Fraction(25), Fraction(60)]),
)
def test_segments_always_cover_the_video(frames: int, cuts: list[int], fps: Fraction) -> None:
    segments = make_segments(frames, [c for c in cuts if c < frames], fps, CONFIG)
    assert segments[0].start == 0
    assert segments[-1].stop == frames
    for a, b in itertools.pairwise(segments):
        assert a.stop == b.start
    for segment in segments:
        assert segment.frames <= 2 * fps + 1
        assert segment.frames >= min(frames, int(fps)) - 1


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(CrispcastError):
        SegmentConfig(shortest=2, longest=3)


def test_a_still_video_has_no_cut() -> None:
    assert find_cuts([np.full((96, 160), 90, np.uint8)] * 30, CONFIG) == []
