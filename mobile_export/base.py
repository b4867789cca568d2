"""The interpolation base as a convolution, for backends that have no bicubic of ours."""

from __future__ import annotations

import numpy as np

from kernels.plan import Float
from kernels.reference import enlarge

REACH = 2
"""LR pixels on each side that the kernel reads; outside of the plane, the nearest pixel counts."""


def base_kernel(scale: int) -> Float:
    """f32 [scale², 1, 5, 5]: what a plane padded by REACH (its border repeated) is convolved with.

    Channel `dy·scale + dx` is then the enlarged plane's sample at (scale·x + dx, scale·y + dy).
    Read off `kernels.reference.enlarge`, which defines it, by its answer to one bright pixel.
    """
    side = 2 * REACH + 1
    plane = np.zeros((1, 2 * side - 1, 2 * side - 1), np.float32)
    middle = side - 1
    plane[0, middle, middle] = 1
    answer = enlarge(plane, scale)[0].reshape(2 * side - 1, scale, 2 * side - 1, scale)
    # Output pixel x reads input x + k - REACH with tap k, so the bright pixel is tap k of x.
    near = middle + REACH - np.arange(side)
    taps = answer[near][:, :, near]
    return np.ascontiguousarray(taps.transpose(1, 3, 0, 2).reshape(scale**2, 1, side, side))
