"""How hard each patch is: the PSNR that one network, trained briefly on everything, gives it.

STDO (CVPR 2023, section 3.1) asks a general super-resolution network; ours is trained jointly and
briefly on the video itself, as it has to work on the decoded LR.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overfit.chunking.segments import Segment
from overfit.inference import interpolate, upscale
from overfit.networks import Expert
from overfit.training_data import TrainingData
from overfit.video.frames import U8

F64 = NDArray[np.float64]
Rectangle = tuple[int, int, int, int]


def sampled(segment: Segment, count: int) -> list[int]:
    """Up to `count` frame numbers spread over a segment."""
    spread = np.linspace(segment.start, segment.stop - 1, min(count, segment.frames))
    return sorted(set(spread.round().astype(int).tolist()))


def patch_errors(
    expert: Expert | None,
    data: TrainingData,
    segments: Sequence[Segment],
    rectangles: Sequence[Rectangle],
    frames_per_segment: int = 3,
) -> F64:
    """Mean squared error [segments, patches], in squared code values, over sampled frames.

    `expert` None is interpolation. `rectangles` are (x, y, width, height) in LR pixels.
    """
    errors = np.zeros((len(segments), len(rectangles)))
    for row, segment in enumerate(segments):
        numbers = sampled(segment, frames_per_segment)
        for number in numbers:
            picture = _picture(expert, data, number)
            difference = picture.astype(np.float32) - data.hr[number]
            squares = difference * difference
            for column, (x, y, w, h) in enumerate(rectangles):
                s = data.scale
                patch = squares[y * s : (y + h) * s, x * s : (x + w) * s]
                errors[row, column] += float(patch.mean()) / len(numbers)
    return errors


def patch_psnr(errors: F64) -> F64:
    """PSNR in dB of mean squared errors in squared code values; 100 dB where there is none."""
    psnr: F64 = 10 * np.log10(255.0**2 / np.maximum(errors, 255.0**2 * 1e-10))
    return psnr


def _picture(expert: Expert | None, data: TrainingData, number: int) -> U8:
    luma = np.asarray(data.lr[number])
    if expert is None:
        return interpolate(luma, data.scale)
    previous = np.asarray(data.lr[int(data.previous[number])])
    return upscale(expert, luma, previous, data.plate_of_frame(number))
