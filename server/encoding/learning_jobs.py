"""The jobs that train: how hard patches are, the division, experts, and the choice of a method.

truth, low ─► chunks ──┬─► expert-0 … k      methods whose experts have networks of their own
plates ────────────────┴─► experts           those whose experts share one
"""

from dataclasses import asdict, replace

import numpy as np

from kernels.compiler import decode_plan
from overfit.methods import Division, Outcome, Scene, choose_method, find_method
from overfit.methods.interface import find_difficulty
from overfit.methods.plans import family_plans
from overfit.networks import NetworkConfig
from overfit.pruning import PruningConfig
from overfit.training import OnStep
from overfit.training_config import TrainingConfig
from server.encoding.experts import base_for, choose_plan, is_shipped
from server.encoding.graph import Task, job_function
from server.encoding.jobs import cores, read_json, write_json
from server.encoding.training_jobs import Footage, Plates

LEARNS = (
    "client_sdk.contract.bounds",
    "client_sdk.contract.patch_map",
    "client_sdk.contract.plate",
    "kernels.runtime",
    "overfit.acceleration",
    "overfit.adam",
    "overfit.checkpoint",
    "overfit.chunking",
    "overfit.convergence",
    "overfit.gradients",
    "overfit.inference",
    "overfit.methods",
    "overfit.muon",
    "overfit.networks",
    "overfit.plate_pieces",
    "overfit.pruning",
    "overfit.training",
    "overfit.training_config",
    "overfit.training_data",
    "server.encoding.plate_files",
    "server.encoding.training_jobs",
)
COMPILES = (
    "kernels.bases",
    "kernels.compiler",
    "kernels.graph",
    "kernels.plan",
    "kernels.range_coder",
)

PLATE_BITS = 8
"""Of weights beside a plate: 5 lose 0.14 dB there and 0.002 elsewhere (docs/encoding.md)."""
TRIAL_SHARE = 0.1
"""Of an encode's steps, for each candidate that `auto` tries."""
TRIAL_STEPS = (40, 600)
"""At least and at most."""


@job_function(*LEARNS, *COMPILES)
def find_chunks(task: Task) -> None:
    """→ chunks.npy, and taught.npy where not all patches are trained on: see `Division`.

    Refuses a number of chunks that was asked for and that the video does not have.
    """
    config = task.config
    scene = Footage.of(task).scene()
    method = find_method(config["method"])
    chunks = config["chunks"] if config["asked"] else min(config["chunks"], method.most(scene))
    method.check(scene, chunks)
    difficulty = None
    if method.ranked and (chunks > 1 or method.fine):
        training = TrainingConfig(
            steps=config["steps"],
            budget=config["budget"],
            seed=config["seed"],
            threads=cores(config["threads"]),
        )
        difficulty = find_difficulty(
            scene,
            config["units"],
            training,
            fine=method.fine,
            checkpoint=task.checkpoint / "state.pt",
            on_progress=_progress(task),
        )
    method.divide(scene, chunks, difficulty).save(task.out)


@job_function(*LEARNS, *COMPILES, "server.encoding.experts")
def train_expert(task: Task) -> None:
    """→ expert.plan, expert.json (running PSNR in dB, density, steps); none if no patch is its."""
    division = Division.load(task.inputs["chunks"])
    if task.config["chunk"] not in division.experts():
        return  # a small video has fewer patches than the preset has chunks
    outcome, base = _train(task, division, [task.config["chunk"]])
    chosen = choose_plan(outcome.experts[0], outcome.bits, base)
    (task.out / "expert.plan").write_bytes(chosen.wire)
    write_json(task.out / "expert.json", {**_facts(outcome), "form": chosen.form})


@job_function(*LEARNS, *COMPILES, "server.encoding.experts")
def train_experts(task: Task) -> None:
    """→ expert-0.plan … of experts that share a network, their division anew, experts.json."""
    division = Division.load(task.inputs["chunks"])
    outcome, base = _train(task, division, division.experts())
    plans = family_plans(outcome.experts, outcome.bits, base if is_shipped(base) else None)
    for index, wire in zip(division.experts(), plans, strict=True):
        (task.out / f"expert-{index}.plan").write_bytes(wire)
    outcome.division.save(task.out)
    write_json(task.out / "experts.json", {**_facts(outcome), "note": outcome.note})


def _train(task: Task, division: Division, experts: list[int]) -> tuple[Outcome, bytes | None]:
    """Train these experts as a job does; the base that they began at."""
    config = task.config
    scene, network = subject(task)
    training = _training(task, network)
    base = base_for(network, config["pruning"]["density"], task.inputs)
    if base is not None:
        training = training.from_base()
    elif network.branches:
        training = training.with_branches()
    outcome = find_method(config["method"]).train(
        scene,
        division,
        experts,
        network,
        training,
        base=None if base is None else decode_plan(base),
        checkpoint=task.checkpoint / "state.pt",
        on_progress=_progress(task),
    )
    return outcome, base


def subject(task: Task) -> tuple[Scene, NetworkConfig]:
    """What experts are trained on, and their shape."""
    config = task.config
    footage = Footage.of(task)
    plates = Plates.of(task.inputs["plates"], footage)
    network = NetworkConfig(
        scale=footage.scale,
        units=config["plate_units"] if plates.covered > 0.5 else config["units"],
        blocks=config["blocks"],
        inputs=("luma", "previous", "plate") if plates.pictures else ("luma", "previous"),
    )
    return footage.scene(plates), network.shaped(config["network"])


def _training(task: Task, network: NetworkConfig) -> TrainingConfig:
    """How a network of this shape is trained, from random weights and without branches."""
    config = task.config
    return TrainingConfig(
        steps=config["steps"],
        budget=config["budget"],
        bits=PLATE_BITS if "plate" in network.inputs else TrainingConfig.bits,
        pruning=PruningConfig(**config["pruning"]),
        codes=config["precision"] == "int8",
        seed=config["seed"],
        threads=cores(config["threads"]),
    )


def _facts(outcome: Outcome) -> dict[str, float]:
    trained = outcome.trained[0]
    return {"psnr_y": trained.psnr_y, "density": trained.density, "steps": trained.steps}


def _progress(task: Task) -> OnStep:
    return lambda _, progress, psnr: task.report(progress, psnr)


@job_function(*LEARNS, *COMPILES)
def try_methods(task: Task) -> None:
    """→ method.json: the method that `auto` chooses, its chunks, and what each trial gave."""
    config = task.config
    scene, network = subject(task)
    steps = int(np.clip(TRIAL_SHARE * config["steps"], *TRIAL_STEPS))
    training = replace(
        _training(task, network),
        steps=min(steps, config["steps"]),
        budget=None if config["budget"] is None else config["budget"] / 10,
    )
    best, tried = choose_method(
        scene,
        network,
        training,
        read_json(task.inputs["rung"] / "rung.json")["bytes"] + _plate_bytes(task),
        on_progress=task.report,
    )
    write_json(task.out / "method.json", {**asdict(best), "tried": [asdict(t) for t in tried]})


def _plate_bytes(task: Task) -> int:
    return sum(file.stat().st_size for file in task.inputs["plates"].glob("*.avif"))


def check_network(method: str, name: str, blocks: int) -> None:
    """Refuse a network that is unknown or that the method cannot train.

    Raises CrispcastError.
    """
    network = NetworkConfig(blocks=blocks).shaped(name)
    if method not in ("none", "auto"):
        find_method(method).sharing(network, 2)
