"""J-STDO: one network, trained on what is hard.

Source: "Towards High-Quality and Efficient Video Super-Resolution via Spatial-Temporal Data
Overfitting" (CVPR 2023, arXiv 2303.08331), section 3.3: all of the hardest chunk, random samples of
those between, none of the easiest. The network upscales all patches all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.errors import CrispcastError
from overfit.chunking import chunk_by_quantile
from overfit.chunking.difficulty import F64
from overfit.methods.interface import Method
from overfit.methods.scene import Division, Scene


@dataclass(frozen=True)
class Jstdo(Method):
    """Data-aware sampling.

    hardest, middle, easiest: the share of the patches of those chunks that is trained on, 0 to 1;
    a patch is in for a whole segment or not at all. seed: of the choice.
    """

    hardest: float = 1.0
    middle: float = 0.5
    easiest: float = 0.0
    seed: int = 0

    name = "jstdo"
    ranked = True

    def __post_init__(self) -> None:
        for share in (self.hardest, self.middle, self.easiest):
            if not 0 <= share <= 1:
                raise CrispcastError(f"a share of {share:g} of a chunk: choose 0 to 1")
        if not self.hardest:
            raise CrispcastError("jstdo learns from the hardest chunk: its share must be above 0")

    def experts(self, chunks: int) -> int:
        """One."""
        return 1

    def check(self, scene: Scene, chunks: int) -> None:
        """See `Method`. One chunk is all of it: there would be nothing to leave out."""
        super().check(scene, chunks)
        if chunks == 1:
            raise CrispcastError(
                "jstdo needs 2 chunks or more to tell hard patches from easy ones; with one it is "
                "awdnn"
            )

    def divide(self, scene: Scene, chunks: int, difficulty: F64 | None) -> Division:
        """See `Method`."""
        self.check(scene, chunks)
        assert difficulty is not None
        chunk_of = chunk_by_quantile(difficulty, chunks)
        shares = np.full(chunks, self.middle)
        shares[0], shares[-1] = self.hardest, self.easiest
        random = np.random.default_rng(self.seed)
        taught = random.random(chunk_of.shape) < shares[chunk_of]
        if not taught.any():
            taught |= chunk_of == 0
        return Division(scene.everything.expert_of, taught)
