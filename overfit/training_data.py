"""What a network is trained on: decoded LR frames, the HR luma, plates, and where to look.

    LR luma u8 [T, h, w] ----+
    HR luma u8 [T, H, W] ----+--> windows: a patch and the true pixels around it, cut at the frame
    plates and canvases -----+
    samples (frame, patch) --+

A window is larger than its patch by the network's radius on every side that is not a border of the
frame. There the zero padding of the convolutions is not what a viewer computes, so that ring is
left out of the loss; at a border of the frame it is exactly what a viewer computes.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kernels.errors import CrispcastError
from kernels.runtime import Canvas
from overfit.video.frames import U8

Int = NDArray[np.int32]


def previous_frames(frames: int, starts: tuple[int, ...]) -> Int:
    """For every frame the number of the one before; a segment's first frame has itself."""
    previous = np.maximum(np.arange(frames, dtype=np.int32) - 1, 0)
    previous[list(starts)] = np.array(starts, np.int32)
    return previous


def unshuffle(plane: U8, scale: int) -> U8:
    """A plate's luma [s*h, s*w] as planes [s*s, h, w]; plane dy*s+dx holds (y*s+dy, x*s+dx)."""
    height, width = plane.shape[0] // scale, plane.shape[1] // scale
    split = plane.reshape(height, scale, width, scale).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(split.reshape(scale * scale, height, width))


@dataclass(frozen=True)
class TrainingData:
    """Planes and samples of one expert.

    lr: decoded LR luma, u8 [T, h, w] (may be a memory map). hr: source luma padded to the LR size
    times scale, u8 [T, H, W] (may be a memory map). previous: int32 [T], see `previous_frames`.
    samples: int32 [n, 5], rows of frame number and patch x, y, width, height in LR pixels.
    plates: decoded plates, each u8 [H, W] or a canvas; plate_of: int32 [T], index of a frame's
    plate or -1. views: int32 [T, 8], those of the frames whose plate is a canvas.
    """

    lr: U8
    hr: U8
    scale: int
    previous: Int
    samples: Int
    plates: tuple[U8 | Canvas, ...] = ()
    plate_of: Int | None = None
    views: Int | None = None

    def __post_init__(self) -> None:
        frames, height, width = self.lr.shape
        if self.hr.shape != (frames, height * self.scale, width * self.scale):
            raise CrispcastError(f"HR {self.hr.shape} is not scale {self.scale} x {self.lr.shape}")
        if len(self.previous) != frames or (self.plates and self.plate_of is None):
            raise CrispcastError("there must be one previous frame and one plate index per frame")
        if self.views is None and any(isinstance(plate, Canvas) for plate in self.plates):
            raise CrispcastError("a canvas needs a view of it for every frame that has it")
        if self.samples.ndim != 2 or self.samples.shape[1] != 5 or not len(self.samples):
            raise CrispcastError("an expert needs patches to be trained on")

    def plate_of_frame(self, number: int) -> U8 | None:
        """The plate u8 [H, W] of a frame, as it sees it; None where it has none."""
        index = -1 if self.plate_of is None or not self.plates else int(self.plate_of[number])
        if index < 0:
            return None
        plate = self.plates[index]
        return self.seen(plate, number) if isinstance(plate, Canvas) else plate

    def seen(self, canvas: Canvas, number: int, x: int = 0, y: int = 0, *size: int) -> U8:
        """What a frame sees of a canvas: all, or a rectangle of that size (width, height)."""
        assert self.views is not None
        height, width = self.hr.shape[1:]
        return canvas.render(self.views[number], width, height, x, y, *size)


@dataclass(frozen=True)
class Batch:
    """Windows [N, C, h, w] in the networks' domain, target [N, 1, s*h, s*w], mask of the target."""

    inputs: dict[str, torch.Tensor]
    target: torch.Tensor
    mask: torch.Tensor


def to_domain(codes: U8) -> torch.Tensor:
    """u8 codes as (code - 128) / 128 in single precision."""
    return torch.from_numpy(codes).float().sub_(128).mul_(1 / 128)


