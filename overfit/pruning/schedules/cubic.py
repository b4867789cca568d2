"""Gradual magnitude pruning by the cubic law: fast while there is redundancy, slow near the end.

Zhu and Gupta, "To prune, or not to prune" (2017, arXiv 1710.01878, eq. 1). The default.
"""

from __future__ import annotations

from overfit.pruning.schedules.contract import Schedule


def cubic_density(share: float, target: float) -> float:
    """Fraction that is left at `share` of the pruning: 1 at 0, `target` at 1."""
    return target + (1 - target) * (1 - share) ** 3


class Cubic(Schedule):
    """What was cut stays cut; from time to time more is."""

    def after_update(self, share: float, *, due: bool) -> None:
        self.weights.apply()
        if due:
            self.weights.tighten(cubic_density(share, self.target))
