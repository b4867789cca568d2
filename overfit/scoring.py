"""Scores what methods made of a video against the truth, frame by frame, as the frames come.

    truth, made by each method ──add──► threads: PSNR, SSIM, XPSNR, flicker, protocols, seams
                                    └─► pipes: VMAF-NEG
                               finish ──► Scores: a figure for every frame, method and metric

Memory holds a handful of frames, however long the video.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType

from overfit.metrics import (
    PROTOCOLS,
    U8,
    Errors,
    FlickerReference,
    Planes,
    Protocol,
    RgbConversion,
    SeamErrors,
    SeamGrid,
    SsimReference,
    XpsnrReference,
    psnr_of,
    squares,
    video_flicker,
    video_xpsnr,
)
from overfit.vmaf import VmafNeg, find_ffmpeg

METRICS = ("psnr_y", "psnr_rgb", "ssim", "xpsnr", "flicker", "vmaf_neg")
"""Of every frame: dB, dB, −1 to 1, dB of luma, codes of 8 bits (less is better), 0 to 100."""

VERSION = 1
"""Rises when a figure changes its meaning, so that kept figures are measured again."""

Series = Sequence[float | None]
"""A number for each frame; None where a frame has none (flicker: the first, or all moves)."""


def over_frames(metric: str, values: Series) -> float | None:
    """One figure of many frames, as the metric defines it; None where no frame has any."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if metric == "xpsnr":
        return video_xpsnr(known)
    if metric == "flicker":
        return video_flicker(known)
    return sum(known) / len(known)


@dataclass(frozen=True)
class Scores:
    """What a scorer found.

    `figures[method][metric]` is a number for each frame, None where it was not measured;
    `protocols[method][protocol]` PSNR in dB of (luma, RGB), without RGB None; `seams[method]` the
    errors at its seams and away from them; `still_share` the part of the picture that stands
    still, mean of the frames after the first; `vmaf_missing` why there is no VMAF-NEG.
    """

    figures: dict[str, dict[str, Series | None]]
    protocols: dict[str, dict[str, tuple[float, float | None]]]
    seams: dict[str, SeamErrors]
    still_share: float
    vmaf_missing: str | None

    def mean(
        self, method: str, metric: str, start: int = 0, end: int | None = None
    ) -> float | None:
        """The figure of frames start … end − 1 taken together."""
        values = self.figures[method][metric]
        return None if values is None else over_frames(metric, values[start:end])


@dataclass(frozen=True)
class Scoring:
    """What to measure.

    `width` and `height` in luma samples; `scale` of the rung, for the protocols that shave, None
    for none of them; `to_rgb` None measures luma only.
    """

    width: int
    height: int
    fps: Fraction
    scale: int | None = None
    to_rgb: RgbConversion | None = None
    vmaf: bool = True
    threads: int = 2


@dataclass(frozen=True)
class _FrameScores:
    figures: dict[str, float | None]
    luma: dict[str, Errors]
    rgb: dict[str, Errors]
    seams: SeamErrors | None
    still_share: float | None


@dataclass
class _History:
    """The frames before the one at hand, nearest first."""

    lumas: list[U8] = field(default_factory=list)
    made: Mapping[str, Planes] = field(default_factory=dict)


