"""Tries experts on every frame, patch by patch, and keeps them only where they pay.

A plan costs bytes and work; where plain interpolation is as near to the source, the patch gets
expert 0, and a plan that no patch of a segment uses is not sent for it. The figures of the chosen
mixture are exact without another run: a patch's pixels do not depend on its neighbours' experts.
So no segment's PSNR, the mean of its frames', is ever below that of interpolation.

    frames of a segment ─► SegmentErrors [frames, patches] ─► SegmentTrial: verdicts, sums of frames

Patches are judged at the end of their segment: memory holds the errors of one, however long the
video.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from client_sdk.contract import Package
from client_sdk.upscaler import Upscaler
from kernels.runtime import Engine
from overfit.measurement import paired_frames
from overfit.metrics import U8, lanczos, psnr_of
from overfit.video import VideoInfo

Errors = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SegmentTrial:
    """Which patches of a segment pay for their expert, and what its frames are with that.

    `pays` is `[patches]`, in the order of `PatchMap.patches()`. The others are sums of squared luma
    errors inside the source's picture, `[frames]`: `mixed` when each patch that pays has its expert
    and the others interpolation, `bicubic` and `lanczos` by interpolation alone.
    """

    pays: npt.NDArray[np.bool_]
    mixed: Errors
    bicubic: Errors
    lanczos: Errors


@dataclass(frozen=True)
class SegmentErrors:
    """Sums of squared luma errors in one segment, inside the source's picture.

    `network` and `bicubic` are `[frames, patches]` with patches in the order of
    `PatchMap.patches()`; `lanczos` is `[frames]`.
    """

    network: Errors
    bicubic: Errors
    lanczos: Errors

    def judged(self, samples: int) -> SegmentTrial:
        """For each patch, whether its expert brings the segment nearer to the source.

        `samples` are those of a frame's luma. A patch is judged by its errors over all frames, or
        by what they are of their frames' errors: where flat frames stand beside busy ones (flashes,
        fades), less error in all may be a worse picture in most. Of the two, and of no expert at
        all, that with the highest mean PSNR of the frames is taken; a draw goes to interpolation.
        """
        saved = self.bicubic - self.network
        of_frame = np.maximum(self.bicubic.sum(axis=1, keepdims=True), 1)
        choices = (
            np.zeros(saved.shape[1], np.bool_),
            np.asarray(saved.sum(axis=0) > 0),
            np.asarray((saved / of_frame).sum(axis=0) > 0),
        )
        pays = max(choices, key=lambda choice: _mean_psnr(self._with(choice), samples))
        return SegmentTrial(pays, self._with(pays), self.bicubic.sum(axis=1), self.lanczos)

    def _with(self, choice: npt.NDArray[np.bool_]) -> Errors:
        return np.asarray(np.where(choice, self.network, self.bicubic).sum(axis=1))


@dataclass(frozen=True)
class Quality:
    """PSNR-Y in dB: mean over frames."""

    psnr_y: float
    psnr_y_bicubic: float
    psnr_y_lanczos: float

    @property
    def gain(self) -> float:
        """dB over what clients show where there is no network."""
        return self.psnr_y - self.psnr_y_bicubic


def quality_of(trials: list[SegmentTrial], samples: int) -> Quality:
    """The quality of segments together; `samples` are the luma samples of a frame."""

    def mean(errors: list[Errors]) -> float:
        return _mean_psnr(np.concatenate(errors), samples)

    return Quality(
        mean([trial.mixed for trial in trials]),
        mean([trial.bicubic for trial in trials]),
        mean([trial.lanczos for trial in trials]),
    )


def _mean_psnr(errors: Errors, samples: int) -> float:
    """Mean PSNR in dB of frames with these sums of squared errors, each over `samples`."""
    return float(np.mean([psnr_of(float(error), samples) for error in errors]))


def try_experts(
    package: Package,
    info: VideoInfo,
    threads: int,
    on_frame: Callable[[int, int, float], None] | None = None,
) -> list[SegmentTrial]:
    """Run every frame of the first rung through its experts and through interpolation.

    `on_frame` gets the frames done, the frames in all, and the network's PSNR-Y of the frame in dB.
    """
    manifest = package.manifest
    rung = manifest.rungs[0]
    upscaler, engine = Upscaler.of_package(package, 0, threads), Engine(threads)
    height, width = manifest.source.height, manifest.source.width
    rows: list[tuple[Errors, Errors, int]] = []
    trials: list[SegmentTrial] = []
    tiles = _Tiles(package, 0, height, width)
    for truth, low in paired_frames(package, 0, info):
        index = manifest.segment_of(truth.number)
        if truth.number == manifest.segments[index].start and index > 0:
            trials.append(_stacked(rows).judged(height * width))
            rows = []
            tiles = _Tiles(package, index, height, width)
        made = upscaler.upscale(truth.number, low.planes).planes[0]
        plain = engine.upscale(low.planes, rung.scale)[0][:height, :width]
        smooth = lanczos(low.planes[0], rung.scale)[:height, :width]
        network = tiles.sums(_squares(truth.y, made))
        rows.append(
            (network, tiles.sums(_squares(truth.y, plain)), int(_squares(truth.y, smooth).sum()))
        )
        if on_frame is not None:
            psnr = psnr_of(float(network.sum()), height * width)
            on_frame(truth.number + 1, info.frames, psnr)
    trials.append(_stacked(rows).judged(height * width))
    return trials


def _squares(a: U8, b: U8) -> Errors:
    difference = a.astype(np.int32) - b
    return np.asarray(difference * difference, dtype=np.int64)


def _stacked(rows: list[tuple[Errors, Errors, int]]) -> SegmentErrors:
    network, bicubic, smooth = zip(*rows, strict=True)
    return SegmentErrors(np.stack(network), np.stack(bicubic), np.array(smooth, dtype=np.int64))


class _Tiles:
    """The HR rectangles of a segment's patches, and sums over them."""

    def __init__(self, package: Package, segment_index: int, height: int, width: int) -> None:
        scale = package.manifest.rungs[0].scale
        patches = package.patch_map(0, segment_index).patches()
        self._boxes = [
            (
                slice(y * scale, min((y + h) * scale, height)),
                slice(x * scale, min((x + w) * scale, width)),
            )
            for x, y, w, h, _ in patches.tolist()
        ]

    def sums(self, squares: Errors) -> Errors:
        """`[patches]` sums of `squares` `[height, width]`."""
        return np.array([squares[box].sum() for box in self._boxes], dtype=np.int64)
