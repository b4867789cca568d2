"""One clip with every rival of plates: its small video, what stands beside it, experts, PSNR-Y."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from benchmarks.learned_planes import LearnedPlanes, LearningConfig, decode_plate, learn
from kernels.compiler import compile_module
from kernels.runtime import Engine, Plan
from kernels.runtime import Plate as RuntimePlate
from overfit.chunking import Segment, SegmentConfig, make_segments
from overfit.inference import interpolate
from overfit.methods import Scene
from overfit.metrics import psnr_y
from overfit.networks import Expert, NetworkConfig
from overfit.plates import Plate, PlateConfig, encode_plate, make_plates, spread, temporal_median
from overfit.refinement import RefinementConfig, Refiner
from overfit.training import Trained, train
from overfit.training_config import TrainingConfig
from overfit.training_data import Int, to_domain
from overfit.video import RungConfig, downscale, pad, probe, read_frames, read_rung, write_rung
from overfit.video.frames import U8

SCALE = 2
STILL, MOVING = "still", "moving"


@dataclass(frozen=True)
class Case:
    """A clip and what is tried on it.

    crf: of the small video. qualities: AVIF's, of pictured plates. prices: of learned planes, see
    `LearningConfig`. keys: AVIF qualities of key pictures. whole_crfs: of the video in its own
    size.
    """

    name: str
    kind: str
    crf: float
    qualities: tuple[int, ...] = ()
    prices: tuple[float, ...] = ()
    keys: tuple[int, ...] = ()
    whole_crfs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Effort:
    """How much is done: of a clip, of every expert's training, of learned planes' two halves."""

    seconds: float
    steps: int
    fitted: int
    joint: int
    threads: int


@dataclass(frozen=True)
class Point:
    """One way to send a clip: bytes, dB, and the seconds that its plates and its training took."""

    way: str
    setting: float
    video: int
    plates: int
    plan: int
    psnr_y: float
    plate_seconds: float = 0.0
    train_seconds: float = 0.0

    @property
    def total(self) -> int:
        """Bytes of all."""
        return self.video + self.plates + self.plan


class Bench:
    """A clip's small video, and what becomes of it beside plates."""

    def __init__(self, path: Path, case: Case, effort: Effort) -> None:
        self.case, self.effort = case, effort
        whole = probe(path)
        count = min(whole.frames, round(effort.seconds * whole.fps))
        self._frames = list(itertools.islice(read_frames(path, whole), count))
        self.info = replace(whole, frames=count)
        self.segments = make_segments(count, [], self.info.fps, SegmentConfig())
        lr, self.video = self._sent(SCALE, case.crf)
        height, width = (SCALE * side for side in lr.shape[1:])
        hr = np.stack([pad(frame.y, height, width) for frame in self._frames])
        self.scene = Scene.of(lr, hr, tuple(self.segments))
        torch.set_num_threads(effort.threads)

    def points(self) -> Iterator[Point]:
        """All points of the case."""
        bare = np.full(self.info.frames, -1, np.int32)
        expert: Expert | None = None
        for quality in self.case.qualities:
            begun = time.process_time()
            coding = PlateConfig(quality=quality)
            plate = encode_plate(self._median(0, self.info.frames), coding)
            spent = time.process_time() - begun
            point, trained = self._trained("plate", quality, plate.size, [plate.luma], bare * 0)
            yield replace(point, plate_seconds=spent)
            if self.case.kind == STILL:
                yield self._refined(plate, coding, trained)
            expert = trained.network
        for price in self.case.prices:
            assert expert is not None
            yield self._learned(price, expert)
        for crf in self.case.whole_crfs:
            yield self._whole(crf)
        for quality in self.case.keys:
            yield from self._keys(quality)
        if self.case.kind == MOVING:
            yield self._trained("expert alone", 0, 0, [], bare)[0]

    def _whole(self, crf: float) -> Point:
        """The video in its own size."""
        lr, size = self._sent(1, crf)
        true = self.scene.hr[:, : lr.shape[1], : lr.shape[2]]
        shown = statistics.fmean(psnr_y(true[n], lr[n]) for n in self._tested())
        return Point("video in its own size", crf, size, 0, 0, shown)

    def _sent(self, scale: int, crf: float) -> tuple[U8, int]:
        """The decoded luma of an AV1 video at that scale, and its bytes."""
        config = RungConfig(crf=crf, codec="av1", preset="medium", filtered=scale == 1)
        starts = [segment.start for segment in self.segments]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rung.mp4")
            facts = write_rung(
                lambda: (downscale(frame, scale) for frame in self._frames),
                path,
                info=self.info,
                starts=starts,
                config=config,
            )
            return np.stack([frame.y for frame in read_rung(path)]), facts.bytes

    def _median(self, start: int, stop: int) -> U8:
        return temporal_median(self.scene.hr, spread(start, stop, PlateConfig().samples))

    def _tested(self) -> range:
        return range(1, self.info.frames, 6)

    def _trained(
        self, way: str, setting: float, size: int, plates: Sequence[U8], plate_of: Int
    ) -> tuple[Point, Trained]:
        """An expert beside plates that take `size` bytes, and what it comes to."""
        scene = replace(self.scene, plates=tuple(plates), plate_of=plate_of)
        inputs = ("luma", "previous", "plate") if plates else ("luma", "previous")
        network = NetworkConfig(SCALE, 8 if plates else 16, inputs=inputs)
        config = TrainingConfig(
            steps=self.effort.steps, bits=8 if plates else 5, threads=self.effort.threads
        )
        trained = train(scene.data_of(scene.everything, 0), network, config)
        wire = compile_module(trained.network, SCALE, trained.bits)
        shown = self._shown(wire, [plates[n] if n >= 0 else None for n in plate_of.tolist()])
        point = Point(way, setting, self.video, size, len(wire), shown, 0.0, trained.seconds)
        return point, trained

    def _shown(self, wire: bytes, plates: Sequence[U8 | None]) -> float:
        """Mean PSNR-Y in dB of some frames beside the plate of each, run by the runtime."""
        engine, plan = Engine(self.effort.threads), Plan(wire)
        height, width = self.scene.lr.shape[1:]
        half = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
        starts = {segment.start for segment in self.segments}
        found = []
        for n in self._tested():
            plate = plates[n]
            made = engine.upscale(
                (self.scene.lr[n], half, half),
                SCALE,
                plans=[plan],
                previous=self.scene.lr[n if n in starts else n - 1],
                plate=None if plate is None else RuntimePlate(plate, SCALE),
            )
            found.append(psnr_y(self.scene.hr[n], made[0]))
        return statistics.fmean(found)

    def _refined(self, plate: Plate, coding: PlateConfig, trained: Trained) -> Point:
        """The plate refined through its expert, as an encode does."""
        begun = time.process_time()
        only = np.zeros(self.info.frames, np.int32)
        scene = replace(self.scene, plates=(plate.luma,), plate_of=only)
        settings = RefinementConfig(threads=self.effort.threads)
        refiner = Refiner(scene, scene.everything, {0: trained.network}, settings)
        made = refiner.refine(0, plate, coding) or plate
        spent = time.process_time() - begun
        wire = compile_module(trained.network, SCALE, trained.bits)
        shown = self._shown(wire, [made.luma] * self.info.frames)
        facts = ("refined plate", coding.quality, self.video, made.size, len(wire), shown)
        return Point(*facts, spent, trained.seconds)

    def _learned(self, price: float, expert: Expert) -> Point:
        """Learned planes: fitted to the median, then trained together with an expert."""
        begun = time.process_time()
        median = self._median(0, self.info.frames)
        planes = LearnedPlanes(median, 3 * price**0.5)
        config = LearningConfig(self.effort.fitted, price)
        target = to_domain(median[None, None])
        learn(planes, lambda plate, _: (plate - target).square().mean() * 128**2, config)
        partner = deepcopy(expert)
        error = self._error_through(partner)
        warmed = replace(config, rounds=self.effort.joint, warm=0)
        learn(planes, error, warmed, list(partner.parameters()))
        data = planes.encode()
        spent = time.process_time() - begun
        only = np.zeros(self.info.frames, np.int32)
        made = self._trained("learned planes", price, len(data), [decode_plate(data)], only)[0]
        return replace(made, plate_seconds=spent)

    def _error_through(self, expert: Expert) -> Callable[[Tensor, int], Tensor]:
        """Squared codes of a frame a round, beside a plate, as the expert makes it."""
        scene, starts = self.scene, {segment.start for segment in self.segments}

        def error(plate: Tensor, done: int) -> Tensor:
            number = int(np.random.default_rng((0, done)).integers(self.info.frames))
            before = number if number in starts else number - 1
            made = expert(
                luma=to_domain(scene.lr[None, None, number]),
                previous=to_domain(scene.lr[None, None, before]),
                plate=pixel_unshuffle(plate, SCALE),
            )
            missed: Tensor = made - to_domain(scene.hr[None, None, number])
            return missed.square().mean() * 128**2

        return error

    def _keys(self, quality: int) -> Iterator[Point]:
        """A key picture a segment: its median, piece by piece, if any pays; its middle frame."""
        scene, coding = self.scene, PlateConfig(quality=quality)
        begun = time.process_time()
        spans = [(segment.start, segment.stop) for segment in self.segments]
        still = [0.0] * len(spans)
        made = make_plates(scene.hr, scene.lr, SCALE, spans, still, coding, video_bytes=self.video)
        pieces = {piece.sha256: len(piece.data) for plate in made.plates for piece in plate.pieces}
        lumas = [plate.luma for plate in made.plates]
        spent = time.process_time() - begun
        if lumas:
            facts = (sum(pieces.values()), lumas, made.of_frames(self.info.frames))
            point = self._trained("key medians that pay", quality, *facts)[0]
            yield replace(point, plate_seconds=spent)
        begun = time.process_time()
        frames = [encode_plate(scene.hr[s.start + s.frames // 2], coding) for s in self.segments]
        spent = time.process_time() - begun
        facts = (sum(f.size for f in frames), [f.luma for f in frames], _of(self.segments))
        yield replace(self._trained("key frames", quality, *facts)[0], plate_seconds=spent)

    @property
    def bicubic(self) -> float:
        """Mean PSNR-Y in dB of interpolation."""
        lr, hr = self.scene.lr, self.scene.hr
        return statistics.fmean(psnr_y(hr[n], interpolate(lr[n], SCALE)) for n in self._tested())


def _of(segments: Sequence[Segment]) -> Int:
    """The number of each frame's segment."""
    return np.repeat(np.arange(len(segments), dtype=np.int32), [s.frames for s in segments])
