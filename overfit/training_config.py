"""How an expert is trained: the settings, and what they become from a base or with branches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from kernels.errors import CrispcastError
from overfit.pruning import PruningConfig


@dataclass(frozen=True)
class TrainingConfig:
    """How an expert is trained.

    steps: updates in all, at most. budget: seconds that they may take, at most. batch: windows an
    update. tile: side of a window in LR pixels without its halo (three of 96 cost as much as eight
    of 48, and teach half as much again). optimiser: Muon of kernels (`overfit.muon`), or Adam.
    learning_rate: at its highest; None is what is best for so many steps (`rate`). pruning: which
    weights survive, and how. round_begin: progress from which weights are rounded to `bits` and,
    with `codes`, the values between layers to 8. plate_dropout: fraction of windows shown without
    their plate. settled: dB within which an error must stay to count as converged
    (`overfit.convergence`); None is never. mixed: steps may multiply bfloat16, where the processor
    does.
    """

    steps: int = 3000
    budget: float | None = None
    batch: int = 3
    tile: int = 96
    optimiser: Literal["muon", "adam"] = "muon"
    learning_rate: float | None = None
    warmup: int = 100
    clip: float = 1.0
    loss: Literal["l1", "charbonnier", "l2"] = "l2"
    pruning: PruningConfig = field(default_factory=PruningConfig)
    round_begin: float = 0.85
    bits: int = 5
    codes: bool = True
    plate_dropout: float = 0.1
    settled: float | None = 0.02
    mixed: bool = True
    seed: int = 1
    threads: int = 2

    def __post_init__(self) -> None:
        if self.tile < 16:
            raise CrispcastError(f"tiles of {self.tile} pixels are mostly halo; choose 16 or more")
        if self.steps < 1 or self.batch < 1 or self.threads < 1:
            raise CrispcastError("steps, batch and threads must be at least 1")
        if self.budget is not None and not 0 < self.budget < math.inf:
            raise CrispcastError(f"a budget of {self.budget:g} s is no time to train in")
        if not self.pruning.end <= self.round_begin <= 1:
            raise CrispcastError("pruning ends, then rounding begins, as fractions of 1")
        if not 4 <= self.bits <= 8:
            raise CrispcastError(f"weights of {self.bits} bits are not supported; choose 4 to 8")
        if self.settled is not None and not 0 < self.settled < math.inf:
            raise CrispcastError(f"settled within {self.settled:g} dB: choose a number above 0")
        if not 0 <= self.plate_dropout <= 1:
            raise CrispcastError(f"plate dropout {self.plate_dropout:g} is not from 0 to 1")

    @property
    def rate(self) -> float:
        """The learning rate at its highest: of few steps each must be longer.

        Muon's best, within a tenth of a dB, on four clips is 4e-3 for some thousand steps, 6e-3
        for 600 and 1.6e-2 for 30 to 60; twice that ends trainings of wide networks badly. Adam's
        is what is safe for all networks; small ones gain by up to four times as much.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        if self.optimiser == "adam":
            return 2e-3
        shorter: float = (3000 / self.steps) ** (1 / 3)
        return 4e-3 * min(4.0, max(1.0, shorter))

    def from_base(self) -> TrainingConfig:
        """The same from a pruned base: its taps are kept, and rounding comes early."""
        pruning = replace(self.pruning, begin=0.0, end=0.01)
        return replace(self, pruning=pruning, warmup=20, round_begin=0.6)

    def with_branches(self) -> TrainingConfig:
        """The same with time for branches, which become one kernel where pruning begins."""
        begin = max(self.pruning.begin, min(0.35, self.pruning.end))
        return replace(self, pruning=replace(self.pruning, begin=begin))
