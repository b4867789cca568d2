"""The one place that measures quality: PSNR on luma and RGB, SSIM, VMAF-NEG.

Our protocol: whole frames, every frame, nothing shaved, on the 8-bit 4:2:0 source; the rate counts
everything a viewer downloads. A clip's PSNR is the mean of its frames' (what codec papers print);
the pooled one, from the mean squared error of all frames, is given beside it because a few easy
frames lift the mean.

SSIM is Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", 2004: luma, 11×11 Gaussian
window of σ 1.5, K1 0.01, K2 0.03, only windows that lie whole inside the frame.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Planes = tuple[U8, U8, U8]
"""Luma `[h, w]`, Cb and Cr `[⌈h/2⌉, ⌈w/2⌉]`, 8 bits."""

PEAK = 255.0
LOSSLESS_DB = 100.0
"""PSNR written for two equal pictures, so that means and JSON stay finite."""

_SSIM_SIGMA = 1.5
_SSIM_RADIUS = 5
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2

# Luma weights (Kr, Kb) by ITU-T H.273 matrix coefficients; 2 is "unspecified".
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}


def squared_error(a: U8, b: U8) -> float:
    """Sum of squared differences of two u8 arrays of one shape, exact."""
    if a.shape != b.shape:
        raise ValueError(f"cannot compare {a.shape} with {b.shape}")
    difference = (a.astype(np.int16) - b.astype(np.int16)).ravel()
    return float(np.einsum("i,i->", difference, difference, dtype=np.int64, casting="safe"))


def psnr_of(squared: float, samples: int) -> float:
    """PSNR in dB of a sum of squared errors over `samples` 8-bit samples, at most `LOSSLESS_DB`."""
    if squared <= 0:
        return LOSSLESS_DB
    return min(LOSSLESS_DB, 10 * math.log10(PEAK * PEAK * samples / squared))


def psnr_y(a: U8, b: U8) -> float:
    """PSNR in dB of two luma planes `[h, w]`."""
    return psnr_of(squared_error(a, b), a.size)


def pooled_psnr(frame_psnr: Sequence[float]) -> float:
    """PSNR in dB of frames of one size taken together: from the mean of their squared errors."""
    errors = [10 ** (-value / 10) for value in frame_psnr]
    return min(LOSSLESS_DB, -10 * math.log10(sum(errors) / len(errors)))


@dataclass(frozen=True)
class RgbConversion:
    """Y'CbCr 4:2:0 to R'G'B', by the source's own matrix and range.

    Chroma is repeated 2×2, which a viewer's filter only smooths: the same for all that is compared.

    `matrix` is H.273's MatrixCoefficients; an unspecified one is taken as BT.709 from 720 lines up
    and BT.601 below, as players do. `full_range` is VideoFullRangeFlag.
    """

    matrix: int
    full_range: bool

    def __call__(self, planes: Planes) -> U8:
        """R'G'B' code values, u8 `[h, w, 3]`, rounded and clipped."""
        import cv2  # slow to import, and only whole reports need it

        y, u, v = planes
        height, width = y.shape
        big = (u.shape[1] * 2, u.shape[0] * 2)
        cb, cr = (
            cv2.resize(c, big, interpolation=cv2.INTER_NEAREST)[:height, :width] for c in (u, v)
        )
        rgb = cv2.transform(cv2.merge((y, cb, cr)).astype(np.float32), self._matrix(height))
        np.rint(rgb, out=rgb)
        np.clip(rgb, 0, PEAK, out=rgb)
        return np.asarray(rgb, dtype=np.uint8)

    def _matrix(self, height: int) -> F32:
        """[3, 4]: R', G', B' as affine functions of the codes of Y', Cb, Cr."""
        kr, kb = _LUMA_WEIGHTS.get(self.matrix) or _LUMA_WEIGHTS[1 if height >= 720 else 6]
        kg = 1 - kr - kb
        luma, chroma = (1.0, 1.0) if self.full_range else (255 / 219, 255 / 224)
        linear = np.array(
            [
                [luma, 0, chroma * 2 * (1 - kr)],
                [
                    luma,
                    -chroma * 2 * (1 - kb) * kb / kg,
                    -chroma * 2 * (1 - kr) * kr / kg,
                ],
                [luma, chroma * 2 * (1 - kb), 0],
            ]
        )
        black = np.array([0 if self.full_range else 16, 128, 128])
        return np.column_stack((linear, -linear @ black)).astype(np.float32)


def psnr_rgb(a: U8, b: U8) -> float:
    """PSNR in dB of two pictures of one `RgbConversion`, `[h, w, 3]`, pooled over channels."""
    return psnr_of(squared_error(a, b), a.size)


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


def lanczos(luma: U8, scale: int) -> U8:
    """Luma `[h, w]` enlarged to `[scale·h, scale·w]` by Pillow's Lanczos-3, half-pixel centres."""
    height, width = luma.shape
    image = Image.fromarray(luma)
    enlarged = image.resize((width * scale, height * scale), Image.Resampling.LANCZOS)
    return np.asarray(enlarged, dtype=np.uint8)


def lanczos_planes(planes: Planes, scale: int) -> Planes:
    """I420 planes enlarged by Lanczos-3, each plane by itself."""
    y, u, v = (lanczos(plane, scale) for plane in planes)
    return y, u, v
