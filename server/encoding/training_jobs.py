"""The jobs that learn: chunks, plates, experts, and the trial of what they are worth.

They work on the *training segments*: all segments, or in a long video some that are evenly spread.
A segment that was left out takes the map and the plate of the nearest one that was not.
"""

import itertools
import shutil
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client_sdk.contract import Grid, open_package
from client_sdk.contract.plate import compose, decode_plate
from kernels.compiler import decode_plan
from kernels.errors import CrispcastError
from kernels.plan import PlanIR
from kernels.runtime import Canvas
from overfit.canvas import CanvasConfig, CanvasShot, make_canvases
from overfit.chunking import (
    Segment,
    choose_patch_size,
    chunk_by_quantile,
    chunk_samples,
    patch_errors,
    patch_psnr,
)
from overfit.networks import Expert, NetworkConfig
from overfit.package import write_package
from overfit.plates import PlateConfig, make_plates, shot_motion, stillness
from overfit.plates import Plates as MadePlates
from overfit.pruning import DENSE, PruningConfig
from overfit.training import DivergedError, Trained, TrainingConfig, train
from overfit.training_data import Int, TrainingData, previous_frames
from overfit.trial import try_experts
from overfit.video.frames import U8
from server.encoding.assembly import assemble
from server.encoding.experts import base_for, choose_plan
from server.encoding.graph import Task, job_function
from server.encoding.jobs import cores, load_info, read_json, write_json

_LEARNS = (
    "overfit.adam",
    "overfit.chunking",
    "overfit.inference",
    "overfit.networks",
    "overfit.pruning",
    "overfit.training",
    "overfit.training_data",
)
_COMPILES = (
    "kernels.bases",
    "kernels.compiler",
    "kernels.graph",
    "kernels.plan",
    "kernels.range_coder",
)

PLATE_BITS = 8
"""Of weights beside a plate: 5 lose 0.14 dB there and 0.002 elsewhere (docs/encoding.md)."""
DIFFICULTY_STEPS = 400
"""Steps of the joint network that finds how hard each patch is: brief, as only ranks matter."""


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

    @property
    def grid(self) -> Grid:
        """The patches of every frame."""
        height, width = self.low.shape[1:]
        return Grid(width, height, *choose_patch_size(width, height))

    def data(self, samples: Int, plates: "Plates | None" = None) -> TrainingData:
        """Training data for these samples, with plates where there are any."""
        starts = tuple(segment.start for segment in self.segments)
        previous = previous_frames(len(self.low), starts)
        if plates is None or not plates.pictures:
            return TrainingData(self.low, self.truth, self.scale, previous, samples)
        plate_of = np.repeat(
            np.array(plates.of_segment, np.int32), [segment.frames for segment in self.segments]
        )
        return TrainingData(
            self.low,
            self.truth,
            self.scale,
            previous,
            samples,
            plates.pictures,
            plate_of,
            plates.views,
        )

    def everywhere(self) -> Int:
        """Samples of all patches of all frames."""
        rectangles = self.grid.rectangles()
        all_zero = np.zeros((len(self.segments), len(rectangles)), np.int32)
        return chunk_samples(all_zero, 0, self.segments, rectangles)


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
            lumas = []
            for file in files:
                data = (folder / file["name"]).read_bytes()
                lumas.append((file["region"], decode_plate(data, *file["region"][2:])))
            pictures.append(compose(lumas, width, height))
        views = np.zeros((len(footage.low), 8), np.int32)
        for segment, seen in zip(footage.segments, facts["views"], strict=False):
            if seen is not None:
                views[segment.start : segment.start + segment.frames] = seen
        return cls(tuple(pictures), tuple(facts["of_segment"]), views)


@job_function(*_LEARNS)
def find_chunks(task: Task) -> None:
    """→ chunks.npy: chunk of every patch, int32 [training segments, patches]; 0 is the hardest."""
    footage = Footage.of(task)
    count = task.config["chunks"]
    rectangles = footage.grid.rectangles()
    if count <= 1:
        # With one expert for all, there is nothing to find out.
        chunks = np.zeros((len(footage.segments), len(rectangles)), np.int32)
    else:
        data = footage.data(footage.everywhere())
        network = NetworkConfig(scale=footage.scale, units=task.config["units"], blocks=1)
        training = TrainingConfig(
            steps=min(DIFFICULTY_STEPS, task.config["steps"]),
            budget=task.config["budget"],
            pruning=DENSE,
            seed=task.config["seed"],
            threads=cores(task.config["threads"]),
        )
        expert: Expert | None
        try:
            expert = _trained(task, data, network, training, None).network
        except DivergedError:
            expert = None  # what is hard for interpolation will do
        errors = patch_errors(expert, data, footage.segments, rectangles)
        chunks = chunk_by_quantile(patch_psnr(errors), count)
    np.save(task.out / "chunks.npy", chunks)


