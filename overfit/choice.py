"""Chooses one way to encode a video from the points of a survey.

For each scale and plate quality, the surveyed CRFs make a curve: PSNR and CRF over the logarithm of
the video's bytes; for each small scale another one, of interpolation without networks, which pays
for no plans. A target then picks the best point among all curves. Nothing is trained here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernels.errors import CrispcastError
from overfit.survey_point import SurveyPoint
from overfit.video import LARGEST_CRF, Codec

FINEST_CRF: dict[Codec, float] = {"h264": 14.0, "av1": 14.0}


@dataclass(frozen=True)
class Choice:
    """A way to encode: scale, CRF, AVIF quality of the plates (0: none), and what it should give.

    Bytes are of the whole video; psnr_y in dB; `slope` is what twice the bytes would add to it, and
    `gain` what `networks` are taken to add to interpolation.
    """

    codec: Codec
    scale: int
    crf: float
    quality: int
    video_bytes: int
    plate_bytes: int
    psnr_y: float
    slope: float
    networks: bool
    gain: float


class _Curve:
    """What one codec, scale and plate quality give from the coarsest CRF to `FINEST_CRF`.

    With `networks`, or by interpolation. `plans` are the bytes of those.
    """

    def __init__(self, points: Sequence[SurveyPoint], networks: bool, plans: float) -> None:
        ordered = sorted(points, key=lambda point: -point.crf)
        self._first = ordered[0]
        self._networks = networks
        self.beside = self._first.plate_bytes + (plans if networks else 0.0)
        crf = np.array([point.crf for point in ordered])
        size = np.array([math.log(max(point.video_bytes, 1)) for point in ordered])
        psnr = np.array([point.psnr_y for point in ordered])
        if self._first.scale == 1:  # nothing is interpolated, and nothing learned
            plain = psnr
        else:
            plain = np.array([point.interpolated for point in ordered])
            psnr = psnr if networks else plain
        self._range = LARGEST_CRF[self._first.codec], FINEST_CRF[self._first.codec]
        self._crf = np.array([self._range[0], *crf, self._range[1]])
        self._size = self._extended(crf, size, last=True)
        # Above the range more bytes buy less and less: nothing is promised for them.
        self._psnr = self._extended(crf, psnr, last=False)
        self._gain = self._extended(crf, psnr - plain, last=False)
        self._size = np.maximum.accumulate(self._size + np.arange(len(self._size)) * 1e-9)

    def _extended(
        self, crf: np.ndarray[tuple[int], np.dtype[np.float64]], values: np.ndarray, *, last: bool
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        if len(crf) == 1:
            return np.array([values[0]] * 3)
        coarsest, finest = self._range
        low = values[0] + (values[1] - values[0]) * (coarsest - crf[0]) / (crf[1] - crf[0])
        slope = (values[-1] - values[-2]) / (crf[-1] - crf[-2]) if last else 0.0
        return np.array([low, *values, values[-1] + slope * (finest - crf[-1])])

    @property
    def best(self) -> float:
        """The most dB that it reaches."""
        return float(self._psnr.max())

    @property
    def least(self) -> float:
        """The smallest total that is possible, in bytes of video, plates and plans."""
        return math.exp(self._size[0]) + self.beside

    def at_bytes(self, size: float) -> Choice:
        """The point whose video, plates and plans take `size` bytes together, or the largest."""
        logarithm = math.log(max(size - self.beside, 1.0))
        return self._at(min(max(logarithm, self._size[0]), self._size[-1]))

    def at_psnr(self, psnr: float) -> Choice | None:
        """The smallest point of this quality; None where it is out of reach."""
        reached = np.maximum.accumulate(self._psnr)
        if psnr > reached[-1]:
            return None
        return self._at(float(np.interp(psnr, reached, self._size)))

    def _at(self, logarithm: float) -> Choice:
        first = self._first
        step = math.log(2) / 2
        around = np.clip((logarithm - step, logarithm + step), self._size[0], self._size[-1])
        gained = np.diff(np.interp(around, self._size, self._psnr))[0]
        octaves = float(np.diff(around)[0]) / math.log(2)
        return Choice(
            first.codec,
            first.scale,
            round(float(np.interp(logarithm, self._size, self._crf)), 2),
            first.quality,
            round(math.exp(logarithm)),
            first.plate_bytes,
            float(np.interp(logarithm, self._size, self._psnr)),
            float(gained) / octaves if octaves > 0 else 0.0,
            self._networks,
            float(np.interp(logarithm, self._size, self._gain)),
        )


def _curves(points: Sequence[SurveyPoint], plans: float, networks: bool) -> list[_Curve]:
    """Those of networks first, if there are to be any: where both are as good, they are taken."""
    made = []
    for kind in sorted({(point.codec, point.scale, point.quality) for point in points}):
        alike = [p for p in points if (p.codec, p.scale, p.quality) == kind]
        if networks and alike[0].scale > 1:  # a video of its own size has none
            made.append(_Curve(alike, networks=True, plans=plans))
        known = all(point.interpolated for point in alike)
        if alike[0].scale == 1 or (alike[0].quality == 0 and known):
            made.append(_Curve(alike, networks=False, plans=plans))
    return made


def choose_by_bytes(
    points: Sequence[SurveyPoint],
    budget: float,
    what: str,
    plans: float = 0.0,
    *,
    networks: bool = True,
) -> Choice:
    """The best quality for `budget` bytes of video, plates and, where there are networks, `plans`.

    `networks`: whether there may be any. Raises CrispcastError where even the smallest rung is
    larger; `what` names the target in it.
    """
    curves = _curves(points, plans, networks)
    possible = [curve for curve in curves if curve.least <= budget]
    if not possible:
        least = min(curve.least for curve in curves)
        raise CrispcastError(
            f"{what} cannot be met: at the coarsest the video and what it needs take "
            f"{math.ceil(least)} bytes, and maps and manifest leave {max(0, math.floor(budget))} "
            "for them; ask for more"
        )
    return max((curve.at_bytes(budget) for curve in possible), key=lambda choice: choice.psnr_y)


def choose_by_psnr(
    points: Sequence[SurveyPoint], psnr: float, plans: float = 0.0, *, networks: bool = True
) -> Choice:
    """The fewest bytes for a PSNR-Y of `psnr` dB; networks take `plans` more.

    `networks`: whether there may be any. Raises CrispcastError where no surveyed point comes near
    it.
    """
    curves = _curves(points, plans, networks)
    found = [(curve.at_psnr(psnr), curve.beside) for curve in curves]
    possible = [(choice, beside) for choice, beside in found if choice is not None]
    if not possible:
        best = max(curve.best for curve in curves)
        raise CrispcastError(
            f"a PSNR of {psnr:g} dB is out of reach: about {best:.1f} dB is the most that the "
            "surveyed scales give; ask for less, or for a smaller --scale"
        )
    return min(possible, key=lambda pair: pair[0].video_bytes + pair[1])[0]


def worth_as_video(points: Sequence[SurveyPoint], scale: int, video: float, more: float) -> float:
    """dB that `more` bytes gain beside `video` bytes of a scale's rung, by interpolation alone.

    `points` are a survey's; without any of that scale, nothing is gained.
    """
    plain = [point for point in points if point.scale == scale and point.quality == 0]
    if not plain or not all(point.interpolated for point in plain):
        return 0.0
    curve = _Curve(plain, networks=False, plans=0.0)
    return curve.at_bytes(video + more).psnr_y - curve.at_bytes(video).psnr_y
