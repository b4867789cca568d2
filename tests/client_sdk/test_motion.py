"""Motion records say where frames lie in a canvas, in a few bytes, and no bytes do harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract import decode_motion, encode_motion
from client_sdk.contract.bounds import MAX_MOTION_FRAMES
from kernels.canvas import UNITS, check_view
from kernels.errors import PackageError


def pan(frames: int, shake: float = 0.05) -> np.ndarray:
    """Views of a 1280x720 frame that pans evenly, with noise of `shake` samples."""
    rng = np.random.default_rng(0)
    corners = np.array([(0, 0), (1280, 0), (1280, 720), (0, 720)], float)
    shift = np.array([(3.1 * n + 40, 0.4 * n + 10) for n in range(frames)])
    moved = corners[None] + shift[:, None] + rng.normal(0, shake, (frames, 4, 2))
    return np.rint(moved * UNITS).astype(np.int32).reshape(frames, 8)


@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1, 300, 8_000]))
@settings(max_examples=40, deadline=None)
def test_views_come_back_as_they_were(frames: int, seed: int, wild: int) -> None:
    rng = np.random.default_rng(seed)
    views = pan(frames) + rng.integers(-wild, wild + 1, (frames, 8)).astype(np.int32) // 4
    views = np.clip(views, -(1 << 19), 1 << 19)
    assert np.array_equal(decode_motion(encode_motion(views), frames), views)


def test_a_pan_takes_a_few_bytes_a_frame() -> None:
    assert len(encode_motion(pan(250))) < 5 * 250
    assert len(encode_motion(pan(250, shake=0))) < 1.5 * 250


def test_every_cut_and_what_is_left_over_is_refused() -> None:
    record = encode_motion(pan(12))
    for size in range(len(record)):
        with pytest.raises(PackageError):
            decode_motion(record[:size], 12)
    with pytest.raises(PackageError):
        decode_motion(record + b"\0", 12)
    with pytest.raises(PackageError):
        decode_motion(record, 13)
    with pytest.raises(PackageError, match="version 9"):
        decode_motion(b"\x09" + record[1:], 12)


@given(st.binary(max_size=200), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_views_or_refused(data: bytes, frames: int) -> None:
    try:
        views = decode_motion(b"\x01" + frames.to_bytes(2, "little") + data, frames)
    except PackageError:
        return
    assert views.shape == (frames, 8)
    for view in views:
        check_view(view)


def test_counts_and_views_out_of_bounds_are_refused() -> None:
    record = encode_motion(pan(3))
    for frames in (0, -1, MAX_MOTION_FRAMES + 1, 1 << 32):
        with pytest.raises(PackageError, match="frames"):
            decode_motion(record, frames)
    with pytest.raises(PackageError, match=r"frame 1 .* enclose nothing"):
        encode_motion(np.stack([pan(1)[0], np.zeros(8, np.int32)]))
    with pytest.raises(PackageError):
        encode_motion(pan(MAX_MOTION_FRAMES + 1))
