"""Rounds the values between layers to 8-bit codes, so that processors can multiply bytes.

Passes values through until `settle` has chosen a step for it; from then on it rounds, and training
goes on around it. The gradient passes straight through the rounding (Bengio et al. 2013, arXiv
1308.3432) and stops where a value is cut off. docs/plan-format.md defines codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from kernels.plan import Codes, scale_values

_SAMPLES = 50_000
"""At most so many values of each call are watched."""

_OCTAVES = 6
"""How far below the largest value the step may cut off."""


class Rounding(nn.Module):
    """The identity, then rounding to `codes`. signed: whether values may be negative."""

    crispcast_op = "round"
    """Tells the plan compiler's importer to take this module as one operation."""

    def __init__(self, signed: bool) -> None:
        super().__init__()
        self.signed = signed
        self.codes: Codes | None = None
        self._seen: list[torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape."""
        if self._seen is not None:
            flat = x.detach().flatten()
            self._seen.append(flat[:: max(1, flat.numel() // _SAMPLES)].cpu())
        if self.codes is None:
            return x
        unit, low, high = _range(self.codes)
        inside = x.clamp(low * unit, high * unit)
        return inside + (torch.round(inside / unit) * unit - inside).detach()

    def settle(self) -> None:
        """Choose the step of the least squared error on what was seen."""
        values = torch.cat(self._seen or [torch.zeros(1)])
        best: tuple[float, Codes] | None = None
        largest = float(values.abs().max().clamp_min(1e-6))
        grid = torch.from_numpy(scale_values())
        top = int(torch.searchsorted(grid, largest / (127 if self.signed else 255)))
        for place in range(max(0, top - 8 * _OCTAVES), min(top, 255) + 1):
            codes = Codes(place, self.signed)
            unit, low, high = _range(codes)
            rounded = torch.round(values / unit).clamp(low, high) * unit
            error = float((rounded - values).square().mean())
            if best is None or error < best[0]:
                best = error, codes
        assert best is not None
        self.codes = best[1]

    def get_extra_state(self) -> torch.Tensor:
        """The step, or -1, for checkpoints."""
        return torch.tensor(-1 if self.codes is None else self.codes.step)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Take up what `get_extra_state` gave."""
        self.codes = None if state < 0 else Codes(int(state), self.signed)


@contextmanager
def settling(network: nn.Module) -> Iterator[None]:
    """Within it, every `Rounding` of `network` watches; at its end, each chooses its step."""
    found = [module for module in network.modules() if isinstance(module, Rounding)]
    for module in found:
        module._seen = []
    yield
    for module in found:
        module.settle()
        module._seen = None


def _range(codes: Codes) -> tuple[float, int, int]:
    """What a step is worth, and the lowest and highest number of steps."""
    return float(codes.unit), -codes.zero, 255 - codes.zero
