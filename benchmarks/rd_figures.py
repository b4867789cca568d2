"""What the curves come to: the figures by their JSON keys, and why one is missing.

Curves are over all bytes of a clip and PSNR-Y, means are over clips, so that a long or large clip
counts as one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.rd_cache import Clip
from benchmarks.rd_ours import OursPoint
from benchmarks.rd_point import RdPoint
from overfit.metrics import RatePoint, bd_quality, bd_rate, quality_at

LOW_RATE = 0.03
"""Bits a luma sample up to which `bd_rate_x264` looks."""
MOVING = 0.8
"""A clip of which less than this share stands still has much motion."""
REFERENCE_KBPS = 250
"""The rung that plans are set against in `plan_share`."""


@dataclass(frozen=True)
class ClipCurves:
    """All curves of one clip: ours, the native rivals' by name, and plain interpolation's."""

    clip: Clip
    ours: list[OursPoint]
    natives: dict[str, list[RdPoint]]
    plain: list[RatePoint]
    quant_loss: float | None = None

    @property
    def has_plates(self) -> bool:
        """Whether the camera stands still so that our encodes have plates."""
        return any(point.plates for point in self.ours)

    @property
    def moving(self) -> bool:
        """Whether much of the picture moves."""
        return self.ours[0].still_share < MOVING

    @property
    def low_rate(self) -> float:
        """Bytes of the clip at `LOW_RATE`."""
        info = self.clip.info
        return LOW_RATE * info.width * info.height * info.frames / 8

    def ours_by(self, metric: str) -> list[RatePoint]:
        """Our curve in a metric; empty where it was not measured."""
        return _rate_points((point.total for point in self.ours), metric)

    def native_by(self, rival: str, metric: str) -> list[RatePoint]:
        """A rival's curve in a metric; empty where it was not measured."""
        return _rate_points(self.natives.get(rival, []), metric)

    def bd_rate(self, rival: str, max_rate: float = float("inf")) -> float | None:
        """Percent of bytes that ours needs more than the rival, at equal PSNR-Y."""
        return _known(
            lambda a, b: bd_rate(a, b, max_rate=max_rate),
            self.native_by(rival, "psnr_y"),
            self.ours_by("psnr_y"),
        )

    def bd_quality(self, rival: str, metric: str = "psnr_y") -> float | None:
        """How much better ours is than the rival at equal bytes, in the metric's unit."""
        return _known(bd_quality, self.native_by(rival, metric), self.ours_by(metric))

    def margins(self) -> list[float | None]:
        """dB of each of our points over plain interpolation at our total bytes."""
        found: list[float | None] = []
        for point in self.ours:
            plain = _at(self.plain, point.total.size)
            found.append(None if plain is None else point.total.psnr_y - plain)
        return found

    def vmaf_agrees(self, rival: str) -> bool | None:
        """Whether VMAF-NEG and PSNR-Y say the same of ours against the rival."""
        psnr, vmaf = self.bd_quality(rival), self.bd_quality(rival, "vmaf_neg")
        return None if psnr is None or vmaf is None else (psnr > 0) == (vmaf > 0)


def _rate_points(points: Iterable[RdPoint], metric: str) -> list[RatePoint]:
    return [found for point in points if (found := point.rate_point(metric)) is not None]


def _known(
    delta: Callable[[Sequence[RatePoint], Sequence[RatePoint]], float | None],
    reference: Sequence[RatePoint],
    tested: Sequence[RatePoint],
) -> float | None:
    try:
        return delta(reference, tested)
    except ValueError:  # fewer than two points that are not beaten
        return None


