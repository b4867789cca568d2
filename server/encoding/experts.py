"""How an expert is sent: whole, as the difference to a base, or not at all.

    trained network --compile--> full plan --------------+--> the smaller, if it is much smaller
          base, if every client has it --> difference ---+
    trial: patches where interpolation is as near take expert 0; a plan nobody uses is not sent

What is left to decide here is the first half; the second is `overfit.trial` and `assembly`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kernels import bases
from kernels.compiler import base_id, compile_module, decode_plan
from kernels.errors import CrispcastError, PlanError
from kernels.plan import PlanIR
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
    """The wire plan of the first base among a job's inputs that is a start for `network`.

    The input `base` is one that was named, and must be. `density` is what pruning shall leave of
    the expert. Raises PlanError where a file is no plan, CrispcastError where one that was named
    is no start.
    """
    for name in sorted(name for name in inputs if name.split("-")[0] == "base"):
        wire = inputs[name].read_bytes()
        try:
            _check_start(network, density, decode_plan(wire))
        except CrispcastError as error:
            if name == "base":
                raise CrispcastError(f"base {inputs[name]}: {error}") from error
            continue
        return wire
    return None


def _check_start(network: NetworkConfig, density: float, base: PlanIR) -> None:
    """Raise CrispcastError where experts of this shape and density cannot begin at a base."""
    start_from(build(network), base)
    if base.density <= 0.9 * density:
        raise CrispcastError(
            f"{base.density:.0%} of the base's taps are left, and experts shall keep "
            f"{density:.0%}; choose a lower density or another base, or none"
        )


def with_fitting_base(rungs: Sequence[EncodeConfig]) -> list[EncodeConfig]:
    """The rungs of an encode, without a base that was named where it fits no expert of theirs.

    Raises CrispcastError where it fits none of any rung, or is no plan.
    """
    found, reasons = [], []
    for config in rungs:
        reason = _misfit(config) if config.experts and config.names_base else None
        reasons += [reason] if reason else []
        found.append(replace(config, base="none") if reason else config)
    if reasons and len(reasons) == sum(config.experts > 0 for config in rungs):
        raise CrispcastError(f"base {rungs[0].base}: {reasons[0]}")
    return found


def _misfit(config: EncodeConfig) -> str | None:
    """Why no expert of a rung can begin at the base that was named."""
    [path] = config.bases
    try:
        base = decode_plan(path.read_bytes())
    except PlanError as error:
        raise CrispcastError(f"base {path}: {error}") from error
    networks = _networks(config)
    # Of what does not fit, that with the base's inputs says best why.
    reason = None
    for network in sorted(networks, key=lambda network: network.inputs == base.inputs):
        try:
            _check_start(network, config.work.density, base)
        except CrispcastError as error:
            reason = str(error)
        else:
            return None
    return reason


def _networks(config: EncodeConfig) -> list[NetworkConfig]:
    """What the experts of a rung may be: which of them depends on the plates that are found."""
    work, plain, plated = config.work, ("luma", "previous"), ("luma", "previous", "plate")
    shapes: list[tuple[int, tuple[str, ...]]] = [(work.units, plain)]
    if config.plates == "auto":
        shapes += [(work.units, plated), (work.plate_units, plated)]
    return [
        NetworkConfig(config.scale or 2, units, blocks=work.blocks, inputs=inputs).shaped(
            config.network
        )
        for units, inputs in shapes
    ]


def check_pruning(config: EncodeConfig) -> None:
    """Raise CrispcastError where the pruning that was asked for fits no expert of this encode."""
    pruning, work = PruningConfig(**config.pruning), config.work  # type: ignore[arg-type]
    for units in {work.units, work.plate_units}:
        network = NetworkConfig(units=units, blocks=work.blocks).shaped(config.network)
        Pruner(build(network), pruning)
