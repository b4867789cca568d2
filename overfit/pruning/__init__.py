"""Pruning while training: which taps of an expert survive."""

from overfit.pruning.quantise import begin_rounding, end_rounding, quantise
from overfit.pruning.taps import BLOCK, TapPruner, cubic_density

__all__ = [
    "BLOCK",
    "TapPruner",
    "begin_rounding",
    "cubic_density",
    "end_rounding",
    "quantise",
]
