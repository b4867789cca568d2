"""Puts the weights of a base into an expert, which then needs a fraction of the training."""

from __future__ import annotations

import torch
from torch import nn

from kernels.errors import CrispcastError
from kernels.plan import PlanIR
from overfit.networks.expert import Expert


def start_from(expert: Expert, base: PlanIR) -> None:
    """Give `expert` the weights and biases of `base`, layer by layer.

    Raises CrispcastError where the base has another scale, other inputs or layers.
    """
    layers = [module for module in expert.modules() if isinstance(module, nn.Conv2d)]
    shapes = [tuple(layer.weight.shape) for layer in layers]
    found = [numbers.weights.shape for numbers in base.numbers]
    config = expert.config
    if (base.scale, base.inputs, found) != (config.scale, config.inputs, shapes):
        raise CrispcastError(
            f"the base is for scale {base.scale}, {' + '.join(base.inputs)} and "
            f"{len(found)} layers of {[shape[0] for shape in found]} channels, the network for "
            f"scale {config.scale}, {' + '.join(config.inputs)} and "
            f"{[shape[0] for shape in shapes]}; train another base, or use none"
        )
    with torch.no_grad():
        for layer, numbers in zip(layers, base.numbers, strict=True):
            assert layer.bias is not None
            layer.weight.copy_(torch.from_numpy(numbers.dequantised()))
            layer.bias.copy_(torch.from_numpy(numbers.bias.astype("float32")))
