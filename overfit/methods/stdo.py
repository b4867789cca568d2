"""STDO: chunks of patches of like difficulty, across space and time, a network each.

Source: "Towards High-Quality and Efficient Video Super-Resolution via Spatial-Temporal Data
Overfitting" (CVPR 2023, arXiv 2303.08331), section 3.1; chunking is `overfit.chunking.stdo`.
"""

from __future__ import annotations

from overfit.chunking import chunk_by_quantile
from overfit.chunking.difficulty import F64
from overfit.methods.interface import Method
from overfit.methods.scene import Division, Scene


class Stdo(Method):
    """Expert 0 has the hardest patches, and the most steps: there is the most to gain."""

    name = "stdo"
    ranked = True

    def effort(self, expert: int, experts: int) -> float:
        """See `Method`. Falls in equal steps; for 4 experts 1.6, 1.2, 0.8, 0.4."""
        return 2 * (experts - expert) / (experts + 1)

    def divide(self, scene: Scene, chunks: int, difficulty: F64 | None) -> Division:
        """See `Method`."""
        self.check(scene, chunks)
        if chunks == 1:
            return scene.everything  # with one expert for all, there is nothing to find out
        assert difficulty is not None
        return Division(chunk_by_quantile(difficulty, chunks))
