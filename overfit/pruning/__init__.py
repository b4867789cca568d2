"""Pruning while training: which weights of an expert survive, and how they come to.

Two choices that do not depend on each other, a pattern and a schedule, and a third, the allocation
of what is left to the layers; `PruningConfig` holds them, a trainer calls a `Pruner`.
"""

from overfit.pruning.config import (
    ALLOCATIONS,
    DENSE,
    PATTERNS,
    SCHEDULES,
    UNIFORM_ONLY,
    PruningConfig,
)
from overfit.pruning.patterns import BLOCK
from overfit.pruning.pruner import Pruner
from overfit.pruning.quantise import begin_rounding, end_rounding, quantise
from overfit.pruning.weights import PrunedWeights

__all__ = [
    "ALLOCATIONS",
    "BLOCK",
    "DENSE",
    "PATTERNS",
    "PrunedWeights",
    "Pruner",
    "PruningConfig",
    "SCHEDULES",
    "UNIFORM_ONLY",
    "begin_rounding",
    "end_rounding",
    "quantise",
]
