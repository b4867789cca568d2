"""The contract of a schedule: what is done to weights and masks around each update.

    progress of the training   0 --- begin ======================= end ------------- 1
    share                             0 ------------------------- 1
    hooks                             begin, (before, after) ..., end     masks are held

From `end` on the masks are what was asked for, and weights that are cut are zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from overfit.pruning.weights import PrunedWeights

State = dict[str, dict[str, torch.Tensor]]


class Schedule(ABC):
    """How weights come down to the mask."""

    strength: float = 1.0
    """What `PruningConfig.strength` is where it is not set."""

    def __init__(self, weights: PrunedWeights) -> None:
        self.weights = weights
        if weights.config.strength is not None:
            self.strength = weights.config.strength

    @property
    def target(self) -> float:
        """The density at the end."""
        return self.weights.config.density

    def begin(self) -> None:  # noqa: B027, not all need it
        """Pruning begins; the weights are dense."""

    def before_update(self, share: float) -> None:  # noqa: B027
        """Gradients are there, the optimiser has not made its step yet."""

    @abstractmethod
    def after_update(self, share: float, *, due: bool) -> None:
        """The optimiser has made its step; `due`: it is time for new masks."""

    def end(self) -> None:
        """Pruning is over: leave the masks and the weights as they shall be."""
        self.weights.tighten(self.target)

    def state(self) -> State:
        """What a checkpoint must hold beside weights and masks, tensors by name by kind."""
        return {}

    def restore(self, state: State) -> None:  # noqa: B027
        """Take up what `state` gave."""
