"""A whole method on a scene, measured: for benchmarks, trials and tests.

scene, network, training ─► difficulty ─► divide ─► train ─► plans ─► Made ─► errors ─► Run
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from overfit.chunking import patch_errors, patch_psnr
from overfit.chunking.difficulty import F64
from overfit.methods.interface import Method, Outcome, find_difficulty
from overfit.methods.plans import decoded, family_plans
from overfit.methods.scene import Scene
from overfit.networks import NetworkConfig
from overfit.training_config import TrainingConfig


@dataclass(frozen=True)
class Made:
    """What a method made.

    plans: wire plans in the order of the experts. macs: multiply-adds for an LR pixel, the mean
    over the picture.
    """

    outcome: Outcome
    plans: tuple[bytes, ...]
    macs: float

    @property
    def bytes(self) -> int:
        """Of all plans together."""
        return sum(map(len, self.plans))


@dataclass(frozen=True)
class Run(Made):
    """What a method made, and how good it is.

    errors: mean squared error [segments, patches] or [segments, quarters] over sampled frames, in
    squared code values. psnr_y: in dB, of their mean.
    """

    errors: F64
    psnr_y: float


def run_method(
    method: Method,
    scene: Scene,
    network: NetworkConfig,
    training: TrainingConfig,
    chunks: int = 1,
    *,
    difficulty: F64 | None = None,
    frames_per_segment: int = 3,
) -> Run:
    """`make_by`, measured by `frames_per_segment` frames of each segment."""
    made = make_by(method, scene, network, training, chunks, difficulty=difficulty)
    errors = _errors(scene, made.outcome, frames_per_segment)
    psnr_y = float(patch_psnr(np.array(errors.mean())))
    return Run(made.outcome, made.plans, made.macs, errors, psnr_y)


def make_by(
    method: Method,
    scene: Scene,
    network: NetworkConfig,
    training: TrainingConfig,
    chunks: int = 1,
    *,
    difficulty: F64 | None = None,
) -> Made:
    """Divide, train, compile. `training` has the steps of all experts together.

    `difficulty` is found, in extra steps, where the method needs it and none is given: see
    `find_difficulty`. Raises CrispcastError as the method's steps do.
    """
    method.check(scene, chunks)
    needed = method.ranked and (chunks > 1 or method.fine)
    if difficulty is None and needed:
        difficulty = find_difficulty(scene, network.units, training, fine=method.fine)
    division = method.divide(scene, chunks, difficulty)
    trainings = method.trainings(chunks)
    seconds = None if training.budget is None else training.budget / trainings
    each = replace(training, steps=max(1, training.steps // trainings), budget=seconds)
    experts = list(range(method.experts(chunks)))
    outcome = method.train(scene, division, experts, network, each)
    plans = (
        family_plans(outcome.experts, outcome.bits)
        if method.together
        else [family_plans([expert], outcome.bits)[0] for expert in outcome.experts]
    )
    macs = [plan.multiplications for plan in decoded(plans)]
    share = [outcome.division.share(expert) for expert in experts]
    return Made(outcome, tuple(plans), float(np.dot(macs, share)))


def _errors(scene: Scene, outcome: Outcome, frames: int) -> F64:
    owner = outcome.division.expert_of
    boxes = scene.grid.rectangles() if owner.ndim == 2 else scene.quarters
    owner = owner.reshape(len(owner), -1)
    data = scene.data_of(scene.everything, 0)
    errors = np.zeros(owner.shape)
    for index, expert in enumerate(outcome.experts):
        rows = np.flatnonzero((owner == index).any(axis=1))
        segments = [scene.segments[row] for row in rows]
        found = patch_errors(expert, data, segments, boxes, frames)
        errors[rows] = np.where(owner[rows] == index, found, errors[rows])
    return errors
