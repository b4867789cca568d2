"""STDO's chunks hold patches of like difficulty, in equal numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from overfit.chunking import (
    Segment,
    choose_patch_size,
    chunk_by_quantile,
    chunk_samples,
    patch_errors,
    patch_psnr,
)
from overfit.networks import NetworkConfig, build
from overfit.training_data import TrainingData, previous_frames


@pytest.mark.parametrize(
    ("frame", "patch"),
    [((640, 360), (52, 44)), ((960, 540), (52, 48)), ((480, 270), (52, 44)), ((34, 22), (34, 22))],
)
def test_patches_are_near_stdos_size(frame: tuple[int, int], patch: tuple[int, int]) -> None:
    assert choose_patch_size(*frame) == pytest.approx(patch, abs=4)
    assert all(side % 2 == 0 for side in choose_patch_size(*frame))


def test_chunk_0_is_the_hardest_and_chunks_are_equal() -> None:
    difficulty = np.array([[30.0, 40.0, 35.0], [20.0, 50.0, 45.0]])
    assert chunk_by_quantile(difficulty, 3).tolist() == [[0, 1, 1], [0, 2, 2]]
    assert chunk_by_quantile(difficulty, 1).max() == 0


def test_ties_are_settled_the_same_way_each_time() -> None:
    chunks = chunk_by_quantile(np.full((4, 10), 33.0), 4)
    assert np.bincount(chunks.ravel()).tolist() == [10, 10, 10, 10]
    assert np.array_equal(chunks, chunk_by_quantile(np.full((4, 10), 33.0), 4))


def test_the_chunks_samples_are_every_patch_of_every_frame_once() -> None:
    segments = [Segment(0, 3), Segment(3, 2)]
    rectangles = [(0, 0, 8, 8), (8, 0, 8, 8), (16, 0, 10, 8)]
    chunks = chunk_by_quantile(np.random.default_rng(1).random((2, 3)), 2)
    rows = np.concatenate([chunk_samples(chunks, k, segments, rectangles) for k in range(2)])
    assert len({tuple(row) for row in rows.tolist()}) == len(rows) == 5 * 3
    hard = chunk_samples(chunks, 0, segments, rectangles)
    for number, x, *_ in hard.tolist():
        assert chunks[0 if number < 3 else 1][[0, 8, 16].index(x)] == 0


def test_a_patchs_error_is_that_of_the_whole_frame_there() -> None:
    random = np.random.default_rng(2)
    hr = random.integers(0, 256, (4, 32, 64)).astype(np.uint8)
    lr = np.ascontiguousarray(hr[:, ::2, ::2])
    data = TrainingData(
        lr, hr, 2, previous_frames(4, (0,)), np.array([[0, 0, 0, 16, 16]], np.int32)
    )
    torch.manual_seed(0)
    expert = build(NetworkConfig(units=4, blocks=1))
    boxes = [(0, 0, 16, 16), (16, 0, 16, 16)]
    halves = patch_errors(expert, data, [Segment(0, 4)], boxes, frames_per_segment=4)
    whole = patch_errors(expert, data, [Segment(0, 4)], [(0, 0, 32, 16)], frames_per_segment=4)
    assert halves.mean() == pytest.approx(whole[0, 0], rel=1e-5)
    assert patch_psnr(np.array([255.0**2]))[0] == 0
    assert patch_errors(None, data, [Segment(0, 4)], boxes).shape == (1, 2)
