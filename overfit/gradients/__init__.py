"""Convolutions whose weights get their gradient from a kernel of our own, where that pays.

    planes, weights ──► torch's convolution ──► values
    planes ◄── torch's ── gradient of the values ── ours ──► weights, bias

On processors with AVX2 and no AVX-512, oneDNN takes two to three times as long for a gradient of
weights of so few channels as for the convolution: two fifths of a training step. Elsewhere torch's
own are as good, and stay. Sums are those of fp32 in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from overfit.gradients import _gradients


def pay() -> bool:
    """Whether this processor is one for which they are quicker."""
    # Older versions of torch do not say.
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    has_avx2 = bool(found.get("avx2") and found.get("fma3"))
    return _gradients.AVAILABLE and has_avx2 and not bool(found.get("avx512_f"))


def take(network: nn.Module) -> None:
    """From now on the convolutions of `network`, on the CPU, have them; `leave` ends it.

    What autocast computes in fewer bits stays torch's.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and _is_plain(layer):
            vars(layer)["forward"] = partial(_convolved, layer)


def leave(network: nn.Module) -> None:
    """Its convolutions are torch's again."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            vars(layer).pop("forward", None)


def _is_plain(layer: nn.Conv2d) -> bool:
    """Odd and square, with a sample for each sample; all of ours are."""
    side = layer.kernel_size[0]
    return (
        side % 2 == 1
        and layer.kernel_size == (side, side)
        and layer.padding == (side // 2, side // 2)
        and layer.padding_mode == "zeros"
        and layer.stride == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.bias is not None
    )


def _convolved(layer: nn.Conv2d, planes: torch.Tensor) -> torch.Tensor:
    """[N, in, h, w] -> [N, out, h, w]."""
    if torch.is_autocast_enabled("cpu"):
        return nn.Conv2d.forward(layer, planes)
    apply: Callable[..., torch.Tensor] = _Convolution.apply
    return apply(planes, layer.weight, layer.bias)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, planes: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(planes, weight)
        return functional.conv2d(planes, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        planes, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        of_planes = None
        if ctx.needs_input_grad[0]:
            of_planes = conv2d_input(  # type: ignore[no-untyped-call]
                planes.shape, weight, gradient, padding=weight.shape[-1] // 2
            )
        out, inputs, side, _ = weight.shape
        of_weight = np.empty((out, side, side, inputs), np.float32)
        of_bias = np.empty(out, np.float32)
        _gradients.weight_gradient(
            _together(planes), _together(gradient), torch.get_num_threads(), of_weight, of_bias
        )
        return (
            of_planes,
            torch.from_numpy(of_weight).permute(0, 3, 1, 2),
            torch.from_numpy(of_bias),
        )


def _together(planes: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """[N, c, h, w] as [N, h, w, c], copied where its channels do not lie together."""
    found: np.ndarray[Any, np.dtype[np.float32]] = (
        planes.detach().permute(0, 2, 3, 1).contiguous().numpy()
    )
    return found
