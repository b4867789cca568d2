"""The papers' training, and what trainings cost.

STDO's released settings (CVPR 2023, arXiv 2303.08331): 50 epochs over all LR patches of 48x54,
batches of 16, Adam, L1, cosine to nearly 0, from 1e-3 for WDSR and from 1e-4 for other networks.
Here windows have true pixels around the patch, which only helps; they are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from overfit.methods import Scene
from overfit.networks import NetworkConfig, build
from overfit.pruning import DENSE
from overfit.training_config import TrainingConfig

EPOCHS, BATCH = 50, 16
_RATE, _RATE_WDSR = 1e-4, 1e-3
_SMALLEST_TILE = 16
_FLOPS = 6
"""Of a step, for each weight and pixel: multiplication and addition, once forward, twice back."""


def patches_in(scene: Scene) -> int:
    """LR patches of all frames."""
    return len(scene.lr) * len(scene.grid.rectangles())


def recipe(network: NetworkConfig, patches: int, threads: int) -> TrainingConfig:
    """The papers' training on so many patches."""
    return TrainingConfig(
        steps=math.ceil(EPOCHS * patches / BATCH),
        batch=BATCH,
        tile=_SMALLEST_TILE,  # smaller than a patch, which is then the window
        optimiser="adam",
        learning_rate=_RATE_WDSR if network.kind == "wdsr" else _RATE,
        warmup=1,
        clip=1e9,  # none
        loss="l1",
        pruning=DENSE,
        round_begin=1.0,
        bits=8,
        codes=False,
        settled=None,
        threads=threads,
    )


def weights_of(network: NetworkConfig) -> int:
    """Of all convolutions, dense: multiplications an LR pixel."""
    with torch.random.fork_rng(devices=[]):
        layers = build(network).modules()
    return sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Conv2d))


def flops(
    scene: Scene, network: NetworkConfig, training: TrainingConfig, *, of_recipe: bool
) -> float:
    """Of a whole training of a dense network; windows with their halo, but for the recipe's."""
    halo = 0 if of_recipe else 2 * network.radius
    height, width = scene.lr.shape[1:]
    wide, tall = (max(training.tile, side) + halo for side in scene.patch)
    area = min(wide, width) * min(tall, height)
    return float(_FLOPS * weights_of(network) * area * training.batch * training.steps)


def recipe_flops(weights: int, width: int, height: int, frames: int) -> float:
    """The recipe's on an LR video, by its definition: every LR pixel in every epoch."""
    return float(_FLOPS * weights * width * height * frames * EPOCHS)


def cost_of(wanted: float, ladder: Sequence[tuple[float, float]]) -> float | None:
    """FLOPs at which a ladder of (FLOPs, dB) reaches so many dB; None where it never does.

    Read off a line over their logarithm between two rungs; the first rung is the least.
    """
    ordered = sorted(ladder)
    for place, (cost, quality) in enumerate(ordered):
        if quality < wanted:
            continue
        if place == 0:
            return cost
        before, low = ordered[place - 1]
        return float(before * (cost / before) ** ((wanted - low) / (quality - low)))
    return None
