"""SSIM: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", 2004.

Luma, 11×11 Gaussian window of σ 1.5, K1 0.01, K2 0.03, only whole windows.
"""

from dataclasses import dataclass

import numpy as np

from overfit.metrics.psnr import F32, PEAK, U8

_SSIM_SIGMA = 1.5
_SSIM_RADIUS = 5
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2


def _gaussian_window() -> F32:
    x = np.arange(-_SSIM_RADIUS, _SSIM_RADIUS + 1, dtype=np.float64)
    window = np.exp(-(x * x) / (2 * _SSIM_SIGMA**2))
    return np.asarray(window / window.sum(), dtype=np.float32)


def _blur(image: F32) -> F32:
    """Windowed mean of every window that lies inside: `[h, w]` → `[h - 10, w - 10]`."""
    import cv2

    window = _gaussian_window()
    radius = _SSIM_RADIUS
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, window, window)
    return np.asarray(blurred[radius:-radius, radius:-radius], dtype=np.float32)


@dataclass(frozen=True)
class SsimReference:
    """What SSIM needs of the true luma, computed once for all pictures compared with it."""

    luma: F32
    mean: F32
    variance: F32

    @classmethod
    def of(cls, luma: U8) -> "SsimReference":
        """Prepare a luma plane `[h, w]`, h and w at least 11."""
        if min(luma.shape) < 2 * _SSIM_RADIUS + 1:
            raise ValueError(f"SSIM needs at least 11×11 samples, not {luma.shape}")
        x = luma.astype(np.float32)
        mean = _blur(x)
        return cls(x, mean, _blur(x * x) - mean * mean)

    def ssim(self, luma: U8) -> float:
        """Mean SSIM (−1 to 1) of another luma plane against this one."""
        y = luma.astype(np.float32)
        mean = _blur(y)
        variance = _blur(y * y) - mean * mean
        covariance = _blur(self.luma * y) - self.mean * mean
        product = self.mean * mean
        score = ((2 * product + _C1) * (2 * covariance + _C2)) / (
            (self.mean * self.mean + mean * mean + _C1) * (self.variance + variance + _C2)
        )
        return float(score.mean(dtype=np.float64))


def ssim(reference: U8, distorted: U8) -> float:
    """Mean SSIM (−1 to 1) of two luma planes `[h, w]`."""
    return SsimReference.of(reference).ssim(distorted)
