"""Experts with the weights of a plan: of a base to start at, or just what computes as it does."""

from __future__ import annotations

import torch
from torch import nn

from kernels.errors import CrispcastError
from kernels.plan import PlanIR
from overfit.networks.build import build
from overfit.networks.config import NetworkConfig
from overfit.networks.expert import Expert


def expert_of(plan: PlanIR, network: NetworkConfig) -> Expert:
    """What computes as a plan does, in floats: its layers may have lost channels by pruning.

    `network` is what the plan was trained as. Raises CrispcastError where the plan has other
    inputs, another scale, or other layers, as where all of a layer has been pruned away.
    """
    expert = build(network)
    layers = [module for module in expert.modules() if isinstance(module, nn.Conv2d)]
    kernels = [layer.weight.shape[2:] for layer in layers]
    found = [numbers.weights.shape[2:] for numbers in plan.numbers]
    if (plan.scale, plan.inputs, found) != (network.scale, network.inputs, kernels):
        raise CrispcastError(
            f"a plan for scale {plan.scale}, {' + '.join(plan.inputs)} and {len(found)} layers "
            f"is no {network.kind} for scale {network.scale}, {' + '.join(network.inputs)} and "
            f"{len(kernels)} layers"
        )
    for layer, numbers in zip(layers, plan.numbers, strict=True):
        weight = torch.from_numpy(numbers.dequantised())
        layer.weight = nn.Parameter(weight, requires_grad=False)
        layer.bias = nn.Parameter(torch.from_numpy(numbers.bias.astype("float32")), False)
    return expert.eval()


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
