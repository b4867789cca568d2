"""Chooses the method by what it costs: short trials of each, quality against bytes and work.

    candidates ─► a short training each, equal in steps ─► PSNR, bytes of plans, multiply-adds
               ─► dB - price of the bytes ─► the best; among equals, the least work

The price of bytes is that of video: twice the bytes gain 1.5 dB (docs/benchmarks.md), so plans that
make a package a tenth larger must gain 0.2 dB. Longer trainings tell methods further apart than
trials do, above all in favour of several networks; what a trial cannot see is no reason to send
more bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kernels.errors import CrispcastError
from overfit.methods.awdnn import Awdnn
from overfit.methods.dydca import Dydca
from overfit.methods.interface import Method, find_difficulty, patch_means
from overfit.methods.jstdo import Jstdo
from overfit.methods.run import Run, run_method
from overfit.methods.scene import Scene
from overfit.methods.stdo import Stdo
from overfit.networks import NetworkConfig
from overfit.training_config import TrainingConfig

RATE_GAIN = 1.5
"""dB that twice the bytes gain."""
ALIKE = 0.02
"""dB that a trial cannot tell: then the least work decides."""
CANDIDATES: tuple[tuple[Method, int], ...] = (
    (Awdnn(), 1),
    (Stdo(), 2),
    (Jstdo(), 4),
    (Dydca(), 1),
)


@dataclass(frozen=True)
class Tried:
    """A candidate and what its trial gave. score: dB less the price of its bytes."""

    method: str
    chunks: int
    psnr_y: float
    bytes: int
    macs: float
    score: float


def choose_method(
    scene: Scene,
    network: NetworkConfig,
    training: TrainingConfig,
    other_bytes: int,
    candidates: Sequence[tuple[Method, int]] = CANDIDATES,
    on_progress: Callable[[float, float], None] | None = None,
) -> tuple[Tried, list[Tried]]:
    """The best candidate for a scene, and all that were tried.

    `training`: of each trial. `other_bytes`: what the package takes besides plans. `on_progress`
    gets the share that is done and a PSNR in dB. A candidate that a scene is too small for, or
    whose trial diverges, is not in the running. Raises CrispcastError where none is left.
    """
    brief = replace(training, steps=max(1, training.steps // 2))
    difficulty = find_difficulty(scene, network.units, brief, fine=True)
    tried = []
    for done, (method, chunks) in enumerate(candidates):
        ranks = difficulty if method.fine else patch_means(difficulty)
        try:
            run = run_method(method, scene, network, training, chunks, difficulty=ranks)
        except CrispcastError:
            continue  # it diverged, there are too few patches, or no blocks to leave out
        tried.append(_tried(method, chunks, run, other_bytes))
        if on_progress is not None:
            on_progress((done + 1) / len(candidates), run.psnr_y)
    if not tried:
        raise CrispcastError("no method suits this video: choose one with --method, or none")
    return best_of(tried), tried


def best_of(tried: Sequence[Tried]) -> Tried:
    """The highest score; among those that a trial cannot tell from it, the least work."""
    highest = max(each.score for each in tried)
    near = [each for each in tried if each.score >= highest - ALIKE]
    return min(near, key=lambda each: (each.macs, -each.score))


def _tried(method: Method, chunks: int, run: Run, other_bytes: int) -> Tried:
    price = RATE_GAIN * math.log2(1 + run.bytes / max(1, other_bytes))
    return Tried(method.name, chunks, run.psnr_y, run.bytes, run.macs, run.psnr_y - price)
