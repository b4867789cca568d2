"""How good every patch is: by interpolation, which tells how hard it is, and as a viewer sees it.

luma of truth, network and bicubic ──add──► squared errors of the segment ──► PSNR of its patches
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from client_sdk.contract import Package
from overfit.metrics import U8, psnr_of, squares

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SegmentPatches:
    """The patches of one segment.

    boxes: int32 [n, 5], x, y, width, height and expert of each, in LR luma samples.
    network, bicubic: float64 [n], PSNR-Y in dB over the frames of the segment.
    """

    boxes: npt.NDArray[np.int32]
    network: F64
    bicubic: F64

    @property
    def gain(self) -> F64:
        """dB that a viewer gains over interpolation, [n]."""
        return self.network - self.bicubic

    def to_json(self) -> dict[str, list[list[int]] | list[float]]:
        """As in report.json."""
        return {
            "boxes": self.boxes.tolist(),
            "psnr_y": self.network.round(3).tolist(),
            "psnr_y_bicubic": self.bicubic.round(3).tolist(),
        }


class PatchErrors:
    """`add` every frame in order, then `finish`. Memory holds two frames of sums."""

    def __init__(self, package: Package, rung_index: int) -> None:
        self._package = package
        self._rung_index = rung_index
        self._done: list[SegmentPatches] = []
        self._frames = 0
        self._sums: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None

    def add(self, truth: U8, network: U8, bicubic: U8) -> None:
        """The luma planes `[h, w]` of the next frame."""
        errors = squares(truth, network), squares(truth, bicubic)
        if self._sums is None:
            self._sums = errors[0].astype(np.int64), errors[1].astype(np.int64)
        else:
            for total, error in zip(self._sums, errors, strict=True):
                total += error
        self._frames += 1
        if self._frames == self._package.manifest.segments[len(self._done)].frames:
            self._close(*self._sums)

    def _close(self, network: npt.NDArray[np.int64], bicubic: npt.NDArray[np.int64]) -> None:
        segment = len(self._done)
        boxes = self._package.patch_map(self._rung_index, segment).patches()
        scale = self._package.manifest.rungs[self._rung_index].scale

        def psnr(errors: npt.NDArray[np.int64]) -> F64:
            parts = (errors[y : y + h, x : x + w] for x, y, w, h in boxes[:, :4] * scale)
            return np.array([psnr_of(float(p.sum()), p.size * self._frames) for p in parts])

        self._done.append(SegmentPatches(boxes, psnr(network), psnr(bicubic)))
        self._sums, self._frames = None, 0

    def finish(self) -> tuple[SegmentPatches, ...]:
        """Of every segment that is complete."""
        return tuple(self._done)
