"""A trained gate: which path a patch takes, by what its LR pixels look like.

    LR patch ─► features ─► 8 hidden units ─► p, how likely it takes the deep path
    loss = sum of p·(error deep + price) + (1 - p)·error shallow

The errors are measured, the price is what makes the deep path as rare as it was meant to be. Only
decoded LR is looked at, so a gate can judge frames that nobody trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from overfit.adam import Adam
from overfit.chunking.difficulty import F64, Rectangle, sampled
from overfit.methods.scene import Scene
from overfit.video.frames import U8

_STEPS = 200
_RATE = 0.05
_FRAMES = 3


@dataclass(frozen=True)
class Gate:
    """A small network over features that are scaled by `mean` and `spread`, both [features]."""

    network: nn.Module
    mean: F64
    spread: F64

    @torch.no_grad()
    def deep(self, scene: Scene) -> NDArray[np.bool_]:
        """Which quarters take the deep path, bool [segments, quarters]."""
        found = features(scene)
        logits = self.network(_scaled(found, self.mean, self.spread))
        return np.asarray((logits[..., 0] > 0).numpy(), np.bool_)


def features(scene: Scene) -> F64:
    """What is seen of each quarter, [segments, quarters, 5]: logarithms of its

    contrast, edges along x and along y, fine detail, and change since the frame before.
    """
    rows = []
    for segment in scene.segments:
        frames = sampled(segment, _FRAMES)
        each = [_of_frame(scene, number, segment.start) for number in frames]
        rows.append(np.mean(each, axis=0))
    return np.stack(rows)


def train_gate(scene: Scene, errors: F64, deep_share: float, seed: int) -> Gate:
    """A gate for measured squared errors [segments, quarters, 2] of the deep and shallow path.

    `deep_share`: the part of the quarters that shall take the deep path, about.
    """
    found = features(scene)
    mean = found.mean((0, 1))
    spread = np.maximum(found.std((0, 1)), 1e-6)
    saved = errors[..., 1] - errors[..., 0]
    price = max(float(np.quantile(saved, 1 - deep_share)), 0.0)
    # In units of what a quarter saves, so that the rate suits every video.
    gain = torch.from_numpy((saved - price) / max(float(np.abs(saved - price).mean()), 1e-9))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(found.shape[-1], 8), nn.Tanh(), nn.Linear(8, 1)).double()
    inputs = _scaled(found, mean, spread)
    optimizer = Adam(network.parameters())
    for _ in range(_STEPS):
        network.zero_grad()
        torch.autograd.backward(-(torch.sigmoid(network(inputs)[..., 0]) * gain).mean())
        optimizer.step(_RATE)
    return Gate(network.requires_grad_(False), mean, spread)


def _scaled(found: F64, mean: F64, spread: F64) -> torch.Tensor:
    return torch.from_numpy((found - mean) / spread)


def _of_frame(scene: Scene, number: int, first: int) -> F64:
    luma = _float(scene.lr[number])
    along_x = np.abs(np.diff(luma, axis=1, append=luma[:, -1:]))
    along_y = np.abs(np.diff(luma, axis=0, append=luma[-1:]))
    fine = np.abs(np.diff(along_x, axis=0, append=along_x[-1:]))
    change = np.abs(luma - _float(scene.lr[max(number - 1, first)]))
    return np.array([_of_box(luma, (along_x, along_y, fine, change), b) for b in scene.quarters])


def _of_box(luma: F64, maps: tuple[F64, ...], box: Rectangle) -> list[float]:
    x, y, w, h = box
    here = (slice(y, y + h), slice(x, x + w))
    seen = [float(luma[here].std()), *(float(each[here].mean()) for each in maps)]
    return [float(np.log(value + 0.5)) for value in seen]


def _float(luma: U8) -> F64:
    return np.asarray(luma, np.float64)
