"""When a training has nothing more to learn: its error on fixed batches stands still.

The batches are the same every time and not those of training, so what is left to see is the
network. Sky is learned in a moment, noise never; both are converged.
"""

from __future__ import annotations

import math
from typing import Any

_CHECKS = 20
"""In a training."""
_LEAST_STEPS = 50
"""Between two, so that checks cost a hundredth or two of a short training."""
_ALIKE = 4
"""So many errors in a row must be alike."""
_UNSEEN = (0.5 / 128) ** 2
"""Squared error of half a code value, 54 dB: pictures of 8 bits hardly show what is below."""
HASTE = 5
"""How many times as fast the rest of a converged training goes."""


class Convergence:
    """Watches the error of one training. `tolerance`: dB within which errors are alike.

    With None nothing ever converges.
    """

    def __init__(self, steps: int, tolerance: float | None) -> None:
        self._every = max(_LEAST_STEPS, steps // _CHECKS)
        self._tolerance = tolerance
        self._seen: list[float] = []
        self.reached = False
        """Whether it has converged."""

    def due(self, step: int) -> bool:
        """Whether an error is wanted after `step` updates."""
        return self._tolerance is not None and not self.reached and step % self._every == 0

    def see(self, error: float) -> None:
        """Take a mean squared error, in the networks' domain."""
        assert self._tolerance is not None
        self._seen = [*self._seen, 10 * math.log10(max(error, _UNSEEN))][-_ALIKE:]
        alike = max(self._seen) - min(self._seen) <= self._tolerance
        self.reached = len(self._seen) == _ALIKE and alike

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"seen": self._seen, "reached": self.reached}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self._seen, self.reached = list(state["seen"]), state["reached"]