def _at(points: Sequence[RatePoint], size: int) -> float | None:
    try:
        return quality_at(points, size)
    except ValueError:
        return None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def figures(curves: Sequence[ClipCurves]) -> dict[str, Any]:
    """All figures by key; `reasons` says why a figure is null."""
    still = [c for c in curves if c.has_plates]
    moving = [c for c in curves if c.moving]
    rivals = list(dict.fromkeys(name for c in curves for name in c.natives))
    agreement = {
        c.clip.name: {r: c.vmaf_agrees(r) for r in rivals if r in c.natives} for c in curves
    }
    agreed = [v for by_rival in agreement.values() for v in by_rival.values() if v is not None]
    margins = {c.clip.name: c.margins() for c in curves}
    points = [(c, p) for c in curves for p in c.ours]
    found: dict[str, Any] = {
        "plates_over_x265_db": _mean(c.bd_quality("x265") for c in still),
        "plates_bd_rate_x265": _mean(c.bd_rate("x265") for c in still),
        "bd_rate_x264": _mean(c.bd_rate("x264", c.low_rate) for c in curves),
        "bd_rate_x265": _mean(c.bd_rate("x265") for c in curves),
        "bd_rate_svtav1": _mean(c.bd_rate("svtav1") for c in curves),
        "moving_bd_rate_x265": _mean(c.bd_rate("x265") for c in moving),
        "canvas_gain": None,
        "rd_violations": sum(m < 0 for ms in margins.values() for m in ms if m is not None),
        "vmaf_agrees": all(agreed) if agreed else None,
        "plan_share": _mean(_plan_share(c, p) for c, p in points if p.plan_bytes),
        "plan_ratio": _mean(p.dense_bytes / p.plan_bytes for _, p in points if p.plan_bytes),
        "quant_loss": _mean(c.quant_loss for c in curves),
        "base_speedup": None,
        "seam_gap": _mean(p.seam_gap for _, p in points if p.plan_bytes),
        "encode_minutes_per_minute": _mean(
            None if p.seconds is None else p.seconds / float(c.clip.info.duration)
            for c, p in points
        ),
    }
    found["reasons"] = {key: _REASONS[key] for key, value in found.items() if value is None}
    found["by_clip"] = {c.clip.name: _of_clip(c) for c in curves}
    found["rd_margins_db"] = margins
    found["vmaf_agreement"] = agreement
    return found


def _plan_share(curves: ClipCurves, point: OursPoint) -> float:
    seconds = float(curves.clip.info.duration)
    return point.plan_bytes / (REFERENCE_KBPS * 1000 / 8 * seconds)


def _of_clip(curves: ClipCurves) -> dict[str, Any]:
    return {
        "still_share": curves.ours[0].still_share,
        "plates": curves.has_plates,
        "bd_rate": {rival: curves.bd_rate(rival) for rival in curves.natives},
        "bd_rate_low": {rival: curves.bd_rate(rival, curves.low_rate) for rival in curves.natives},
        "bd_psnr": {rival: curves.bd_quality(rival) for rival in curves.natives},
        "bd_xpsnr": {rival: curves.bd_quality(rival, "xpsnr") for rival in curves.natives},
        "bd_vmaf_neg": {rival: curves.bd_quality(rival, "vmaf_neg") for rival in curves.natives},
    }


_NO_OVERLAP = "no clip of this kind, or its curves share no range"
_REASONS = {
    "plates_over_x265_db": _NO_OVERLAP,
    "plates_bd_rate_x265": _NO_OVERLAP,
    "bd_rate_x264": _NO_OVERLAP,
    "bd_rate_x265": _NO_OVERLAP,
    "bd_rate_svtav1": _NO_OVERLAP,
    "moving_bd_rate_x265": _NO_OVERLAP,
    "canvas_gain": "measured by python -m benchmarks.canvas",
    "vmaf_agrees": "no VMAF-NEG, or no curves that share a range",
    "plan_share": "no encode has a plan",
    "plan_ratio": "no encode has a plan",
    "quant_loss": "no experts at the middle point, or fp32 was not encoded (--quick)",
    "base_speedup": "measured by python -m benchmarks.base_speedup",
    "seam_gap": "no encode has patches",
    "encode_minutes_per_minute": "every encode was found in the store; another --store times them",
}
