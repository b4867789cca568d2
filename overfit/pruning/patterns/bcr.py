"""Block column-row pruning: in each block of the weight matrix, whole columns and whole rows.

The weights [out, in x k x k] are cut into blocks; each loses columns (a tap for all of the block's
output channels) and rows (an output channel for all of the block's inputs), as many of each as
their scores say. GRIM (Niu et al. 2021, arXiv 2108.11033).

             4 input channels x 9 taps
            +---------------------------+
     8      | . x . . x . x . . x . . . |   x: weights that are left
   output   | . . . . . . . . . . . . . |   a row without is pruned,
  channels  | . x . . x . x . . x . . . |   and so is a column
            +---------------------------+
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from overfit.pruning.layout import Group, Tensors
from overfit.pruning.patterns.contract import Pattern, spread_blocks

ROWS = 8
INPUTS = 4
"""Output channels by input channels of a block."""


class BlockColumnRow(Pattern):
    """A weight counts as much as the weaker of its block's row and column that it lies in."""

    def scores(self, group: Group, weights: Sequence[torch.Tensor]) -> Tensors:
        return [torch.minimum(spread_blocks(w, ROWS), _rows(w)) for w in weights]


def _rows(weight: torch.Tensor) -> torch.Tensor:
    """Mean squares of the rows of blocks, in the shape of the weights."""
    out, inputs, height, width = weight.shape
    padded = F.pad(weight, (0, 0, 0, 0, 0, -inputs % INPUTS))
    means = padded.square().reshape(out, -1, INPUTS * height * width).mean(2)
    return means.repeat_interleave(INPUTS, 1)[:, :inputs, None, None].expand_as(weight)
