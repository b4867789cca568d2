"""A method: who upscales which patch, and how those experts are trained.

    Scene ─► difficulty ─► divide ─► Division ─► train ─► Outcome: networks, plans, final Division

Each method is one file with one class. What it makes are ordinary experts and a patch map, so
packages, server and client know nothing of methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kernels.errors import CrispcastError
from kernels.plan import PlanIR
from overfit.chunking import patch_errors, patch_psnr
from overfit.chunking.difficulty import F64
from overfit.methods.scene import Division, Scene
from overfit.networks import Expert, NetworkConfig, Sharing
from overfit.pruning import DENSE
from overfit.training import DivergedError, OnStep, Trained, train
from overfit.training_config import TrainingConfig

DIFFICULTY_STEPS = 400
"""Steps of the joint network that finds how hard each patch is: brief, as only ranks matter."""


@dataclass(frozen=True)
class Outcome:
    """Trained experts in the order of `experts`, and what became of the division.

    `trained` are the trainings that were run; of experts that share a network there is one. `note`
    is a sentence for people where something did not go as it was meant, else empty.
    """

    experts: tuple[Expert, ...]
    trained: tuple[Trained, ...]
    division: Division
    note: str = ""

    @property
    def bits(self) -> int:
        """What weights were rounded to."""
        return self.trained[0].bits


class Method(ABC):
    """A chunker and a trainer. A subclass gives `name` and `divide`; the rest has defaults.

    `ranked`: it needs to know how hard patches are. `fine`: of their quarters. `together`: its
    experts share one network and one training. `chunked`: a number of chunks may be asked for.
    """

    name: str
    ranked: bool = False
    fine: bool = False
    together: bool = False
    chunked: bool = True

    def experts(self, chunks: int) -> int:
        """How many experts there are for so many chunks."""
        return chunks

    def trainings(self, chunks: int) -> int:
        """How many trainings share the steps."""
        return 1 if self.together else self.experts(chunks)

    def effort(self, expert: int, experts: int) -> float:
        """An expert's steps, and seconds, by the mean of all experts that are trained alone."""
        return 1.0

    def check(self, scene: Scene, chunks: int) -> None:
        """Refuse, before any training, a number of chunks that the scene does not have.

        Raises CrispcastError.
        """
        patches = len(scene.segments) * len(scene.grid.rectangles())
        if chunks < 1:
            raise CrispcastError("there must be at least one chunk")
        if chunks > patches:
            raise CrispcastError(
                f"{chunks} chunks of {patches} patches: choose at most {max(1, patches // 2)}"
            )
        if chunks > 1 and patches < 2 * chunks:
            raise CrispcastError(
                f"{chunks} chunks of {patches} patches would leave chunks of one patch: choose at "
                f"most {max(1, patches // 2)}"
            )

    def most(self, scene: Scene) -> int:
        """The most chunks that `check` lets pass."""
        return max(1, len(scene.segments) * len(scene.grid.rectangles()) // 2)

    @abstractmethod
    def divide(self, scene: Scene, chunks: int, difficulty: F64 | None) -> Division:
        """The chunker. `difficulty`: PSNR in dB [segments, patches(, 4)] if the method is ranked.

        Raises CrispcastError where `check` does.
        """

    def sharing(self, network: NetworkConfig, chunks: int) -> Sharing | None:
        """What experts share; None where each has a network of its own."""
        return None

    def settle(self, scene: Scene, outcome: Outcome, config: TrainingConfig) -> Outcome:
        """What becomes of a whole training: a method may divide anew by what its experts give."""
        return outcome

    def train(
        self,
        scene: Scene,
        division: Division,
        experts: Sequence[int],
        network: NetworkConfig,
        config: TrainingConfig,
        *,
        base: PlanIR | None = None,
        checkpoint: Path | None = None,
        on_progress: OnStep | None = None,
    ) -> Outcome:
        """The trainer: of those `experts` of a division, all of them where they share a network.

        `config` has the steps of one training, the mean of all where `effort` differs. Other
        arguments and errors are those of `overfit.training.train`.
        """
        shared = self.sharing(network, len(experts)) if self.together else None
        datas = [scene.data_of(division, expert) for expert in experts]
        options = {"base": base, "checkpoint": checkpoint, "on_progress": on_progress}
        if shared is not None:
            trained = train(datas, network, config, sharing=shared, **options)  # type: ignore[arg-type]
            parts = [shared.part(trained.network, index) for index in range(len(experts))]
            return self.settle(scene, Outcome(tuple(parts), (trained,), division), config)
        if checkpoint is not None and len(datas) > 1:
            raise CrispcastError("a checkpoint is of one training: train experts one by one")
        count = int(division.expert_of.max()) + 1
        each = [
            train(data, network, _times(config, self.effort(expert, count)), **options)  # type: ignore[arg-type]
            for expert, data in zip(experts, datas, strict=True)
        ]
        return Outcome(tuple(found.network for found in each), tuple(each), division)


def _times(config: TrainingConfig, share: float) -> TrainingConfig:
    budget = None if config.budget is None else config.budget * share
    return replace(config, steps=max(1, round(config.steps * share)), budget=budget)


def find_difficulty(
    scene: Scene,
    units: int,
    config: TrainingConfig,
    *,
    fine: bool = False,
    checkpoint: Path | None = None,
    on_progress: OnStep | None = None,
) -> F64:
    """How hard patches are: PSNR in dB [segments, patches], or [segments, patches, 4] if `fine`.

    Asks one small network that is trained on everything, for `config.steps` up to
    DIFFICULTY_STEPS; interpolation, should that diverge.
    """
    data = scene.data_of(scene.everything, 0)
    plain = replace(data, plates=(), plate_of=None, views=None)
    network = NetworkConfig(scale=scene.scale, units=units, blocks=1)
    brief = replace(config, steps=min(DIFFICULTY_STEPS, config.steps), pruning=DENSE)
    expert: Expert | None
    try:
        found = train(plain, network, brief, checkpoint=checkpoint, on_progress=on_progress)
        expert = found.network
    except DivergedError:
        expert = None  # what is hard for interpolation will do
    boxes = scene.quarters if fine else scene.grid.rectangles()
    psnr = patch_psnr(patch_errors(expert, plain, scene.segments, boxes))
    return psnr.reshape(len(psnr), -1, 4) if fine else psnr


def patch_means(difficulty: F64) -> F64:
    """PSNR of whole patches, [segments, patches], from that of their quarters [..., 4]."""
    errors = 10 ** (-difficulty / 10)
    return np.asarray(-10 * np.log10(errors.mean(axis=2)))
