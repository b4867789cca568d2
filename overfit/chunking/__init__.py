"""Cuts a video into segments (time) and chunks (sets of patches that share an expert)."""

from overfit.chunking.difficulty import patch_errors, patch_psnr
from overfit.chunking.segments import Segment, SegmentConfig, find_cuts, make_segments
from overfit.chunking.stdo import choose_patch_size, chunk_by_quantile, chunk_samples

__all__ = [
    "Segment",
    "SegmentConfig",
    "choose_patch_size",
    "chunk_by_quantile",
    "chunk_samples",
    "find_cuts",
    "make_segments",
    "patch_errors",
    "patch_psnr",
]
