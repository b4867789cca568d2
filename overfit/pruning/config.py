"""How an expert is pruned: what is cut together, how it is brought about, and where."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kernels.errors import CrispcastError

PATTERNS = ("taps", "unstructured", "bcr", "n:m", "kernels", "channels", "regrouped")
SCHEDULES = ("cubic", "one-shot", "iss-p", "sr-ste", "admm", "reweighted", "grow")
ALLOCATIONS = ("ranked", "uniform", "erk", "rate-distortion")
UNIFORM_ONLY = ("n:m", "kernels", "channels")
"""Patterns that say themselves how much of a layer is left, so that all layers have the same."""
KERNEL_ENTRIES = 4
"""Entries of a 3x3 kernel that the pattern `kernels` leaves at most."""


@dataclass(frozen=True)
class PruningConfig:
    """Three choices that do not depend on each other, how much is left, and when.

    `pattern`: which weights live or die together; `schedule`: how weights come down to the mask;
    `allocation`: how much of each layer is left; None is ranked, and uniform where the pattern
    leaves no choice. `density` is the fraction of the weights between
    the first and the last layer that survive; 1 is no pruning. `begin` and `end` are the progress
    of the training between which it happens, `every` how many updates lie between two new masks
    (some schedules have one an update). `group` is the m of n:m. `strength` is how hard a schedule
    pushes, where it does; None is its own default.
    """

    pattern: str = "taps"
    schedule: str = "cubic"
    allocation: str | None = None
    density: float = 0.25
    begin: float = 0.1
    end: float = 0.6
    every: int = 20
    group: int = 4
    strength: float | None = None

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("pattern", self.pattern, PATTERNS),
            ("schedule", self.schedule, SCHEDULES),
            ("allocation", self.allots, ALLOCATIONS),
        ):
            if value not in choices:
                raise CrispcastError(f"{what} {value!r} is unknown; choose {', '.join(choices)}")
        if not 0 < self.density <= 1:
            raise CrispcastError(
                f"density {self.density:g} is not above 0 and up to 1, which prunes nothing"
            )
        if not 0 <= self.begin <= self.end <= 1:
            raise CrispcastError(
                f"pruning from {self.begin:g} to {self.end:g}: choose fractions of the training, "
                "the first not above the second"
            )
        if self.every < 1:
            raise CrispcastError(f"new masks every {self.every} updates: choose 1 or more")
        if self.strength is not None and not 0 < self.strength < math.inf:
            raise CrispcastError(f"strength {self.strength:g}: choose a number above 0")
        if self.dense:
            return
        if self.pattern in UNIFORM_ONLY and self.allots != "uniform":
            raise CrispcastError(
                f"pattern {self.pattern} leaves the same of every layer; choose allocation uniform"
            )
        if self.pattern == "n:m":
            self._check_group()
        if self.pattern == "kernels" and self.density > KERNEL_ENTRIES / 9:
            raise CrispcastError(
                f"pattern kernels leaves {KERNEL_ENTRIES} of 9 entries at most: choose a density "
                f"up to {KERNEL_ENTRIES / 9:.3f}, not {self.density:g}"
            )

    def _check_group(self) -> None:
        if not 2 <= self.group <= 64:
            raise CrispcastError(f"groups of {self.group} weights: choose 2 to 64 for n:m")
        kept = self.density * self.group
        if abs(kept - round(kept)) > 1e-6 or round(kept) < 1:
            raise CrispcastError(
                f"density {self.density:g} is no whole number of every {self.group} weights; for "
                f"n:{self.group} choose a multiple of {1 / self.group:g}"
            )

    @property
    def allots(self) -> str:
        """The allocation, with None resolved."""
        if self.allocation is None:
            return "uniform" if self.pattern in UNIFORM_ONLY else "ranked"
        return self.allocation

    @property
    def dense(self) -> bool:
        """Whether nothing is pruned."""
        return self.density == 1


DENSE = PruningConfig(density=1.0)
"""No pruning."""
