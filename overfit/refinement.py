"""Refines a plate by gradient through the experts that read it.

    temporal median ──► experts, frame by frame, tile by tile ──► squared error ─┐
          ▲   └────── pulled back to itself: change is paid for in bytes ────────┤
          └──────────────────────── Adam on the pixels ◄─────────────────────────┘
    refined picture ──AVIF, so coarse that it takes no more bytes──► better than before? ──► plate

The median knows nothing of what becomes of it: experts smooth it, mistrust it where something
moved, and leave a little of every edge behind. What is refined makes up for that.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from client_sdk.contract.patch_map import Rectangle
from overfit import checkpoint as checkpoints
from overfit.adam import Adam
from overfit.freed_memory import keep_freed_memory
from overfit.inference import to_codes
from overfit.methods import Division, Scene
from overfit.metrics import psnr_y
from overfit.networks import Expert
from overfit.plate_pieces import composed
from overfit.plates import Plate, PlateConfig, encode_pieces, spread, temporal_median
from overfit.training_data import previous_frames, to_domain
from overfit.video.frames import U8

_SHARE_PER_QUALITY = 0.03
"""How much of its bytes a step of AVIF quality takes from a plate."""
_STEP = 2
"""Of quality: libaom has 64 of its own."""
_COARSEST = 12
"""Steps of quality that a refined picture may be coarser, at most."""


@dataclass(frozen=True)
class RefinementConfig:
    """How a plate is refined.

    rounds: updates, each of the whole plate by one frame a tile. rate: codes that a pixel moves in
    the first; it falls to nothing. pull: how much a squared code of change counts beside one of
    error. tile: side in LR pixels of what is computed at once. compared: frames that the old and
    the new plate are compared on. least: dB that the new one must be better.
    """

    rounds: int = 30
    rate: float = 1.5
    pull: float = 0.3
    tile: int = 240
    compared: int = 8
    least: float = 0.01
    seed: int = 0
    threads: int = 2


class Refiner:
    """What stays the same for all plates of a video: its frames and the experts of its patches."""

    def __init__(
        self,
        scene: Scene,
        division: Division,
        experts: Mapping[int, Expert],
        config: RefinementConfig,
    ) -> None:
        """`experts` by their number in `division`, all of them with a plate among their inputs."""
        torch.set_num_threads(config.threads)
        keep_freed_memory()
        self.scene = scene
        self.experts = experts
        self.config = config
        self._division = division
        self._previous = previous_frames(len(scene.lr), tuple(s.start for s in scene.segments))
        self._segment_of = np.repeat(range(len(scene.segments)), [s.frames for s in scene.segments])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the plates."""
        height, width = self.scene.hr.shape[1:]
        return width, height

    def refine(
        self,
        index: int,
        plate: Plate,
        coding: PlateConfig,
        *,
        checkpoint: Path | None = None,
    ) -> Plate | None:
        """Plate `index` of the scene anew, in the same pieces and no more bytes.

        `plate` is what it is now, by `coding`. `checkpoint` is a file this may write, and goes on
        from. None where nothing is gained.
        """
        assert self.scene.plate_of is not None
        numbers = np.flatnonzero(self.scene.plate_of == index).tolist()
        among = [numbers[n] for n in spread(0, len(numbers), coding.samples)]
        if len(among) < 3:
            return None
        median = temporal_median(self.scene.hr, among)
        made = self._descend(median, plate, numbers, checkpoint)
        found = _within(made, plate, coding)
        if found is None:
            return None
        tested = [numbers[n] for n in spread(0, len(numbers), self.config.compared)]
        before, after = (self.quality(tested, p.luma) for p in (plate, found))
        return found if after >= before + self.config.least else None

    def quality(self, numbers: list[int], plate: U8) -> float:
        """PSNR-Y in dB of these frames beside this plate u8 [s*h, s*w], by experts alone."""
        height, width = self.scene.lr.shape[1:]
        planes = pixel_unshuffle(to_domain(plate[None, None]), self.scene.scale)
        with torch.no_grad():
            shown = [self._shown(n, (0, 0, width, height), planes) for n in numbers]
        truth = self.scene.hr
        found = [psnr_y(truth[n], to_codes(s[0, 0])) for n, s in zip(numbers, shown, strict=True)]
        return math.fsum(found) / len(found)

    def _descend(
        self,
        start: U8,
        plate: Plate,
        numbers: list[int],
        checkpoint: Path | None,
    ) -> U8:
        """`start` refined where the plate has pieces."""
        config, scale = self.config, self.scene.scale
        key = hashlib.sha256(start.tobytes() + plate.luma.tobytes() + repr(config).encode())
        for _, expert in sorted(self.experts.items()):
            for weight in expert.parameters():
                key.update(weight.detach().numpy().tobytes())
        where = torch.zeros(1, 1, *start.shape)
        for piece in plate.pieces:
            x, y, width, height = piece.region
            where[..., y : y + height, x : x + width] = 1
        origin = to_domain(start[None, None]) * where
        pixels = nn.Parameter(origin.clone())
        optimizer = Adam([pixels])
        first = 0
        state = checkpoints.load(checkpoint, key.hexdigest())
        if state is not None:
            pixels.data.copy_(state["pixels"])
            optimizer.restore(state["optimizer"])
            first = state["round"]
        saved = time.monotonic()
        for done in range(first, config.rounds):
            pixels.grad = 2 * config.pull * (pixels.detach() - origin)
            random = np.random.default_rng((config.seed, done))
            for tile in self._tiles():
                number = int(random.choice(numbers))
                planes = pixel_unshuffle(pixels, scale)
                made = self._shown(number, tile, planes)
                x, y, width, height = (scale * side for side in tile)
                truth = to_domain(self.scene.hr[None, None, number, y : y + height, x : x + width])
                torch.autograd.backward((made - truth).square().sum())
            pixels.grad *= where
            optimizer.step(config.rate / 128 * (1 - done / config.rounds))
            if checkpoint is not None and time.monotonic() - saved > checkpoints.SECONDS:
                saved = time.monotonic()
                facts = {"pixels": pixels.detach(), "optimizer": optimizer.state()}
                checkpoints.save(checkpoint, {"key": key.hexdigest(), **facts, "round": done + 1})
        return to_codes(pixels.detach()[0, 0])

    def _tiles(self) -> list[Rectangle]:
        height, width = self.scene.lr.shape[1:]
        side = self.config.tile
        return [
            (x, y, min(side, width - x), min(side, height - y))
            for y in range(0, height, side)
            for x in range(0, width, side)
        ]

    def _shown(self, number: int, tile: Rectangle, plate: Tensor) -> Tensor:
        """[1, 1, s*h, s*w] of a tile as experts make it beside a plate [1, s*s, h, w]."""
        x, y, width, height = tile
        rows, columns = self.scene.lr.shape[1:]
        radius = max(expert.config.radius for expert in self.experts.values())
        left, top = max(0, x - radius), max(0, y - radius)
        right, bottom = min(columns, x + width + radius), min(rows, y + height + radius)
        around = (slice(top, bottom), slice(left, right))
        planes = {
            "luma": to_domain(self.scene.lr[number][around][None, None]),
            "previous": to_domain(self.scene.lr[self._previous[number]][around][None, None]),
            "plate": plate[:, :, *around],
        }
        scale = self.scene.scale
        inside = (
            slice(scale * (y - top), scale * (y - top + height)),
            slice(scale * (x - left), scale * (x - left + width)),
        )
        owners = self._owners(number)[y : y + height, x : x + width]
        result: Tensor | None = None
        for expert in np.unique(owners).tolist():
            network = self.experts[expert]
            inputs = {name: planes[name] for name in network.config.inputs}
            made = network(**inputs)[:, :, *inside]
            if result is None:
                result = made
            else:
                mine = torch.from_numpy((owners == expert).repeat(scale, 0).repeat(scale, 1))
                result = torch.where(mine, made, result)
        assert result is not None
        return result

    def _owners(self, number: int) -> NDArray[np.int32]:
        """The expert of every LR pixel of a frame, int32 [h, w]."""
        of = self._division.expert_of[self._segment_of[number]]
        boxes = self.scene.grid.rectangles() if of.ndim == 1 else self.scene.quarters
        owners = np.zeros(self.scene.lr.shape[1:], np.int32)
        for (x, y, width, height), expert in zip(boxes, of.reshape(-1), strict=True):
            owners[y : y + height, x : x + width] = expert
        return owners


def _within(picture: U8, plate: Plate, coding: PlateConfig) -> Plate | None:
    """A picture coded in a plate's pieces and bytes, as finely as those allow; None where not.

    Steps of quality are coarse, so as many pieces as fit, the first ones, are a step finer.
    """
    parts = [piece.region for piece in plate.pieces]
    quality, finer = coding.quality, None
    while quality >= max(1, coding.quality - _COARSEST):
        made = encode_pieces(picture, parts, replace(coding, quality=quality))
        if made.size <= plate.size:
            return made if finer is None else _mixed(finer, made, plate.size)
        over = math.log(made.size / plate.size) / _SHARE_PER_QUALITY
        quality, finer = quality - max(_STEP, math.floor(over)), made
    return None


def _mixed(finer: Plate, coarser: Plate, most: int) -> Plate:
    """The first pieces of `finer` that fit, the rest of `coarser`."""
    left = most - coarser.size
    pieces = []
    for fine, coarse in zip(finer.pieces, coarser.pieces, strict=True):
        more = len(fine.data) - len(coarse.data)
        pieces.append(fine if more <= left else coarse)
        left -= more if more <= left else 0
    height, width = coarser.luma.shape
    return Plate(tuple(pieces), composed(pieces, width, height))
