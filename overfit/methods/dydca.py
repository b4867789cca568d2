"""Dy-DCA: coarse and fine patches, and paths of different depth through one network.

Source: "Data Overfitting for On-Device Super-Resolution with Dynamic Algorithm and Compiler
Co-Design" (ECCV 2024, arXiv 2407.02813). A patch at or under a threshold of difficulty is split
into four; hard parts take the deep path, the rest the shallow one.

    difficulty ─► threshold ─► split, routes ─► training of both paths ─► gate ─► routes

The paper's threshold is 40 dB, of clean LR; of decoded LR it is what `deep_share` of the picture
are under. The paper sends all four quarters down the deep path; here a quarter that is above the
threshold stays on the shallow one. The gate (gate.py) is trained on what both paths gain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kernels.errors import CrispcastError
from overfit.chunking import patch_errors
from overfit.chunking.difficulty import F64
from overfit.methods.gate import Gate, train_gate
from overfit.methods.interface import Method, Outcome, patch_means
from overfit.methods.scene import Division, Scene
from overfit.networks import NetworkConfig, Paths, Sharing
from overfit.training_config import TrainingConfig

DEEP, SHALLOW = 0, 1


@dataclass(frozen=True)
class Dydca(Method):
    """Two paths. deep_share: the part of the picture that the deep one gets, 0 to 1.

    gated: whether a trained gate has the last word, or the threshold.
    """

    deep_share: float = 0.35
    gated: bool = True

    name = "dydca"
    ranked = True
    fine = True
    together = True
    chunked = False

    def __post_init__(self) -> None:
        if not 0 < self.deep_share < 1:
            raise CrispcastError(
                f"a share of {self.deep_share:g} for the deep path: choose above 0 and below 1"
            )

    def experts(self, chunks: int) -> int:
        """Two: deep and shallow."""
        return 2

    def most(self, scene: Scene) -> int:
        """See `Method`."""
        return 1

    def check(self, scene: Scene, chunks: int) -> None:
        """See `Method`. Raises CrispcastError where patches are too small to be split."""
        if chunks != 1:
            raise CrispcastError(f"dydca has two paths, not {chunks} chunks: leave the chunks out")
        if min(min(w, h) for _, _, w, h in scene.quarters) < 1:
            raise CrispcastError("patches of one pixel cannot be split: use a larger picture")

    def sharing(self, network: NetworkConfig, chunks: int) -> Sharing | None:
        """Half of the blocks are the shallow path. Raises CrispcastError where there are no two."""
        if network.kind not in ("wdsr", "edsr") or network.blocks < 2:
            raise CrispcastError(
                f"dydca leaves blocks out, and {network.kind} of {network.blocks} has none to "
                "spare: choose a network of wdsr or edsr with 2 blocks or more"
            )
        return Paths((network.blocks, network.blocks // 2))

    def divide(self, scene: Scene, chunks: int, difficulty: F64 | None) -> Division:
        """Coarse to fine, by the threshold."""
        self.check(scene, chunks)
        assert difficulty is not None
        threshold = np.quantile(difficulty, self.deep_share)
        split = patch_means(difficulty) <= threshold
        deep = split[:, :, None] & (difficulty <= threshold)
        if deep.all() or not deep.any():
            # Flat or equal patches: the hardest quarters, in whole numbers.
            order = np.argsort(difficulty, axis=None, kind="stable")
            deep = np.zeros(difficulty.size, np.bool_)
            deep[order[: max(1, round(self.deep_share * deep.size))]] = True
            deep = deep.reshape(difficulty.shape)
        return Division(np.where(deep, DEEP, SHALLOW).astype(np.int32))

    def settle(self, scene: Scene, outcome: Outcome, config: TrainingConfig) -> Outcome:
        """The gate has the last word, or falls back on the threshold and says so."""
        if not self.gated:
            return outcome
        division = outcome.division
        data = scene.data(division.samples(scene, SHALLOW))
        errors = np.stack(
            [patch_errors(path, data, scene.segments, scene.quarters) for path in outcome.experts],
            axis=-1,
        )
        gate = train_gate(scene, errors, division.share(DEEP), config.seed)
        return gated(outcome, scene, gate)


def gated(outcome: Outcome, scene: Scene, gate: Gate) -> Outcome:
    """`outcome` with the routes of `gate`, or as it was where those are all the same."""
    deep = gate.deep(scene)
    share = float(deep.mean())
    if not 0.01 <= share <= 0.99:
        path = "deep" if share > 0.5 else "shallow"
        note = f"the gate would give every patch to the {path} path, so the threshold decides"
        return replace(outcome, note=note)
    routes = np.where(deep, DEEP, SHALLOW).astype(np.int32)
    shape = outcome.division.expert_of.shape
    return replace(outcome, division=Division(routes.reshape(shape)))
