"""Patterns: which weights live or die together. One file each, behind `contract.Pattern`."""

from overfit.pruning.config import PruningConfig
from overfit.pruning.patterns.bcr import BlockColumnRow
from overfit.pruning.patterns.channels import Channels
from overfit.pruning.patterns.contract import Pattern
from overfit.pruning.patterns.kernels import KernelPatterns
from overfit.pruning.patterns.n_of_m import NOfM
from overfit.pruning.patterns.regrouped import Regrouped
from overfit.pruning.patterns.taps import BLOCK, Taps
from overfit.pruning.patterns.unstructured import Unstructured

__all__ = ["BLOCK", "Pattern", "pattern_of"]

_PATTERNS: dict[str, type[Pattern]] = {
    "taps": Taps,
    "unstructured": Unstructured,
    "bcr": BlockColumnRow,
    "n:m": NOfM,
    "kernels": KernelPatterns,
    "channels": Channels,
    "regrouped": Regrouped,
}


def pattern_of(config: PruningConfig) -> Pattern:
    """The pattern that the config names."""
    return _PATTERNS[config.pattern](config)
