"""The job that colours plates. Luma is all that experts learn of, so none of them waits for it.

source, rung ─► frames of each plate, as they come ─► which chroma pays
plates ───────────────────┘
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from overfit.chroma import ChromaConfig, Coloured, Key, make_chroma
from overfit.plates import PlateConfig, promise, spread
from overfit.video import Frame, pad, read_frames, read_rung
from overfit.video.frames import U8
from server.encoding.graph import Task, job_function
from server.encoding.jobs import cores, load_info, read_json, write_json
from server.encoding.plate_files import read_plate

_TRIED = 5
"""Frames of each plate that are mended to see what is saved, as `make_plates` tries its pieces."""


@job_function(
    "client_sdk.contract.bounds",
    "client_sdk.contract.plain_files",
    "client_sdk.contract.plate",
    "client_sdk.contract.rung_mp4",
    "kernels",
    "overfit.avif",
    "overfit.chroma",
    "overfit.inference",
    "overfit.networks.interpolation",
    "overfit.plate_pieces",
    "overfit.plates",
    "overfit.training_data",
    "overfit.video",
    "server.encoding.plate_files",
)
def find_chroma(task: Task) -> None:
    """→ 0.avif … and chroma.json: the tolerance, and which piece of a plate has which."""
    made = make_chroma(
        _plates(task), task.config["scale"], ChromaConfig(), cores(task.config["threads"])
    )
    files = []
    for number, ((region, sha256), data) in enumerate(made.pieces.items() if made else ()):
        name = f"{number}.avif"
        (task.out / name).write_bytes(data)
        files.append({"region": region, "sha256": sha256, "name": name})
    facts = {"tolerance": made.tolerance if made else None, "files": files}
    write_json(task.out / "chroma.json", facts)


def chroma_of(folder: Path) -> tuple[int | None, dict[Key, bytes]]:
    """What the job left: the tolerance, and AVIF by piece."""
    facts = read_json(folder / "chroma.json")
    files = {
        (tuple(file["region"]), file["sha256"]): (folder / file["name"]).read_bytes()
        for file in facts["files"]
    }
    return facts["tolerance"], files


@dataclass
class _Wanted:
    """A plate and the frames to see of it, by number; filled as they come."""

    files: list[dict[str, Any]]
    frames: int
    samples: list[int]
    tried: list[int]
    seen: list[U8] = field(default_factory=list)
    truth: list[U8] = field(default_factory=list)
    low: list[U8] = field(default_factory=list)
    luma: list[U8] = field(default_factory=list)
    low_luma: list[U8] = field(default_factory=list)

    @property
    def last(self) -> int:
        return max(self.samples[-1], self.tried[-1])

    def add(self, frame: Frame, low: Frame, scale: int) -> None:
        height, width = low.u.shape
        u, v = (pad(plane, scale * height, scale * width) for plane in (frame.u, frame.v))
        if frame.number in self.samples:
            self.seen.append(np.stack([u, v]))
        if frame.number in self.tried:
            self.truth.append(np.stack([u, v]))
            self.low.append(np.stack([low.u, low.v]))
            self.luma.append(pad(frame.y, 2 * scale * height, 2 * scale * width))
            self.low_luma.append(low.y)

    def done(self, folder: Path, scale: int, bytes_per_frame: float) -> Coloured:
        """All that is known of it; `folder` is that of the plates."""
        height, width = self.luma[0].shape
        luma = read_plate(folder, self.files, width, height).luma
        numbers = range(len(self.luma))
        left = promise(np.stack(self.luma), np.stack(self.low_luma), scale, numbers, luma).left
        return Coloured(
            tuple((tuple(file["region"]), Path(file["name"]).stem) for file in self.files),
            np.stack(self.seen),
            np.stack(self.truth),
            np.stack(self.low),
            left,
            self.frames,
            bytes_per_frame * self.frames,
        )


def _plates(task: Task) -> Iterator[Coloured]:
    """Each plate as soon as the last frame that is wanted of it has come."""
    info = load_info(task.inputs["probe"], task.inputs["source"])
    scale, rung = task.config["scale"], task.inputs["rung"]
    bytes_per_frame = read_json(rung / "rung.json")["bytes"] / info.frames
    waiting = _wanted(task, info.frames)
    decoded = read_rung(rung / "rung.mp4")
    for frame, low in zip(read_frames(info.path, info), decoded, strict=False):
        for plate in list(waiting):
            plate.add(frame, low, scale)
            if frame.number == plate.last:
                waiting.remove(plate)
                yield plate.done(task.inputs["plates"], scale, bytes_per_frame)
        if not waiting:
            return
        task.report(frame.number / info.frames)


def _wanted(task: Task, frames: int) -> list[_Wanted]:
    """The plates that are no canvases, and what to see of each."""
    starts: list[int] = read_json(task.inputs["segments"] / "starts.json")
    kept: list[int] = read_json(task.inputs["truth"] / "frames.json")["segments"]
    facts = read_json(task.inputs["plates"] / "plates.json")
    ends = [*starts[1:], frames]
    found = []
    for index, (files, canvas) in enumerate(zip(facts["files"], facts["canvases"], strict=True)):
        segments = [kept[n] for n, plate in enumerate(facts["of_segment"]) if plate == index]
        numbers = [number for n in segments for number in range(starts[n], ends[n])]
        if canvas is not None or not numbers:
            continue
        samples, tried = (
            [numbers[n] for n in spread(0, len(numbers), count)]
            for count in (PlateConfig().samples, _TRIED)
        )
        found.append(_Wanted(files, len(numbers), samples, tried))
    return found