class WindowSampler:
    """Draws batches of windows, all of one size, around samples chosen at random.

    A window is larger than a patch where it can be: the halo costs less of it. The loss counts
    those pixels of it that belong to the expert's own patches.
    """

    def __init__(
        self,
        data: TrainingData,
        inputs: tuple[str, ...],
        radius: int,
        tile: int,
        plate_dropout: float,
    ) -> None:
        """`tile`: side in LR pixels, without the halo, that a window has at least."""
        self._inputs = inputs
        self._radius = radius
        self._tile = tile
        self._dropout = plate_dropout
        self._take(data)
        self._plates = tuple(
            plate if isinstance(plate, Canvas) else unshuffle(plate, data.scale)
            for plate in data.plates
        )

    def of(self, data: TrainingData) -> WindowSampler:
        """The same for other samples of the same frames and plates, which are kept once."""
        other = copy(self)
        other._take(data)
        return other

    def _take(self, data: TrainingData) -> None:
        _, height, width = data.lr.shape
        widest = max(self._tile, int(data.samples[:, 3].max())) + 2 * self._radius
        tallest = max(self._tile, int(data.samples[:, 4].max())) + 2 * self._radius
        self._data = data
        self._size = (min(tallest, height), min(widest, width))
        self._frame = (height, width)
        self._own = _Membership(data.samples, len(data.lr), height, width)

    def draw(self, count: int, random: np.random.Generator) -> Batch:
        """A batch of `count` windows."""
        data, scale = self._data, self._data.scale
        h, w = self._size
        luma = np.empty((count, 1, h, w), np.uint8)
        previous = np.empty_like(luma)
        plate = np.full((count, scale * scale, h, w), 128, np.uint8)
        target = np.empty((count, 1, h * scale, w * scale), np.uint8)
        mask = np.zeros((count, 1, h, w), np.float32)
        for i, row in enumerate(random.integers(len(data.samples), size=count)):
            number, px, py, pw, ph = data.samples[row].tolist()
            y = self._place(py, ph, 0, random)
            x = self._place(px, pw, 1, random)
            here = (slice(y, y + h), slice(x, x + w))
            luma[i, 0] = data.lr[(number, *here)]
            previous[i, 0] = data.lr[(data.previous[number], *here)]
            big = (slice(y * scale, (y + h) * scale), slice(x * scale, (x + w) * scale))
            target[i, 0] = data.hr[(number, *big)]
            true = (self._true(y, 0), self._true(x, 1))
            mask[(i, 0, *true)] = self._own.of_frame(number)[here][true]
            if "plate" in self._inputs and self._plates and data.plate_of is not None:
                index = int(data.plate_of[number])
                if index >= 0 and random.random() >= self._dropout:
                    plate[i] = self._plate_planes(index, number, y, x)
        planes = {"luma": luma, "previous": previous, "plate": plate}
        inputs = {name: to_domain(planes[name]) for name in self._inputs}
        large = mask.repeat(scale, axis=2).repeat(scale, axis=3)
        return Batch(inputs, to_domain(target), torch.from_numpy(large))

    def _plate_planes(self, index: int, number: int, y: int, x: int) -> U8:
        """The planes [s*s, h, w] that a window of a frame has of a plate."""
        plate, scale = self._plates[index], self._data.scale
        h, w = self._size
        if not isinstance(plate, Canvas):
            return plate[:, y : y + h, x : x + w]
        seen = self._data.seen(plate, number, x * scale, y * scale, w * scale, h * scale)
        return unshuffle(seen, scale)

    def _place(self, start: int, length: int, axis: int, random: np.random.Generator) -> int:
        """Where along an axis a window starts: it holds the patch and its halo, in the frame."""
        window, side = self._size[axis], self._frame[axis]
        low = max(0, start + length + self._radius - window)
        high = max(low, start - self._radius)
        place = int(random.integers(low, high + 1))
        last: int = side - window
        return min(place, last)

    def _true(self, start: int, axis: int) -> slice:
        """The part of a window whose outputs see what they see in a whole frame."""
        window, side = self._size[axis], self._frame[axis]
        before = self._radius if start > 0 else 0
        after = self._radius if start + window < side else 0
        return slice(before, window - after)


class _Membership:
    """Which LR pixels of each frame belong to the samples; frames of a segment share a map."""

    def __init__(self, samples: Int, frames: int, height: int, width: int) -> None:
        ordered = samples[np.argsort(samples[:, 0], kind="stable")]
        edges = np.searchsorted(ordered[:, 0], np.arange(frames + 1))
        self._map_of: dict[int, int] = {}
        self._maps: list[NDArray[np.bool_]] = []
        known: dict[bytes, int] = {}
        for number in range(frames):
            boxes = ordered[edges[number] : edges[number + 1], 1:]
            if not len(boxes):
                continue
            key = boxes.tobytes()
            if key not in known:
                known[key] = len(self._maps)
                own = np.zeros((height, width), np.bool_)
                for x, y, w, h in boxes.tolist():
                    own[y : y + h, x : x + w] = True
                self._maps.append(own)
            self._map_of[number] = known[key]

    def of_frame(self, number: int) -> NDArray[np.bool_]:
        """Map [h, w] of a frame that has samples."""
        return self._maps[self._map_of[number]]
