"""XPSNR of luma: PSNR whose squared errors are weighted by how much each block's activity hides.

Helmrich, Bosse, Siekmann, Schwarz, Marpe, Wiegand, "XPSNR: a low-complexity extension of the
perceptually weighted peak signal-to-noise ratio for high-resolution video quality assessment",
ICASSP 2020. For each square block k, of side 128 in UHD and in proportion to √(w·h) below:

    activity a_k = max(4, mean |high-pass of the truth| + 2 · mean |its change in time|)   (8 bits)
    weight   w_k = √a_pic / a_k,    a_pic = 2048 · √(3840·2160 / (w·h))
    WSSE     = Σ_k w_k · Σ (truth − made)²      XPSNR = 10 log₁₀(w·h·255² / WSSE)

Above about HD the high-pass and the change in time are of 2×2 sums; from 32 frames a second up the
change is a second difference; up to 640×480 a weight is limited by its neighbours' (minimum
smoothing). A video's figure comes from the mean of √WSSE over its frames.
"""

import math
from collections.abc import Sequence

import numpy as np

from overfit.metrics.psnr import F32, F64, LOSSLESS_DB, PEAK, U8

_TEMPORAL_GAIN = 2.0
_LOWEST_ACTIVITY = 4.0
_HD = 2048 * 1152
_SMALL = 640 * 480
_UHD = 3840 * 2160

_HIGH_PASS = np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]], np.float32)
_HIGH_PASS_2X2 = np.array(
    [
        [0, -1, -1, -1, -1, 0],
        [-1, -2, -3, -3, -2, -1],
        [-1, -3, 12, 12, -3, -1],
        [-1, -3, 12, 12, -3, -1],
        [-1, -2, -3, -3, -2, -1],
        [0, -1, -1, -1, -1, 0],
    ],
    np.float32,
)


class XpsnrReference:
    """Block weights of one true frame, computed once for all pictures compared with it."""

    def __init__(self, luma: U8, previous: Sequence[U8] = (), fps: float = 25.0) -> None:
        """`luma` `[h, w]`; `previous` the one or two true lumas before it, the nearest first."""
        self.luma = luma
        height, width = luma.shape
        share = height * width / _UHD
        self._block = max(4, 4 * int(32 * math.sqrt(share) + 0.5))
        activity = self._spatial() + self._temporal(previous, fps)
        weights = 1 / np.maximum(activity, _LOWEST_ACTIVITY)
        if height * width <= _SMALL:
            _limit_by_neighbours(weights)
        self.weights: F64 = weights * math.sqrt(2048 / math.sqrt(max(1e-5, share)))

    def weighted_error(self, luma: U8) -> float:
        """WSSE of another luma plane `[h, w]` against this one."""
        if luma.shape != self.luma.shape:
            raise ValueError(f"cannot compare {self.luma.shape} with {luma.shape}")
        difference = self.luma.astype(np.float32) - luma
        errors = _block_sums(difference * difference, self._block)
        return float((errors * self.weights).sum())

    def xpsnr(self, luma: U8) -> float:
        """XPSNR in dB of another luma plane, at most `LOSSLESS_DB`."""
        return xpsnr_of(self.weighted_error(luma), self.luma.size)

    def _spatial(self) -> F64:
        """Mean absolute high-pass of each block; the picture's outermost samples have none."""
        import cv2  # slow to import, and only whole reports need it

        image = self.luma.astype(np.float32)
        height, width = image.shape
        filtered = np.zeros_like(image)
        counted = np.zeros_like(image)
        # Where the filter would pass the picture's border there is no value.
        if height * width > _HD:
            # One value for each 2×2 samples, kept at the upper left of them.
            high = cv2.filter2D(image, cv2.CV_32F, _HIGH_PASS_2X2, anchor=(2, 2))
            filtered[2:-2:2, 2:-2:2] = np.abs(high[2:-2:2, 2:-2:2])
            counted[2:-2, 2:-2] = 1
        else:
            high = cv2.filter2D(image, cv2.CV_32F, _HIGH_PASS)
            filtered[1:-1, 1:-1] = np.abs(high[1:-1, 1:-1])
            counted[1:-1, 1:-1] = 1
        return _block_sums(filtered, self._block) / np.maximum(1, _block_sums(counted, self._block))

    def _temporal(self, previous: Sequence[U8], fps: float) -> F64 | float:
        """Weighted mean absolute change in time of each block; 0 for a first frame."""
        if not previous:
            return 0.0
        now, before = self.luma.astype(np.float32), previous[0].astype(np.float32)
        change = now - before
        if fps >= 32 and len(previous) > 1:
            change -= before - previous[1]
        height, width = change.shape
        if height * width > _HD:
            even = change[: height // 2 * 2, : width // 2 * 2]
            summed = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
            change = np.zeros_like(change)
            change[: height // 2 * 2 : 2, : width // 2 * 2 : 2] = summed
        sizes = _block_sums(np.ones_like(change), self._block)
        return _TEMPORAL_GAIN * _block_sums(np.abs(change), self._block) / sizes


def xpsnr_of(weighted_error: float, samples: int) -> float:
    """XPSNR in dB of a WSSE over `samples` samples, at most `LOSSLESS_DB`."""
    if weighted_error <= 0:
        return LOSSLESS_DB
    return min(LOSSLESS_DB, 10 * math.log10(samples * PEAK * PEAK / weighted_error))


def video_xpsnr(frame_xpsnr: Sequence[float]) -> float:
    """XPSNR in dB of frames of one size taken together: from the mean of their √WSSE."""
    roots = [10 ** (-value / 20) for value in frame_xpsnr]
    return min(LOSSLESS_DB, -20 * math.log10(sum(roots) / len(roots)))


def _block_sums(values: F32, block: int) -> F64:
    """Sums `[rows, columns]` over blocks; the last row and column may be smaller."""
    height, width = values.shape
    rows = np.add.reduceat(values, np.arange(0, height, block), axis=0, dtype=np.float64)
    return np.add.reduceat(rows, np.arange(0, width, block), axis=1)


def _limit_by_neighbours(weights: F64) -> None:
    """Minimum smoothing, in place and in raster order.

    A block's weight is at most the largest of its left, right and upper neighbours'; the last
    block's at most that of its left and upper ones.
    """
    rows, columns = weights.shape
    for row in range(rows):
        for column in range(columns):
            around = []
            if column > 0:
                around.append(weights[row, column - 1])
            if column + 1 < columns:
                around.append(weights[row, column + 1])
            if row > 0:
                around.append(weights[row - 1, column])
            if around:
                weights[row, column] = min(weights[row, column], max(around))
