"""Runs a torch network over whole frames, rounded to u8 as the runtime rounds (plan format)."""

from __future__ import annotations

import torch

from overfit.networks import Expert, Interpolation
from overfit.training_data import to_domain, unshuffle
from overfit.video.frames import U8


def to_codes(values: torch.Tensor) -> U8:
    """Values in the networks' domain as u8 codes: clamp(floor(128 v + 128 + 0.5), 0, 255)."""
    codes: U8 = (values * 128 + 128.5).floor().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return codes


@torch.no_grad()
def upscale(expert: Expert, luma: U8, previous: U8, plate: U8 | None = None) -> U8:
    """HR luma u8 [s*h, s*w] of one frame.

    `luma` and `previous` are u8 [h, w]; `plate` is u8 [s*h, s*w], or None where there is none.
    """
    scale = expert.config.scale
    where = next(expert.parameters()).device
    planes = {"luma": to_domain(luma[None, None]), "previous": to_domain(previous[None, None])}
    if "plate" in expert.config.inputs:
        planes["plate"] = (
            torch.zeros(1, scale**2, *luma.shape)
            if plate is None
            else to_domain(unshuffle(plate, scale)[None])
        )
    inputs = {name: planes[name].to(where) for name in expert.config.inputs}
    return to_codes(expert(**inputs)[0, 0])


@torch.no_grad()
def interpolate(luma: U8, scale: int) -> U8:
    """HR luma u8 [s*h, s*w] of the interpolation alone."""
    return to_codes(Interpolation(scale)(to_domain(luma[None, None]))[0, 0])