def _trained(
    task: Task,
    data: TrainingData,
    network: NetworkConfig,
    training: TrainingConfig,
    base: PlanIR | None,
) -> Trained:
    """`train` with the checkpoint and the progress of a job."""
    return train(
        data,
        network,
        training,
        base=base,
        checkpoint=task.checkpoint / "state.pt",
        on_progress=lambda _, progress, psnr: task.report(progress, psnr),
    )


def shots_of(task: Task) -> list[tuple[int, int]]:
    """(start, stop) of each scene, in training frames."""
    facts = read_json(task.inputs["truth"] / "frames.json")
    starts = read_json(task.inputs["segments"] / "starts.json")
    cuts = read_json(task.inputs["segments"] / "shots.json")
    scenes = [bisect_right(cuts, starts[index]) for index in facts["segments"]]
    edges = np.cumsum([0, *facts["lengths"]]).tolist()
    begun = [n for n in range(len(scenes)) if n == 0 or scenes[n] != scenes[n - 1]]
    return list(itertools.pairwise([*(edges[n] for n in begun), edges[-1]]))


@job_function("overfit.plates", "overfit.plate_pieces", "overfit.inference")
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
    "overfit.plates",
    "overfit.plate_pieces",
    "overfit.canvas",
    "overfit.video",
    "kernels",
    "client_sdk.contract.plate",
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
    files = []
    for plate in plates:
        for piece in plate.pieces:
            (task.out / f"{piece.sha256}.avif").write_bytes(piece.data)
        files.append([{"name": f"{p.sha256}.avif", "region": p.region} for p in plate.pieces])
    still = len(made.plates)
    facts = {
        "files": files,
        "of_segment": [int(of_frame[segment.start]) for segment in footage.segments],
        "canvases": [None] * still + [p.luma.shape[::-1] for p in plates[still:]],
        "views": [views.get(segment.start) for segment in footage.segments],
    }
    write_json(task.out / "plates.json", facts)


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


@job_function(*_LEARNS, *_COMPILES)
def train_expert(task: Task) -> None:
    """→ expert.plan, expert.json (running PSNR in dB, density, steps); none if no patch is its."""
    config = task.config
    footage = Footage.of(task)
    plates = Plates.of(task.inputs["plates"], footage)
    chunks: Int = np.load(task.inputs["chunks"] / "chunks.npy")
    if config["chunk"] not in chunks:
        return  # a small video has fewer patches than were asked for in chunks
    samples = chunk_samples(chunks, config["chunk"], footage.segments, footage.grid.rectangles())
    network = NetworkConfig(
        scale=footage.scale,
        units=config["plate_units"] if plates.covered > 0.5 else config["units"],
        blocks=config["blocks"],
        inputs=("luma", "previous", "plate") if plates.pictures else ("luma", "previous"),
    )
    training = TrainingConfig(
        steps=config["steps"],
        budget=config["budget"],
        bits=PLATE_BITS if "plate" in network.inputs else TrainingConfig.bits,
        pruning=PruningConfig(**config["pruning"]),
        codes=config["precision"] == "int8",
        seed=config["seed"],
        threads=cores(config["threads"]),
    )
    base = base_for(network, config["pruning"]["density"], task.inputs)
    trained = _trained(
        task,
        footage.data(samples, plates),
        network,
        training if base is None else training.from_base(),
        None if base is None else decode_plan(base),
    )
    chosen = choose_plan(trained.network, trained.bits, base)
    (task.out / "expert.plan").write_bytes(chosen.wire)
    facts = {
        "psnr_y": trained.psnr_y,
        "density": trained.density,
        "form": chosen.form,
        "steps": trained.steps,
    }
    write_json(task.out / "expert.json", facts)


@job_function("client_sdk", "kernels", "overfit.trial", "overfit.measurement", "overfit.metrics")
def try_all(task: Task) -> None:
    """→ trial.json and trial.npz: every patch of every frame with its expert and without."""
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
    arrays = {}
    for index, trial in enumerate(trials):
        arrays[f"network-{index}"] = trial.network
        arrays[f"bicubic-{index}"] = trial.bicubic
        arrays[f"lanczos-{index}"] = trial.lanczos
    np.savez_compressed(task.out / "trial.npz", **arrays)  # type: ignore[arg-type]
    # The trial's package has served: what counts is in the arrays.
    shutil.rmtree(target)
