"""Schedules: how weights come down to the mask. One file each, behind `contract.Schedule`."""

from overfit.pruning.schedules.admm import Admm
from overfit.pruning.schedules.contract import Schedule, State
from overfit.pruning.schedules.cubic import Cubic, cubic_density
from overfit.pruning.schedules.grow import GrowAndPrune
from overfit.pruning.schedules.iss_p import SoftShrinkage
from overfit.pruning.schedules.one_shot import OneShot
from overfit.pruning.schedules.reweighted import Reweighted
from overfit.pruning.schedules.sr_ste import StraightThrough
from overfit.pruning.weights import PrunedWeights

__all__ = ["Schedule", "State", "cubic_density", "schedule_of"]

_SCHEDULES: dict[str, type[Schedule]] = {
    "cubic": Cubic,
    "one-shot": OneShot,
    "iss-p": SoftShrinkage,
    "sr-ste": StraightThrough,
    "admm": Admm,
    "reweighted": Reweighted,
    "grow": GrowAndPrune,
}


def schedule_of(weights: PrunedWeights) -> Schedule:
    """The schedule that the config of `weights` names."""
    return _SCHEDULES[weights.config.schedule](weights)
