"""Surveys what rates, scales and plates would give, before the work itself is begun.

    some segments --> rung at several CRFs --> bytes, decoded LR --+
    their still shots --> plates at several qualities --> bytes ---+--> one small network, trained
                                                                        briefly on all of them
                                                                    --> PSNR of each combination

The network is no expert that anybody will get: its PSNR ranks the combinations, and experts come
out above it, by `EXPECTED` at least. One network for all of them is what makes the survey cheap. At
scale 1 there is nothing to learn, and the rung itself is measured; where there are to be no
networks, what interpolation makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from client_sdk.contract import Grid
from overfit.chunking import Segment, choose_patch_size, chunk_samples
from overfit.inference import interpolate, upscale
from overfit.metrics import psnr_y
from overfit.networks import Expert, NetworkConfig
from overfit.plates import Plate, PlateConfig, encode_plate, global_motion, temporal_median
from overfit.pruning import DENSE
from overfit.survey_point import SurveyPoint
from overfit.training import DivergedError, OnStep, train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData
from overfit.video import (
    Codec,
    Effort,
    RungConfig,
    VideoInfo,
    downscale,
    pad,
    padded_size,
    read_frames,
    read_rung,
    write_rung,
)
from overfit.video.frames import U8
from overfit.video.spool import Spool

_PRESET: dict[Codec, Effort] = {"h264": "fast", "av1": "medium"}
"""SVT-AV1's faster ones take a fifth more bytes than a slow one, which the rung will have."""
EXPECTED = 0.4
"""dB that experts come out above the survey's network: on real clips 0.2 to 1.1 at 100 kb/s, more
at higher rates (docs/encoding.md)."""
_HR_BYTES = 64 << 20
"""HR luma that is kept; training holds it once per CRF."""


CRFS: dict[Codec, tuple[float, ...]] = {"h264": (24, 30, 36, 42), "av1": (28, 42, 55, 67)}
"""From good to coarse."""


@dataclass(frozen=True)
class SurveyConfig:
    """How much is surveyed.

    crfs: CRFs of the rung on the scale of `codec`, or None for `CRFS`. qualities: AVIF qualities of
    the plates, none for no plates. segments: how many are looked at, spread over the video.
    pictures: HR frames kept of them, at most. compared: of those, how many each combination is
    measured on. networks: whether there may be any; without them plates are of no use either.
    steps, budget: updates of the network (with 300 it has not learned yet what a finer plate is
    worth), and seconds for them, at most.
    """

    codec: Codec = "av1"
    crfs: tuple[float, ...] | None = None
    qualities: tuple[int, ...] = (30, 40, 50, 60, 70, 80)
    segments: int = 4
    pictures: int = 24
    compared: int = 5
    networks: bool = True
    steps: int = 900
    budget: float | None = None
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class _Sample:
    """Some segments of a video: LR planes of all their frames, HR and LR luma of a few.

    All planes lie on the disk: at scale 1 those of 8 s of 4K at 60 frames a second are 6 GB.
    """

    starts: tuple[int, ...]
    """Of each segment, in the sample's own numbers."""
    lr: Spool
    hr: U8
    low: U8
    """Luma of the same frames in `lr`, not coded yet."""
    kept: tuple[int, ...]
    """Which frames of the sample `hr` has."""
    shots: tuple[int, ...]
    """Index of the shot of each frame in `hr`."""


def survey(
    info: VideoInfo,
    segments: Sequence[Segment],
    shots: Sequence[int],
    scale: int,
    config: SurveyConfig,
    *,
    checkpoint: Path | None = None,
    on_progress: OnStep | None = None,
) -> tuple[SurveyPoint, ...]:
    """The points of one scale. `shots` are the frame numbers at which scenes start, 0 first.

    `checkpoint` and `on_progress` are `train`'s. Should the network diverge, interpolation stands
    for it: then rates and scales are ranked, and no plates.
    """
    chosen = np.linspace(0, len(segments) - 1, min(config.segments, len(segments)))
    sampled = [segments[index] for index in sorted(set(chosen.round().astype(int).tolist()))]
    folder = None if checkpoint is None else checkpoint.parent
    sample = _read(info, sampled, shots, scale, config, folder)
    share = len(sample.lr) / info.frames
    crfs = config.crfs or CRFS[config.codec]
    # A video of its own size is what it is: experts mend it by a few hundredths of a dB.
    learns = scale > 1 and config.networks
    plates = _plates(sample, scale, config) if config.qualities and learns else {}
    still = 2 * sum(shot in plates for shot in sample.shots) > len(sample.shots)
    rungs = [
        _encode(
            sample,
            info,
            RungConfig(
                crf=crf,
                codec=config.codec,
                preset=_PRESET[config.codec],
                still=still,
                filtered=scale == 1,
            ),
        )
        for crf in crfs
    ]
    surveyed = sum(
        stop - start
        for index, (start, stop) in enumerate(zip(shots, [*shots[1:], info.frames], strict=True))
        if index in set(sample.shots)
    )
    expert: Expert | None = None
    try:
        if learns:
            lows = [low for low, _ in rungs]
            expert = _train(sample, lows, plates, scale, config, checkpoint, on_progress)
    except DivergedError:
        plates = {}
    points = []
    for crf, (low, size) in zip(crfs, rungs, strict=True):
        plain = _quality(sample, low, {}, None, config.compared)
        for variant, quality in enumerate((0, *config.qualities) if plates else (0,)):
            used = {shot: made[variant - 1] for shot, made in plates.items()} if quality else {}
            expected = plain
            if expert is not None:
                expected = _quality(sample, low, used, expert, config.compared) + EXPECTED
            points.append(
                SurveyPoint(
                    config.codec,
                    scale,
                    crf,
                    quality,
                    round(size / share),
                    round(sum(p.size for p in used.values()) * info.frames / surveyed),
                    expected,
                    plain,
                )
            )
    return tuple(points)


