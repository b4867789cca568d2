"""A clip's first seconds as training data, its LR decoded from H.264, and the quality of plans."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from pathlib import Path

import numpy as np

from client_sdk.contract import Grid
from kernels.runtime import Engine, Plan
from overfit.chunking import Segment, choose_patch_size, chunk_samples
from overfit.metrics import psnr_y
from overfit.training_data import TrainingData, previous_frames
from overfit.video import RungConfig, downscale, pad, probe, read_frames, read_rung, write_rung
from overfit.video.frames import U8

STARTS = {"bbb": 12.0}
"""Seconds into a clip where its first are nothing to learn from."""


def footage(clip: Path, scale: int, seconds: float, crf: float, start: float = 0.0) -> TrainingData:
    """Seconds of a clip as one segment without plates, its LR as a viewer decodes it."""
    info = probe(clip)
    first = min(round(start * info.fps), info.frames - 2)
    wanted = min(info.frames - first, round(seconds * info.fps))
    frames = list(itertools.islice(read_frames(clip, info), first, first + wanted))
    with tempfile.TemporaryDirectory() as folder:
        rung = Path(folder) / "rung.mp4"
        low = (downscale(frame, scale) for frame in frames)
        write_rung(lambda: low, rung, info=info, starts=[0], config=RungConfig(crf=crf))
        lr = np.stack([frame.y for frame in read_rung(rung)])
    height, width = lr.shape[1:]
    hr = np.stack([pad(frame.y, scale * height, scale * width) for frame in frames])
    rectangles = Grid(width, height, *choose_patch_size(width, height)).rectangles()
    segment = (Segment(0, len(lr)),)
    samples = chunk_samples(np.zeros((1, len(rectangles)), np.int32), 0, segment, rectangles)
    return TrainingData(lr, hr, scale, previous_frames(len(lr), (0,)), samples)


def upscale(engine: Engine, data: TrainingData, number: int, plan: Plan | None) -> U8:
    """A frame's HR luma u8 [H, W] as a viewer has it; interpolated without a plan."""
    height, width = data.lr.shape[1:]
    half = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    planes = (data.lr[number], half, half)
    previous = data.lr[data.previous[number]]
    plans = [] if plan is None else [plan]
    made: U8 = engine.upscale(planes, data.scale, plans=plans, previous=previous)[0]
    return made


def quality(data: TrainingData, wire: bytes | None, every: int = 6) -> float:
    """PSNR-Y in dB of every so many frames, run by the runtime; interpolation without a plan."""
    engine, plan = Engine(1), None if wire is None else Plan(wire)
    numbers = range(1, len(data.lr), every)
    return statistics.fmean(psnr_y(upscale(engine, data, n, plan), data.hr[n]) for n in numbers)
