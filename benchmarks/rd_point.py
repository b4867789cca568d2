"""A point of a rate-distortion curve, and its figures as they are kept."""

from dataclasses import dataclass

from benchmarks.rd_cache import Clip, Json
from overfit.metrics import RatePoint
from overfit.scoring import METRICS, Scores


@dataclass(frozen=True)
class RdPoint:
    """One encode of a whole clip.

    `setting` is what sets the rate (`crf 33`); `size` bytes in all; `figures` by name: those of
    `overfit.scoring.METRICS`, None where there is none; `cpu_seconds` the processor time of the
    encode, None where it is not known.
    """

    setting: str
    size: int
    kbps: float
    bits_per_pixel: float
    figures: dict[str, float | None]
    cpu_seconds: float | None = None

    @classmethod
    def of(
        cls,
        clip: Clip,
        setting: str,
        size: int,
        figures: dict[str, float | None],
        cpu_seconds: float | None = None,
    ) -> "RdPoint":
        """A point of a clip from its bytes."""
        rate, share = clip.kbps(size), clip.bits_per_pixel(size)
        return cls(setting, size, rate, share, figures, cpu_seconds)

    @property
    def psnr_y(self) -> float:
        """Mean of the frames, in dB."""
        value = self.figures["psnr_y"]
        assert value is not None
        return value

    def rate_point(self, metric: str = "psnr_y") -> RatePoint | None:
        """The point as `overfit.metrics.bd_rate` takes it; None where the metric is missing."""
        value = self.figures.get(metric)
        return None if value is None else RatePoint(self.size, value)


def clip_figures(scores: Scores, method: str) -> Json:
    """The figures of a whole clip, by metric."""
    return {metric: scores.mean(method, metric) for metric in METRICS}
