"""The jobs of an encode. Each is a pure function of its inputs and the settings it is given.

    source ─► probe ─► segments ─► truth ─► still ─► rung ─► low ─┬─► chunks ─┐
                │                                                 └─► plates ─┴─► expert 1 … k
                └─► audio                                                              │
                                            (package) ◄── trial ◄── refined plates ◄───┘

Artefacts hold JSON, .npy arrays, MP4, Ogg, AVIF and plans; the next job reads them from there.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from kernels.cores import usable_cores
from overfit.chunking import SegmentConfig, find_cuts, make_segments
from overfit.video import (
    Colour,
    RungConfig,
    VideoInfo,
    check_scale,
    downscale,
    pad,
    padded_size,
    probe,
    read_frames,
    read_rung,
    write_audio,
    write_rung,
)
from server.encoding.graph import Task, job_function

MAX_TRAINING_BYTES = 6 << 30
"""HR luma kept for training, at most; of a longer video, segments evenly spread over it."""


def write_json(path: Path, value: object) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(value))


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def load_info(folder: Path, source: Path) -> VideoInfo:
    """The facts of the source as the `probe` job left them in `folder`."""
    facts = read_json(folder / "info.json")
    for name in ("fps", "sample_aspect_ratio", "start"):
        facts[name] = Fraction(*facts[name])
    facts["colour"] = Colour(**facts["colour"])
    facts["matrix"] = tuple(facts["matrix"])
    return VideoInfo(path=source, **facts)


@job_function("overfit.video")
def probe_source(task: Task) -> None:
    """→ info.json. Refuses what is not a video, and what is too small for the scale."""
    info = probe(task.inputs["source"])
    check_scale(info, task.config["scale"])
    facts = asdict(info)
    del facts["path"]
    for name in ("fps", "sample_aspect_ratio", "start"):
        facts[name] = [facts[name].numerator, facts[name].denominator]
    write_json(task.out / "info.json", facts)


@job_function("overfit.video", "overfit.chunking")
def cut_segments(task: Task) -> None:
    """→ starts.json: where segments start; shots.json: those of them that start a new scene."""
    info = load_info(task.inputs["probe"], task.inputs["source"])
    config = SegmentConfig(longest=task.config["max_segment"])
    cuts = find_cuts((frame.y for frame in read_frames(info.path, info)), config)
    segments = make_segments(info.frames, cuts, info.fps, config)
    starts = [segment.start for segment in segments]
    write_json(task.out / "starts.json", starts)
    write_json(task.out / "shots.json", [0, *(cut for cut in cuts if cut in starts)])


@job_function("overfit.video")
def encode_audio(task: Task) -> None:
    """→ track.ogg and audio.json (null where there is no audio)."""
    info = load_info(task.inputs["probe"], task.inputs["source"])
    track = write_audio(info, task.out / "track.ogg")
    write_json(task.out / "audio.json", None if track is None else asdict(track))


@job_function("overfit.video")
def encode_rung(task: Task) -> None:
    """→ rung.mp4 and rung.json, the video that viewers get.

    With a `still` input, most of a video that stands still is encoded as plates ask for.
    """
    info = load_info(task.inputs["probe"], task.inputs["source"])
    scale = task.config["scale"]
    facts = write_rung(
        lambda: (downscale(frame, scale) for frame in read_frames(info.path, info)),
        task.out / "rung.mp4",
        info=info,
        starts=read_json(task.inputs["segments"] / "starts.json"),
        config=RungConfig(
            crf=task.config["crf"],
            bitrate=task.config["bitrate"],
            codec=task.config["codec"],
            preset=task.config["preset"],
            still=still_share(task.inputs) > 0.5,
            filtered=scale == 1,
        ),
        on_progress=task.report,
    )
    write_json(task.out / "rung.json", asdict(facts))


def still_share(inputs: Mapping[str, Path]) -> float:
    """Share of the training frames in shots that stand still; 0 where nobody looked."""
    if "still" not in inputs:
        return 0.0
    shots = read_json(inputs["still"] / "still.json")
    still = sum(shot["stop"] - shot["start"] for shot in shots if shot["still"])
    return float(still / max(1, sum(shot["stop"] - shot["start"] for shot in shots)))


def training_segments(starts: list[int], info: VideoInfo) -> list[int]:
    """Indices of the segments to train on: all, or of a long video some evenly spread over it."""
    budget = max(1, MAX_TRAINING_BYTES // (info.width * info.height))
    every = -(-info.frames // budget)
    return list(range(0, len(starts), every))


def _new_array(path: Path, shape: tuple[int, ...]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """A u8 array in a new .npy file, all of it on the disk: a full one is an OSError here and now.

    Writing into a mapped hole of a full disk would kill the process (SIGBUS).
    """
    array = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array


@job_function("overfit.video")
def collect_truth(task: Task) -> None:
    """→ truth.npy: HR luma of the training frames, u8 [T, H, W], padded to the rung times scale.

    And frames.json: their frame numbers, and which segments they are (by index and length).
    """
    info = load_info(task.inputs["probe"], task.inputs["source"])
    starts = read_json(task.inputs["segments"] / "starts.json")
    size = padded_size(info.width, info.height, task.config["scale"])
    ends = [*starts[1:], info.frames]
    kept = training_segments(starts, info)
    wanted = [number for index in kept for number in range(starts[index], ends[index])]
    shape = (len(wanted), size.hr_height, size.hr_width)
    truth = _new_array(task.out / "truth.npy", shape)
    row = {number: index for index, number in enumerate(wanted)}
    for frame in read_frames(info.path, info):
        if frame.number in row:
            truth[row[frame.number]] = pad(frame.y, size.hr_height, size.hr_width)
        if frame.number % 50 == 0:
            task.report(frame.number / info.frames)
    truth.flush()
    lengths = [ends[index] - starts[index] for index in kept]
    write_json(task.out / "frames.json", {"numbers": wanted, "segments": kept, "lengths": lengths})


@job_function("overfit.video", "client_sdk.contract.plain_files", "client_sdk.contract.rung_mp4")
def collect_low(task: Task) -> None:
    """→ low.npy: decoded LR luma of the same frames, u8 [T, h, w]."""
    wanted = read_json(task.inputs["truth"] / "frames.json")["numbers"]
    facts = read_json(task.inputs["rung"] / "rung.json")
    shape = (len(wanted), facts["height"], facts["width"])
    low = _new_array(task.out / "low.npy", shape)
    row = {number: index for index, number in enumerate(wanted)}
    for frame in read_rung(task.inputs["rung"] / "rung.mp4"):
        if frame.number in row:
            low[row[frame.number]] = frame.y
    low.flush()


def cores(threads: int) -> int:
    """Threads to use: those asked for, or 0 for all that this process may have."""
    return threads or usable_cores()
