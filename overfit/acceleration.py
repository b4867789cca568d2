"""Steps of training in less time, where the processor has the means: bfloat16, compiled steps.

    planes (fp32) ─► features: convolutions in bfloat16 ─(+)─► HR, loss (fp32)
    luma ──────────── bicubic, fp32 ─────────────────────^     weights, moments, masks: fp32

Mixed precision as in Micikevicius et al. 2018 (arXiv 1710.03740), with bfloat16, which has the
range of fp32 and wants no scaling of the loss (Kalamkar et al. 2019, arXiv 1905.12322). Its eight
bits are of the detail that a network adds, not of the picture. Once weights and values are rounded
to what a plan holds, steps are of fp32 again, so that what is learned is what will be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import torch

from overfit.networks import Expert

COMPILED_FROM = 10_000
"""Steps: short trainings would be over while they are compiled."""


@dataclass(frozen=True)
class Acceleration:
    """mixed: convolutions multiply bfloat16. compiled: steps go through torch's compiler."""

    mixed: bool = False
    compiled: bool = False


def acceleration_of(device: torch.device, steps: int) -> Acceleration:
    """What pays on a device in a training of so many steps.

    A GPU gets both, where it has bfloat16, torch a compiler for it, and the training is long; a CPU
    that multiplies bfloat16 (AVX-512 BF16, AMX) mixed steps, which take half the time there; others
    neither, as they would only imitate it.
    """
    if device.type == "cuda":
        return Acceleration(
            mixed=torch.cuda.is_bf16_supported(including_emulation=False),
            compiled=steps >= COMPILED_FROM and find_spec("triton") is not None,
        )
    # Older versions of torch do not say.
    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return Acceleration(mixed=bool(found.get("avx512_bf16") or found.get("amx_bf16")))


def accelerate(network: Expert, device: torch.device, how: Acceleration) -> None:
    """From now on the features of `network` are computed so; `relax` takes it back."""
    plain = network.features
    if how.compiled:
        # What is chosen by lot, paths and modulations, is compiled once each.
        plain = torch.compile(plain, dynamic=False)

    def features(planes: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=how.mixed):
            return plain(planes)

    if how.mixed or how.compiled:
        vars(network)["features"] = features


def relax(network: Expert) -> None:
    """Plain steps of fp32 from now on."""
    vars(network).pop("features", None)
