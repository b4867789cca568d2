"""awDNN: one network for the whole video.

The baseline of NAS (Yeo et al., "Neural Adaptive Content-aware Internet Video Delivery", OSDI 2018)
and of all that came after: the fewest bytes that a network can take.
"""

from __future__ import annotations

from kernels.errors import CrispcastError
from overfit.chunking.difficulty import F64
from overfit.methods.interface import Method
from overfit.methods.scene import Division, Scene


class Awdnn(Method):
    """One expert for all patches."""

    name = "awdnn"
    chunked = False

    def experts(self, chunks: int) -> int:
        """One."""
        return 1

    def divide(self, scene: Scene, chunks: int, difficulty: F64 | None) -> Division:
        """See `Method`."""
        if chunks != 1:
            raise CrispcastError(f"awdnn is one network, not {chunks}: leave the chunks out")
        return scene.everything
