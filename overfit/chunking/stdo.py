"""STDO's chunks: patches of equal difficulty across space and time share one expert.

Source: "Towards High-Quality and Efficient Video Super-Resolution via Spatial-Temporal Data
Overfitting" (CVPR 2023, arXiv 2303.08331), section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.errors import CrispcastError
from overfit.chunking.difficulty import F64, Rectangle
from overfit.chunking.segments import Segment

Int = NDArray[np.int32]

_PATCH = (54, 48)
"""Width and height in LR pixels near which a patch's size is chosen: STDO's 48x54."""


def choose_patch_size(width: int, height: int) -> tuple[int, int]:
    """Patch (width, height) for an LR frame, in pixels: even, near 54x48, little remainder."""

    def side(length: int, wanted: int) -> int:
        count = max(1, round(length / wanted))
        return max(2, length // count // 2 * 2)

    return side(width, _PATCH[0]), side(height, _PATCH[1])


def chunk_by_quantile(difficulty: F64, chunks: int) -> Int:
    """Chunk of every patch, int32 [segments, patches]: 0 holds the hardest (lowest PSNR).

    `difficulty`: PSNR in dB [segments, patches]. Chunks have equal numbers of patches, as near as
    whole numbers allow; ties go by position, so that the result is always the same.
    """
    if chunks < 1:
        raise CrispcastError("there must be at least one chunk")
    order = np.argsort(difficulty, axis=None, kind="stable")
    chunk = np.empty(order.size, np.int32)
    chunk[order] = np.arange(order.size, dtype=np.int64) * chunks // order.size
    return chunk.reshape(difficulty.shape)


def chunk_samples(
    chunk_of: Int, chunk: int, segments: Sequence[Segment], rectangles: Sequence[Rectangle]
) -> Int:
    """Training samples of a chunk, int32 [n, 5]: frame number and patch x, y, width, height."""
    boxes = np.array(rectangles, np.int32)
    rows = []
    for index, segment in enumerate(segments):
        members = boxes[chunk_of[index] == chunk]
        numbers = np.arange(segment.start, segment.stop, dtype=np.int32)
        repeated = np.repeat(numbers, len(members))[:, None]
        rows.append(np.hstack((repeated, np.tile(members, (len(numbers), 1)))))
    return np.concatenate(rows).astype(np.int32)
