"""Peak signal-to-noise ratio: of planes, of frames taken together, and the types of a picture."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Planes = tuple[U8, U8, U8]
"""Luma `[h, w]`, Cb and Cr `[⌈h/2⌉, ⌈w/2⌉]`, 8 bits."""

PEAK = 255.0
LOSSLESS_DB = 100.0
"""PSNR written for two equal pictures, so that means and JSON stay finite."""


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
