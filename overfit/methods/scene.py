"""What a method works on: the frames that are trained on, their segments, their patches.

Scene ── divide ──► Division: whose each patch is ── samples ──► TrainingData of an expert
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client_sdk.contract import Grid
from client_sdk.contract.patch_map import Cell, Rectangle, quarters
from kernels.errors import CrispcastError
from kernels.runtime import Canvas
from overfit.chunking import Segment, choose_patch_size, chunk_samples
from overfit.training_data import Int, TrainingData, previous_frames
from overfit.video.frames import U8

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """Frames with their segments; lr, hr, scale and plates as in `TrainingData`.

    `patch` is a patch's (width, height) in LR pixels.
    """

    lr: U8
    hr: U8
    scale: int
    segments: tuple[Segment, ...]
    patch: tuple[int, int]
    plates: tuple[U8 | Canvas, ...] = ()
    plate_of: Int | None = None
    views: Int | None = None

    @classmethod
    def of(cls, lr: U8, hr: U8, segments: tuple[Segment, ...]) -> Scene:
        """Frames u8 [T, h, w] and [T, s*h, s*w] without plates.

        Raises CrispcastError where the sizes do not go together.
        """
        if lr.ndim != 3 or hr.ndim != 3 or len(lr) != len(hr):
            raise CrispcastError(f"{lr.shape} and {hr.shape} are not as many LR as HR frames")
        scale = hr.shape[1] // max(1, lr.shape[1])
        if hr.shape[1:] != (scale * lr.shape[1], scale * lr.shape[2]):
            raise CrispcastError(
                f"HR frames of {hr.shape[2]}x{hr.shape[1]} are no multiple of LR ones of "
                f"{lr.shape[2]}x{lr.shape[1]}: give all frames one size"
            )
        height, width = lr.shape[1:]
        return cls(lr, hr, scale, segments, choose_patch_size(width, height))

    @property
    def grid(self) -> Grid:
        """The patches of every frame."""
        height, width = self.lr.shape[1:]
        return Grid(width, height, *self.patch)

    @property
    def quarters(self) -> list[Rectangle]:
        """The quarters of all patches, in raster order of the patches."""
        return [part for whole in self.grid.rectangles() for part in quarters(whole)]

    @property
    def everything(self) -> Division:
        """All patches are one expert's."""
        shape = (len(self.segments), len(self.grid.rectangles()))
        return Division(np.zeros(shape, np.int32))

    def data(self, samples: Int) -> TrainingData:
        """What an expert with these samples is trained on."""
        starts = tuple(segment.start for segment in self.segments)
        previous = previous_frames(len(self.lr), starts)
        return TrainingData(
            self.lr, self.hr, self.scale, previous, samples, self.plates, self.plate_of, self.views
        )

    def data_of(self, division: Division, expert: int) -> TrainingData:
        """What an expert of a division is trained on."""
        return self.data(division.samples(self, expert))


@dataclass(frozen=True)
class Division:
    """Whose each patch is.

    expert_of: int32 [segments, patches], the index of a patch's expert from 0; or [segments,
    patches, 4] where patches may be split, of each quarter: one whose quarters agree is whole.
    taught: bool [segments, patches], which patches are trained on; None where all are.
    """

    expert_of: Int
    taught: Bool | None = field(default=None)

    @classmethod
    def load(cls, folder: Path) -> Division:
        """What `save` wrote."""
        taught = folder / "taught.npy"
        return cls(np.load(folder / "chunks.npy"), np.load(taught) if taught.is_file() else None)

    def save(self, folder: Path) -> None:
        """Write chunks.npy and, where not all is trained on, taught.npy."""
        np.save(folder / "chunks.npy", self.expert_of)
        if self.taught is not None:
            np.save(folder / "taught.npy", self.taught)

    def cells(self, row: int) -> tuple[Cell, ...]:
        """The experts of a segment's patches as a patch map has them, from 0."""
        return tuple(_cell(patch) for patch in self.expert_of[row])

    def experts(self) -> list[int]:
        """Those that have patches, in rising order."""
        return [int(index) for index in np.unique(self.expert_of)]

    def samples(self, scene: Scene, expert: int) -> Int:
        """Training samples of an expert, int32 [n, 5]: see `TrainingData`; may be none."""
        if self.expert_of.ndim == 2:
            owner = self.expert_of
            if self.taught is not None:
                owner = np.where(self.taught, owner, -1).astype(np.int32)
            return chunk_samples(owner, expert, scene.segments, scene.grid.rectangles())
        # Quarters that agree are whole patches, so that windows need not be small.
        wholes = np.where(_whole(self.expert_of), self.expert_of[:, :, 0], -1)
        parts = np.where(_whole(self.expert_of)[:, :, None], -1, self.expert_of)
        parts = parts.reshape(len(parts), -1)
        kinds = ((wholes, scene.grid.rectangles()), (parts, scene.quarters))
        return np.concatenate(
            [
                chunk_samples(owner.astype(np.int32), expert, scene.segments, boxes)
                for owner, boxes in kinds
            ]
        )

    def share(self, expert: int) -> float:
        """About what part of the picture is an expert's, 0 to 1."""
        return float((self.expert_of == expert).mean())


def _whole(expert_of: Int) -> Bool:
    return np.asarray((expert_of == expert_of[:, :, :1]).all(axis=2))


def _cell(patch: Int | np.int32) -> Cell:
    experts = np.unique(patch)
    if len(experts) == 1:
        return int(experts[0])
    a, b, c, d = np.asarray(patch).tolist()
    return (a, b, c, d)
