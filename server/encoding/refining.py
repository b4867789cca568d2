"""The job that refines plates once experts read them.

plates, experts ─► refined: the plates job's files, those of still cameras refined
"""

import shutil
from collections import Counter
from collections.abc import Mapping

from kernels.errors import CrispcastError
from overfit.methods import Division
from overfit.methods.plans import decoded
from overfit.networks import Expert, NetworkConfig, expert_of
from overfit.plates import PlateConfig
from overfit.refinement import RefinementConfig, Refiner
from server.encoding.assembly import plan_of
from server.encoding.graph import Json, Task, job_function
from server.encoding.jobs import cores, read_json, write_json
from server.encoding.learning_jobs import COMPILES, LEARNS, subject
from server.encoding.plate_files import read_plate, write_plate


@job_function(
    *LEARNS,
    *COMPILES,
    "overfit.avif",
    "overfit.metrics",
    "overfit.plates",
    "overfit.refinement",
    "server.encoding.assembly",
    "server.encoding.learning_jobs",
)
def refine_plates(task: Task) -> None:
    """→ plates.json and SHA256.avif, as the `plates` job leaves them."""
    config = task.config
    folder = task.inputs["plates"]
    facts = read_json(folder / "plates.json")
    for file in folder.glob("*.avif"):
        shutil.copy(file, task.out)
    alone = _alone(facts) if config["rounds"] else []
    refiner = _refiner(task) if alone else None
    if refiner is not None:
        coding = PlateConfig(quality=config["quality"])
        for done, index in enumerate(alone):
            files = facts["files"][index]
            task.report(done / len(alone))
            found = refiner.refine(
                index,
                read_plate(folder, files, *refiner.size),
                coding,
                checkpoint=task.checkpoint / f"{index}.pt",
            )
            if found is not None:
                for file in files:
                    (task.out / file["name"]).unlink()
                facts["files"][index] = write_plate(task.out, found)
    write_json(task.out / "plates.json", facts)


def _refiner(task: Task) -> Refiner | None:
    """What refines the plates of this video; None where its experts are no whole networks."""
    config = task.config
    scene, network = subject(task)
    division = Division.load(task.inputs.get("experts", task.inputs["chunks"]))
    numbers = division.experts()
    try:
        experts = _experts(network, {n: plan_of(task.inputs, n) for n in numbers})
    except CrispcastError:  # a whole layer has been pruned away
        return None
    settings = RefinementConfig(
        rounds=config["rounds"], seed=config["seed"], threads=cores(config["threads"])
    )
    return Refiner(scene, division, experts, settings)


def _experts(network: NetworkConfig, plans: Mapping[int, bytes]) -> dict[int, Expert]:
    """Networks with the weights of these plans, by the same numbers."""
    found = {}
    for number, plan in zip(plans, decoded(list(plans.values())), strict=True):
        found[number] = expert_of(plan, network)
    return found


def _alone(facts: Json) -> list[int]:
    """The plates of still cameras that share no piece with another."""
    shared = Counter(file["name"] for files in facts["files"] for file in files)
    return [
        index
        for index, (files, canvas) in enumerate(zip(facts["files"], facts["canvases"], strict=True))
        if canvas is None and all(shared[file["name"]] == 1 for file in files)
    ]
