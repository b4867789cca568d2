"""The jobs before and after learning: what is trained on, plates, the trial of experts.

They work on the *training segments*: all segments, or in a long video some that are evenly spread.
A segment that was left out takes the map and the plate of the nearest one that was not.
"""

import itertools
import shutil
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client_sdk.contract import open_package
from client_sdk.contract.plate import decode_plate
from kernels.errors import CrispcastError
from kernels.runtime import Canvas
from overfit.canvas import CanvasConfig, CanvasShot, make_canvases
from overfit.chunking import Segment
from overfit.methods import Scene
from overfit.package import write_package
from overfit.plates import PlateConfig, make_plates, shot_motion, stillness
from overfit.plates import Plates as MadePlates
from overfit.training_data import Int
from overfit.trial import try_experts
from overfit.video.frames import U8
from server.encoding.assembly import assemble, save_trials
from server.encoding.graph import Task, job_function
from server.encoding.jobs import cores, load_info, read_json, write_json
from server.encoding.plate_files import read_plate, write_plate


@dataclass(frozen=True)
class Footage:
    """The training frames: LR u8 [T, h, w], HR u8 [T, H, W] (mapped, not read), their segments."""

    low: U8
    truth: U8
    segments: tuple[Segment, ...]
    scale: int

    @classmethod
    def of(cls, task: Task) -> "Footage":
        """What the `truth` and `low` jobs left."""
        # Copy-on-write: torch warns of arrays that it might not write to, and nothing is written.
        low: U8 = np.load(task.inputs["low"] / "low.npy", mmap_mode="c")
        truth: U8 = np.load(task.inputs["truth"] / "truth.npy", mmap_mode="c")
        lengths = read_json(task.inputs["truth"] / "frames.json")["lengths"]
        starts = np.cumsum([0, *lengths[:-1]]).tolist()
        segments = tuple(Segment(s, n) for s, n in zip(starts, lengths, strict=True))
        return cls(low, truth, segments, truth.shape[1] // low.shape[1])

    def scene(self, plates: "Plates | None" = None) -> Scene:
        """What methods work on, with plates where there are any."""
        scene = Scene.of(self.low, self.truth, self.segments)
        if plates is None or not plates.pictures:
            return scene
        plate_of = np.repeat(
            np.array(plates.of_segment, np.int32), [segment.frames for segment in self.segments]
        )
        return replace(scene, plates=plates.pictures, plate_of=plate_of, views=plates.views)


@dataclass(frozen=True)
class Plates:
    """Plates u8 [H, W] and canvases, for each training segment the index of its own or −1, views.

    `views`: int32 [T, 8] of the training frames, zeros where there is no canvas.
    """

    pictures: tuple[U8 | Canvas, ...]
    of_segment: tuple[int, ...]
    views: Int

    @property
    def covered(self) -> float:
        """Share of the training segments that have a plate: more units gain only without one."""
        return sum(index >= 0 for index in self.of_segment) / max(1, len(self.of_segment))

    @classmethod
    def of(cls, folder: Path, footage: Footage) -> "Plates":
        """What the `plates` job left."""
        facts = read_json(folder / "plates.json")
        height, width = footage.truth.shape[1:]
        pictures: list[U8 | Canvas] = []
        for files, canvas in zip(facts["files"], facts["canvases"], strict=True):
            if canvas is not None:
                data = (folder / files[0]["name"]).read_bytes()
                pictures.append(Canvas(decode_plate(data, *canvas)))
                continue
            pictures.append(read_plate(folder, files, width, height).luma)
        views = np.zeros((len(footage.low), 8), np.int32)
        for segment, seen in zip(footage.segments, facts["views"], strict=False):
            if seen is not None:
                views[segment.start : segment.start + segment.frames] = seen
        return cls(tuple(pictures), tuple(facts["of_segment"]), views)


def shots_of(task: Task) -> list[tuple[int, int]]:
    """(start, stop) of each scene, in training frames."""
    facts = read_json(task.inputs["truth"] / "frames.json")
    starts = read_json(task.inputs["segments"] / "starts.json")
    cuts = read_json(task.inputs["segments"] / "shots.json")
    scenes = [bisect_right(cuts, starts[index]) for index in facts["segments"]]
    edges = np.cumsum([0, *facts["lengths"]]).tolist()
    begun = [n for n in range(len(scenes)) if n == 0 or scenes[n] != scenes[n - 1]]
    return list(itertools.pairwise([*(edges[n] for n in begun), edges[-1]]))


@job_function(
    "overfit.inference",
    "overfit.networks.interpolation",
    "overfit.plate_pieces",
    "overfit.plates",
    "overfit.training_data",
)
def find_still(task: Task) -> None:
    """→ still.json: of each shot its frames, its camera's motion, and if plates suit it.

    The rung is not there yet, so the LR is taken as it is before coding, which promises plates
    least.
    """
    truth: U8 = np.load(task.inputs["truth"] / "truth.npy", mmap_mode="c")
    scale, config = task.config["scale"], PlateConfig()
    shots = []
    for start, stop in shots_of(task):
        motion = shot_motion(truth, scale, start, stop, config)
        still = motion <= config.still and (
            stillness(truth, scale, start, stop, config) >= config.least_gain
        )
        # JSON has no infinity.
        shots.append({"start": start, "stop": stop, "motion": min(motion, 1e9), "still": still})
    write_json(task.out / "still.json", shots)


@job_function(
    "client_sdk.contract.bounds",
    "client_sdk.contract.patch_map",
    "client_sdk.contract.plate",
    "kernels",
    "overfit.avif",
    "overfit.canvas",
    "overfit.chunking",
    "overfit.inference",
    "overfit.methods.scene",
    "overfit.networks.interpolation",
    "overfit.plate_pieces",
    "overfit.plates",
    "overfit.training_data",
    "overfit.video",
    "server.encoding.plate_files",
)
def find_plates(task: Task) -> None:
    """→ SHA256.avif and plates.json: plates in pieces, which segment has which, canvases, views."""
    footage = Footage.of(task)
    if task.config["plates"] == "off":
        nothing: dict[str, list[int]] = {"files": [], "of_segment": [], "canvases": [], "views": []}
        write_json(task.out / "plates.json", nothing)
        return
    shots = read_json(task.inputs["still"] / "still.json")
    video_bytes = read_json(task.inputs["rung"] / "rung.json")["bytes"]
    made = make_plates(
        footage.truth,
        footage.low,
        footage.scale,
        [(shot["start"], shot["stop"]) for shot in shots],
        [shot["motion"] for shot in shots],
        PlateConfig(quality=task.config["quality"]),
        video_bytes=video_bytes,
    )
    plates = list(made.plates)
    of_frame = made.of_frames(len(footage.low))
    views: dict[int, list[list[int]]] = {}
    for canvas in _canvases(task, footage, made, video_bytes):
        if canvas.plate is None or canvas.views is None:
            continue
        of_frame[canvas.start : canvas.stop] = len(plates)
        plates.append(canvas.plate)
        for segment in footage.segments:
            if canvas.start <= segment.start < canvas.stop:
                first = segment.start - canvas.start
                views[segment.start] = canvas.views[first : first + segment.frames].tolist()
    files = [write_plate(task.out, plate) for plate in plates]
    still = len(made.plates)
    facts = {
        "files": files,
        "of_segment": [int(of_frame[segment.start]) for segment in footage.segments],
        "canvases": [None] * still + [p.luma.shape[::-1] for p in plates[still:]],
        "views": [views.get(segment.start) for segment in footage.segments],
    }
    write_json(task.out / "plates.json", facts)


@job_function()
def still_plates(task: Task) -> None:
    """→ the files of a `plates` job without its canvases, for a rung that has no bytes for them."""
    folder = task.inputs["plates"]
    facts = read_json(folder / "plates.json")
    kept = [index for index, canvas in enumerate(facts["canvases"]) if canvas is None]
    files = [facts["files"][index] for index in kept]
    for name in {file["name"] for pieces in files for file in pieces}:
        shutil.copy(folder / name, task.out)
    number = {index: place for place, index in enumerate(kept)}
    still = {
        "files": files,
        "of_segment": [number.get(index, -1) for index in facts["of_segment"]],
        "canvases": [None] * len(kept),
        "views": [None] * len(facts["views"]),
    }
    write_json(task.out / "plates.json", still)


def _canvases(
    task: Task, footage: Footage, made: MadePlates, video_bytes: int
) -> Iterator[CanvasShot]:
    """What becomes of the shots whose camera moves."""
    if task.config["canvas"] == "off":
        return
    config = PlateConfig(quality=task.config["quality"])
    starts = [segment.start for segment in footage.segments]
    moving = [shot for shot in made.shots if shot.plate < 0 and shot.motion > config.still]
    for done, shot in enumerate(moving):
        task.report(done / len(moving))
        yield from make_canvases(
            footage.truth,
            footage.low,
            footage.scale,
            (shot.start, shot.stop),
            starts,
            CanvasConfig(),
            config,
            video_bytes=video_bytes,
        )


@job_function(
    "client_sdk",
    "kernels",
    "overfit.chunking",
    "overfit.measurement",
    "overfit.methods",
    "overfit.metrics",
    "overfit.package",
    "overfit.trial",
    "overfit.video",
    "server.encoding.assembly",
    "server.encoding.chroma_job",
)
def try_all(task: Task) -> None:
    """→ trial.npz: which patches pay for their expert, and every frame's error with that."""
    info = load_info(task.inputs["probe"], task.inputs["source"])
    target = task.out / "trial.crisp"
    write_package(target, assemble(task.inputs, task.config, trials=None))
    package = open_package(target, verify=False)
    trials = try_experts(
        package,
        info,
        cores(task.config["threads"]),
        lambda done, frames, psnr: task.report(done / frames, psnr),
    )
    if len(trials) != len(package.manifest.segments):
        raise CrispcastError(f"{info.path} changed while it was encoded; encode it again")
    save_trials(task.out, trials)
    # The trial's package has served: what counts is in the arrays.
    shutil.rmtree(target)
