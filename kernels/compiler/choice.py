"""How a layer's taps are stated: shared by blocks of 1, 4 or 8 channels, or all of them (dense).

The wire plan is the same for every processor, so what is smallest by `cost.relative`, the mean over
the instruction sets that plans are made for, is taken. Where two are nearly alike in time, the one
with fewer bytes is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.compiler.cost import relative
from kernels.plan import BLOCKS, Bool, Int8

_ALIKE = 1.03
"""Times that differ by less count as the same: the model is not better than that."""


@dataclass(frozen=True)
class Choice:
    """taps: bool [blocks, cin, k, k], shared by `block` output channels each."""

    block: int
    taps: Bool

    @property
    def dense(self) -> bool:
        """Whether no tap is missing."""
        return bool(self.taps.all())


def choose_taps(weights: Int8, block: int, *, coded: bool) -> Choice:
    """The statement of the taps of i8 [cout, cin, k, k]; `block` is what they were pruned by."""
    cout = len(weights)
    choices = [Choice(each, shared_taps(weights, each)) for each in BLOCKS]
    filled = np.ones_like(shared_taps(weights, block))
    choices.append(Choice(block, filled))
    times = [relative(choice.taps, choice.block, cout, coded=coded) for choice in choices]
    good = [c for c, t in zip(choices, times, strict=True) if t <= _ALIKE * min(times)]
    return min(good, key=lambda choice: (_bits(choice, weights), choice.block != block))


def shared_taps(weights: Int8, block: int) -> Bool:
    """bool [blocks, cin, k, k]: taps at which any channel of the block has a weight."""
    starts = range(0, len(weights), block)
    return np.array([(weights[start : start + block] != 0).any(axis=0) for start in starts])


def _bits(choice: Choice, weights: Int8) -> float:
    """About what the coder makes of the taps and of the weights under them."""
    present = np.repeat(choice.taps, choice.block, axis=0)[: len(weights)]
    zeros = int((weights[present] == 0).sum())
    under = int(present.sum())
    return _entropy(int(choice.taps.sum()), choice.taps.size) + _entropy(zeros, under)


def _entropy(count: int, total: int) -> float:
    """Bits that tell which `count` of `total` are meant."""
    if count in (0, total):
        return 0.0
    share = count / total
    return float(-total * (share * np.log2(share) + (1 - share) * np.log2(1 - share)))
