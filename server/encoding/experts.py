"""How an expert is sent: whole, as the difference to a base, or not at all.

    trained network --compile--> full plan --------------+--> the smaller, if it is much smaller
          base, if every client has it --> difference ---+
    trial: patches where interpolation is as near take expert 0; a plan nobody uses is not sent

What is left to decide here is the first half; the second is `overfit.trial` and `assembly`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kernels import bases
from kernels.compiler import base_id, compile_module, decode_plan
from kernels.errors import CrispcastError
from overfit.networks import Expert, NetworkConfig, build, start_from
from overfit.pruning import Pruner, PruningConfig
from server.encoding.config import EncodeConfig

LEAST_SAVING = 0.1
"""Share of a plan's bytes that a difference must save: a client without the base gets nothing."""


@dataclass(frozen=True)
class ChosenPlan:
    """The wire plan of an expert, and which of its two forms it is."""

    wire: bytes
    form: Literal["full", "difference"]


def choose_plan(network: Expert, bits: int, base: bytes | None) -> ChosenPlan:
    """The form that costs a viewer less; a difference only to a base that every client has.

    `bits`: what the weights of `network` were rounded to.
    """
    scale = network.config.scale
    full = compile_module(network, scale, bits)
    if base is None or not is_shipped(base):
        return ChosenPlan(full, "full")
    difference = compile_module(network, scale, bits, base=base)
    if len(difference) > (1 - LEAST_SAVING) * len(full):
        return ChosenPlan(full, "full")
    return ChosenPlan(difference, "difference")


def is_shipped(base: bytes | None) -> bool:
    """Whether every client has this base."""
    return base is not None and bases.find(base_id(base)) is not None


def base_for(network: NetworkConfig, density: float, inputs: Mapping[str, Path]) -> bytes | None:
    """The wire plan of the first base among a job's inputs whose layers are those of `network`.

    A base that was pruned further than the expert shall be is no start for it. Raises PlanError
    where a file is no plan.
    """
    expert = build(network)
    for name in sorted(name for name in inputs if name.startswith("base-")):
        wire = inputs[name].read_bytes()
        base = decode_plan(wire)
        try:
            start_from(expert, base)
        except CrispcastError:
            continue
        if base.density > 0.9 * density:
            return wire
    return None


def check_pruning(config: EncodeConfig) -> None:
    """Raise CrispcastError where the pruning that was asked for fits no expert of this encode."""
    pruning, work = PruningConfig(**config.pruning), config.work  # type: ignore[arg-type]
    for units in {work.units, work.plate_units}:
        network = NetworkConfig(units=units, blocks=work.blocks).shaped(config.network)
        Pruner(build(network), pruning)
