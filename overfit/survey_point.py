"""What a survey says of one way to encode a video."""

from __future__ import annotations

from dataclasses import dataclass

from overfit.video.rung_config import Codec


@dataclass(frozen=True)
class SurveyPoint:
    """One combination: bytes for the whole video, and what quality they would give.

    quality: of the plates, or 0 without any. psnr_y: dB expected, mean over the frames compared;
    `interpolated`: those without any network, measured on the same frames (0: not known).
    """

    codec: Codec
    scale: int
    crf: float
    quality: int
    video_bytes: int
    plate_bytes: int
    psnr_y: float
    interpolated: float = 0.0
