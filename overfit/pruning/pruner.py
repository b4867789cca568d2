"""Prunes a network while it trains: the one thing that a trainer knows of pruning.

loss.backward(); pruner.before_update(progress); optimizer.step()
pruner.after_update(step, progress)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from overfit.pruning.config import PruningConfig
from overfit.pruning.schedules import schedule_of
from overfit.pruning.weights import PrunedWeights


class Pruner:
    """Runs a schedule between two points of the progress, and holds its masks from then on.

    The network's weights may become others until `on_begin` returns, which is called once, when
    pruning begins; from then on they must be the parameters that they were here. `loss`: what the
    network makes of a calibration batch, for allocations that measure; `bits`: what weights will be
    rounded to. Raises CrispcastError where the network does not fit.
    """

    def __init__(
        self,
        network: nn.Module,
        config: PruningConfig,
        *,
        on_begin: Callable[[], None] | None = None,
        loss: Callable[[], float] | None = None,
        bits: int = 5,
    ) -> None:
        self.config = config
        self._weights = None if config.dense else PrunedWeights(network, config)
        self._schedule = None if self._weights is None else schedule_of(self._weights)
        self._on_begin = on_begin
        self._loss = loss
        self._bits = bits
        self._begun = False
        self.done = config.dense
        """Whether the masks are what they will be."""

    def before_update(self, progress: float) -> None:
        """Call with gradients there and the optimiser's step to come."""
        if self._schedule is not None and self._begun and not self.done:
            self._schedule.before_update(self._share(progress))

    def after_update(self, step: int, progress: float) -> None:
        """Call after the optimiser's step; `step` updates are done, and `progress` of all."""
        if self._weights is None or self._schedule is None:
            return
        if self.done:
            self._weights.apply()
        elif progress >= self.config.end:
            self._begin()
            self._schedule.end()
            self.done = True
            self._weights.apply()
        elif progress > self.config.begin:
            self._begin()
            due = step % self.config.every == 0
            self._schedule.after_update(self._share(progress), due=due)

    def apply(self) -> None:
        """Zero the weights that are cut for good."""
        if self._weights is not None and self.done:
            self._weights.apply()

    def density(self) -> float:
        """Fraction of the weights of the prunable layers that are left."""
        return 1.0 if self._weights is None else self._weights.density()

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the network, for `restore`."""
        if self._weights is None or self._schedule is None:
            return {}
        return {
            "begun": self._begun,
            "done": self.done,
            "masks": self._weights.masks,
            "shares": self._weights.shares,
            "schedule": self._schedule.state() if self._begun and not self.done else {},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        if self._weights is None or self._schedule is None:
            return
        self._begun, self.done = state["begun"], state["done"]
        for name, mask in state["masks"].items():
            self._weights.masks[name].copy_(mask)
        self._weights.shares = state["shares"]
        if self._begun and not self.done:
            self._schedule.restore(state["schedule"])

    def _begin(self) -> None:
        if self._begun or self._weights is None or self._schedule is None:
            return
        self._begun = True
        if self._on_begin is not None:
            self._on_begin()
        if self._loss is not None:
            self._weights.measure(self._loss, self._bits)
        self._schedule.begin()

    def _share(self, progress: float) -> float:
        """0 to 1: how much of the pruning is done."""
        begin, end = self.config.begin, self.config.end
        return min(max((progress - begin) / (end - begin), 0.0), 1.0) if end > begin else 1.0