class ClipScorer:
    """Use: `with ClipScorer(...) as scorer`, `add` every frame in order, then `finish()`."""

    def __init__(self, methods: Sequence[str], scoring: Scoring) -> None:
        self._methods = tuple(methods)
        self._scoring = scoring
        names = PROTOCOLS if scoring.scale else ("whole_frame",)
        self._protocols = [Protocol(name, scoring.scale or 2) for name in names]
        self._pool = ThreadPoolExecutor(scoring.threads)
        self._pending: list[Future[dict[str, _FrameScores]]] = []
        self._done: list[dict[str, _FrameScores]] = []
        self._history = _History()
        size = (scoring.width, scoring.height)
        self._vmaf = (
            {method: VmafNeg(*size, scoring.threads) for method in methods} if scoring.vmaf else {}
        )

    def __enter__(self) -> "ClipScorer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        for scorer in self._vmaf.values():
            scorer.close()

    def add(
        self,
        truth: Planes,
        made: Mapping[str, Planes],
        seams: SeamGrid | None = None,
    ) -> None:
        """Score the next frame, `seams` where it has some. The planes must not change any more."""
        for method, scorer in self._vmaf.items():
            scorer.add(truth, made[method])
        self._pending.append(self._pool.submit(self._score, truth, made, seams, self._history))
        if len(self._pending) > 2 * self._scoring.threads:  # bounds the frames held in memory
            self._done.append(self._pending.pop(0).result())
        self._history = _History([truth[0], *self._history.lumas[:1]], made)

    def finish(self) -> Scores:
        """The figures of all frames that were added. Raises ValueError where none was."""
        self._done += [future.result() for future in self._pending]
        self._pending = []
        if not self._done:
            raise ValueError("no frame was scored")
        figures: dict[str, dict[str, Series | None]] = {}
        missing = None if self._scoring.vmaf else "not asked for"
        for method in self._methods:
            frames = [frame[method].figures for frame in self._done]
            figures[method] = {
                metric: [frame[metric] for frame in frames] if metric in frames[0] else None
                for metric in METRICS
            }
            scores = self._vmaf[method].scores() if self._vmaf else None
            figures[method]["vmaf_neg"] = scores
            if scores is None and missing is None:
                missing = find_ffmpeg().reason or "libvmaf failed"
        return Scores(
            figures,
            {method: self._protocol_figures(method) for method in self._methods},
            self._seam_errors(),
            self._still_share(),
            missing,
        )

    def _protocol_figures(self, method: str) -> dict[str, tuple[float, float | None]]:
        found = {}
        for protocol in self._protocols:
            name = protocol.name
            luma = protocol.psnr([frame[method].luma[name] for frame in self._done])
            rgb = [frame[method].rgb[name] for frame in self._done if frame[method].rgb]
            found[str(name)] = (luma, protocol.psnr(rgb) if rgb else None)
        return found

    def _seam_errors(self) -> dict[str, SeamErrors]:
        totals = {}
        for method in self._methods:
            parts = [s for frame in self._done if (s := frame[method].seams) is not None]
            if parts:
                totals[method] = SeamErrors.total(parts)
        return totals

    def _still_share(self) -> float:
        first = self._methods[0]
        shares = [s for frame in self._done if (s := frame[first].still_share) is not None]
        return sum(shares) / len(shares) if shares else 0.0

    def _score(
        self,
        truth: Planes,
        made: Mapping[str, Planes],
        seams: SeamGrid | None,
        history: _History,
    ) -> dict[str, _FrameScores]:
        to_rgb = self._scoring.to_rgb
        similar = SsimReference.of(truth[0])
        weighted = XpsnrReference(truth[0], history.lumas, float(self._scoring.fps))
        still = FlickerReference.of(truth[0], history.lumas[0]) if history.lumas else None
        rgb = to_rgb(truth) if to_rgb else None
        scores = {}
        for method in self._methods:
            planes = made[method]
            squared = squares(truth[0], planes[0])
            luma = {str(p.name): p.frame(squared) for p in self._protocols}
            figures: dict[str, float | None] = {
                "psnr_y": _psnr(luma["whole_frame"]),
                "ssim": similar.ssim(planes[0]),
                "xpsnr": weighted.xpsnr(planes[0]),
                "flicker": still.flicker(planes[0], history.made[method][0]) if still else None,
            }
            colour: dict[str, Errors] = {}
            if to_rgb is not None and rgb is not None:
                coloured = squares(rgb, to_rgb(planes))
                colour = {str(p.name): p.frame(coloured) for p in self._protocols}
                figures["psnr_rgb"] = _psnr(colour["whole_frame"])
            beside = None if seams is None else SeamErrors.of(truth[0], planes[0], seams)
            share = still.share if still else None
            scores[method] = _FrameScores(figures, luma, colour, beside, share)
        return scores


def _psnr(errors: Errors) -> float:
    return psnr_of(errors.squared, errors.samples)
