"""Tries experts on every frame, patch by patch, and keeps them only where they pay.

A plan costs bytes and work; where plain interpolation is as near to the source, the patch gets
expert 0, and a plan that no patch of a segment uses is not sent for it. The figures of the chosen
mixture are exact without another run: a patch's pixels do not depend on its neighbours' experts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from client_sdk.contract import Package
from client_sdk.upscaler import Upscaler
from overfit.measurement import paired_frames
from overfit.metrics import U8, lanczos, psnr_of
from overfit.video import VideoInfo

Errors = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SegmentTrial:
    """Sums of squared luma errors in one segment, inside the source's picture.

    `network` and `bicubic` are `[frames, patches]` with patches in the order of
    `PatchMap.patches()`; `lanczos` is `[frames]`.
    """

    network: Errors
    bicubic: Errors
    lanczos: Errors

    def pays(self) -> npt.NDArray[np.bool_]:
        """For each patch, whether its expert comes nearer to the source than interpolation."""
        return np.asarray(self.network.sum(axis=0) < self.bicubic.sum(axis=0))

    def mixed(self) -> Errors:
        """Errors `[frames]` when each patch takes the better of its expert and interpolation."""
        return np.asarray(np.where(self.pays(), self.network, self.bicubic).sum(axis=1))


@dataclass(frozen=True)
class Quality:
    """PSNR-Y in dB: mean over frames."""

    psnr_y: float
    psnr_y_bicubic: float
    psnr_y_lanczos: float


def quality_of(trials: list[SegmentTrial], samples: int) -> Quality:
    """The quality of segments together; `samples` are the luma samples of a frame."""

    def mean(errors: list[Errors]) -> float:
        return float(np.mean([psnr_of(float(e), samples) for e in np.concatenate(errors)]))

    return Quality(
        mean([trial.mixed() for trial in trials]),
        mean([trial.bicubic.sum(axis=1) for trial in trials]),
        mean([trial.lanczos for trial in trials]),
    )


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
    upscaler = Upscaler.of_package(package, 0, threads)
    height, width = manifest.source.height, manifest.source.width
    rows: list[tuple[Errors, Errors, int]] = []
    trials: list[SegmentTrial] = []
    tiles = _Tiles(package, 0, height, width)
    for truth, low in paired_frames(package, 0, info):
        index = manifest.segment_of(truth.number)
        if truth.number == manifest.segments[index].start and index > 0:
            trials.append(_stacked(rows))
            rows = []
            tiles = _Tiles(package, index, height, width)
        made = upscaler.upscale(truth.number, low.planes).planes[0]
        plain = upscaler.engine.upscale(low.planes, rung.scale)[0][:height, :width]
        smooth = lanczos(low.planes[0], rung.scale)[:height, :width]
        network = tiles.sums(_squares(truth.y, made))
        rows.append(
            (network, tiles.sums(_squares(truth.y, plain)), int(_squares(truth.y, smooth).sum()))
        )
        if on_frame is not None:
            psnr = psnr_of(float(network.sum()), height * width)
            on_frame(truth.number + 1, info.frames, psnr)
    trials.append(_stacked(rows))
    return trials


def _squares(a: U8, b: U8) -> Errors:
    difference = a.astype(np.int32) - b
    return np.asarray(difference * difference, dtype=np.int64)


def _stacked(rows: list[tuple[Errors, Errors, int]]) -> SegmentTrial:
    network, bicubic, smooth = zip(*rows, strict=True)
    return SegmentTrial(np.stack(network), np.stack(bicubic), np.array(smooth, dtype=np.int64))


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