def _read(
    info: VideoInfo,
    sampled: Sequence[Segment],
    shots: Sequence[int],
    scale: int,
    config: SurveyConfig,
    folder: Path | None,
) -> _Sample:
    """The sample; its frames lie in `folder`."""
    size = padded_size(info.width, info.height, scale)
    numbers = [number for segment in sampled for number in range(segment.start, segment.stop)]
    budget = max(config.compared, _HR_BYTES // (size.hr_width * size.hr_height))
    spread = np.linspace(0, len(numbers) - 1, min(config.pictures, budget, len(numbers)))
    kept = sorted(set(spread.round().astype(int).tolist()))
    place = {number: index for index, number in enumerate(numbers)}
    lr = Spool(folder)
    hr: list[U8] = []
    low: list[U8] = []
    for frame in read_frames(info.path, info):
        if frame.number not in place:
            continue
        small = downscale(frame, scale)
        lr.append(small)
        if place[frame.number] in kept:
            low.append(small[0])
            hr.append(pad(frame.y, size.hr_height, size.hr_width))
        if frame.number == numbers[-1]:
            break
    shot_of = (np.searchsorted(shots, [numbers[k] for k in kept], side="right") - 1).tolist()
    starts = tuple(place[segment.start] for segment in sampled)
    return _Sample(starts, lr, np.stack(hr), np.stack(low), tuple(kept), tuple(shot_of))


def _encode(sample: _Sample, info: VideoInfo, rung: RungConfig) -> tuple[U8, int]:
    """The decoded LR luma [frames in hr, h, w] of such a rung, and its bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "rung.mp4")
        size = write_rung(
            lambda: sample.lr,
            path,
            info=replace(info, frames=len(sample.lr)),
            starts=sample.starts,
            config=rung,
        ).bytes
        wanted = set(sample.kept)
        low = [frame.y for frame in read_rung(path) if frame.number in wanted]
    return np.stack(low), size


def _plates(sample: _Sample, scale: int, config: SurveyConfig) -> dict[int, list[Plate]]:
    """Plates of each quality for the sampled shots whose camera stands still."""
    made = {}
    for shot in sorted(set(sample.shots)):
        rows = [row for row, index in enumerate(sample.shots) if index == shot]
        if len(rows) < 3 or global_motion(sample.low[rows]) > PlateConfig().still:
            continue
        median = temporal_median(sample.hr, rows)
        made[shot] = [
            encode_plate(median, PlateConfig(quality=q, speed=6)) for q in config.qualities
        ]
    return made


def _train(
    sample: _Sample,
    lows: Sequence[U8],
    plates: dict[int, list[Plate]],
    scale: int,
    config: SurveyConfig,
    checkpoint: Path | None,
    on_progress: OnStep | None,
) -> Expert:
    """One small network for every CRF, plate quality, and no plate."""
    count = len(sample.hr)
    lr = np.concatenate(lows)
    hr = np.concatenate([sample.hr] * len(lows))
    height, width = lr.shape[1:]
    pictures: list[U8] = []
    plate_of = np.full(len(lr), -1, np.int32)
    first = {}
    for shot, made in plates.items():
        first[shot] = len(pictures)
        pictures += [plate.luma for plate in made]
    for row in range(len(lr)):
        shot = sample.shots[row % count]
        if shot in first:  # qualities take turns
            plate_of[row] = first[shot] + (row + row // count) % len(config.qualities)
    patches = Grid(width, height, *choose_patch_size(width, height)).rectangles()
    everywhere = np.zeros((1, len(patches)), np.int32)
    samples = chunk_samples(everywhere, 0, [Segment(0, len(lr))], patches)
    data = TrainingData(
        lr, hr, scale, np.arange(len(lr), dtype=np.int32), samples, tuple(pictures), plate_of
    )
    inputs = ("luma", "plate") if pictures else ("luma",)
    network = NetworkConfig(scale=scale, units=8, blocks=2, inputs=inputs)
    training = TrainingConfig(
        steps=config.steps,
        budget=config.budget,
        pruning=DENSE,
        codes=False,
        round_begin=1.0,
        plate_dropout=0.2,
        seed=config.seed,
        threads=config.threads,
    )
    trained = train(data, network, training, checkpoint=checkpoint, on_progress=on_progress)
    return trained.network


def _quality(
    sample: _Sample, low: U8, plates: dict[int, Plate], expert: Expert | None, compared: int
) -> float:
    """PSNR-Y in dB, mean over some frames."""
    rows = np.linspace(0, len(low) - 1, min(compared, len(low))).round().astype(int).tolist()
    found = []
    for row in rows:
        plate = plates.get(sample.shots[row])
        luma = np.asarray(low[row])
        picture = (
            interpolate(luma, sample.hr.shape[1] // luma.shape[0])
            if expert is None
            else upscale(expert, luma, luma, None if plate is None else plate.luma)
        )
        found.append(psnr_y(sample.hr[row], picture))
    return math.fsum(found) / len(found)
