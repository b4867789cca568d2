"""What a base is trained on: sections of many clips, each at another bit rate, as one data set.

    clip --crop to the size all share--> sections of frames --x264, a CRF each--> decoded LR
         --47 frames of the whole clip--> does the camera stand still? --> its plate

All clips are cropped to the smallest one's size before their LR is encoded, so that every border of
a frame is a true one.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client_sdk.contract import Grid
from kernels.errors import CrispcastError
from overfit.chunking import Segment, choose_patch_size, chunk_samples
from overfit.plates import PlateConfig, encode_plate, global_motion, temporal_median
from overfit.training_data import TrainingData, previous_frames
from overfit.video import (
    RungConfig,
    VideoInfo,
    downscale,
    padded_size,
    probe,
    read_frames,
    read_rung,
    write_rung,
)
from overfit.video import pad as padded
from overfit.video.frames import U8, Frame


@dataclass(frozen=True)
class FootageConfig:
    """Which frames of every clip are learned from.

    `crfs`: one section a CRF, so that a base sees every bit rate; `frames`: of a section.
    """

    crfs: tuple[float, ...] = (26.0, 31.0, 36.0)
    frames: int = 40

    def __post_init__(self) -> None:
        if not self.crfs or self.frames < 2:
            raise CrispcastError("a base needs at least one CRF and two frames of each section")


@dataclass(frozen=True)
class _Section:
    """Decoded LR luma u8 [T, h, w] and padded HR luma u8 [T, H, W] of consecutive frames."""

    lr: U8
    hr: U8


def base_footage(
    clips: Sequence[Path], scale: int, config: FootageConfig, *, plates: bool
) -> TrainingData:
    """The training data of a base over `clips`; with `plates`, of the clips whose camera stands.

    Raises CrispcastError where no clip is left, VideoError where one cannot be read.
    """
    if not clips:
        raise CrispcastError("a base needs clips to learn from; name some, and leave fewer out")
    infos = [probe(clip) for clip in clips]
    # An even size has chroma that is cropped where the luma is.
    width = min(info.width for info in infos) // 2 * 2
    height = min(info.height for info in infos) // 2 * 2
    sections: list[_Section] = []
    made: list[U8] = []
    plate_of: list[int] = []
    for info in infos:
        read = _read(info, width, height, config, scale)
        plate = _plate(read.sampled, scale) if plates else None
        if plate is not None:
            made.append(plate)
        sections += read.sections
        plate_of += [-1 if plate is None else len(made) - 1] * sum(
            len(section.lr) for section in read.sections
        )
    lr = np.concatenate([section.lr for section in sections])
    hr = np.concatenate([section.hr for section in sections])
    lengths = [len(section.lr) for section in sections]
    starts = tuple(itertools.accumulate(lengths[:-1], initial=0))
    segments = tuple(Segment(start, n) for start, n in zip(starts, lengths, strict=True))
    rows, columns = lr.shape[1:]
    rectangles = Grid(columns, rows, *choose_patch_size(columns, rows)).rectangles()
    everywhere = np.zeros((len(segments), len(rectangles)), np.int32)
    samples = chunk_samples(everywhere, 0, segments, rectangles)
    previous = previous_frames(len(lr), starts)
    return TrainingData(lr, hr, scale, previous, samples, tuple(made), np.array(plate_of, np.int32))


@dataclass(frozen=True)
class _Read:
    sections: list[_Section]
    sampled: list[Frame]


def _read(info: VideoInfo, width: int, height: int, config: FootageConfig, scale: int) -> _Read:
    """The sections of a clip, and frames of all of it for a plate."""
    count = min(config.frames, info.frames)
    starts = np.linspace(0, info.frames - count, len(config.crfs)).round().astype(int).tolist()
    wanted = PlateConfig().samples
    samples = set(np.linspace(0, info.frames - 1, wanted).round().astype(int).tolist())
    kept: dict[int, list[Frame]] = {index: [] for index in range(len(starts))}
    sampled = []
    for frame in _cropped(info, width, height):
        if frame.number in samples:
            sampled.append(frame)
        for index, start in enumerate(starts):
            if start <= frame.number < start + count:
                kept[index].append(frame)
    sections = [_encoded(kept[index], info, scale, crf) for index, crf in enumerate(config.crfs)]
    return _Read(sections, sampled)


def _cropped(info: VideoInfo, width: int, height: int) -> Iterator[Frame]:
    """Every frame's middle, at even offsets."""
    top, left = (info.height - height) // 4 * 2, (info.width - width) // 4 * 2
    big = (slice(top, top + height), slice(left, left + width))
    half = (
        slice(top // 2, top // 2 + height // 2),
        slice(left // 2, left // 2 + width // 2),
    )
    for frame in read_frames(info.path, info):
        yield Frame(
            frame.number,
            frame.y[big].copy(),
            frame.u[half].copy(),
            frame.v[half].copy(),
        )


def _encoded(frames: list[Frame], info: VideoInfo, scale: int, crf: float) -> _Section:
    """What a viewer's decoder gives of these frames, and the truth."""
    height, width = frames[0].y.shape
    facts = replace(info, width=width, height=height, frames=len(frames))
    with tempfile.TemporaryDirectory() as folder:
        rung = Path(folder) / "rung.mp4"
        write_rung(
            lambda: (downscale(frame, scale) for frame in frames),
            rung,
            info=facts,
            starts=[0],
            config=RungConfig(crf=crf),
        )
        lr = np.stack([frame.y for frame in read_rung(rung)])
    size = padded_size(width, height, scale)
    hr = np.stack([padded(frame.y, size.hr_height, size.hr_width) for frame in frames])
    return _Section(lr, hr)


def _plate(sampled: list[Frame], scale: int) -> U8 | None:
    """The decoded plate of a clip, u8 [H, W]; None where its camera moves."""
    config = PlateConfig()
    lr = np.stack([downscale(frame, scale)[0] for frame in sampled])
    if global_motion(lr) > config.still:
        return None
    size = padded_size(sampled[0].y.shape[1], sampled[0].y.shape[0], scale)
    hr = np.stack([padded(frame.y, size.hr_height, size.hr_width) for frame in sampled])
    return encode_plate(temporal_median(hr, range(len(hr))), config).luma
