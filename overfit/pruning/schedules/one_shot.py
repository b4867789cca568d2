"""One cut at the end of pruning: dense training before, retraining after it.

Han et al. 2015 (arXiv 1506.02626), without their iterations.
"""

from __future__ import annotations

from overfit.pruning.schedules.contract import Schedule


class OneShot(Schedule):
    """Nothing happens before the end."""

    def after_update(self, share: float, *, due: bool) -> None:
        """Weights stay dense."""
