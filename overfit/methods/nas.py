"""NAS: chunks by time, a network each.

Source: Yeo et al., "Neural Adaptive Content-aware Internet Video Delivery" (OSDI 2018), without its
scalable networks and its choice of rates.
"""

from __future__ import annotations

import numpy as np

from kernels.errors import CrispcastError
from overfit.chunking.difficulty import F64
from overfit.methods.interface import Method
from overfit.methods.scene import Division, Scene


def by_time(scene: Scene, chunks: int) -> Division:
    """Runs of whole segments with as equal numbers of frames as segments allow, none empty."""
    lengths = np.array([segment.frames for segment in scene.segments])
    centres = np.cumsum(lengths) - lengths / 2
    wanted = np.minimum(centres * chunks / lengths.sum(), chunks - 1).astype(int)
    last = len(lengths) - 1
    chunk = 0
    owner: list[int] = []
    for index, place in enumerate(wanted.tolist()):
        # Never skip a chunk, and leave a segment for each that is still to come.
        behind = chunks - 1 - (last - index)
        chunk = max(min(place, chunk + 1 if owner else 0), chunk, behind)
        owner.append(chunk)
    patches = len(scene.grid.rectangles())
    return Division(np.repeat(np.array(owner, np.int32)[:, None], patches, axis=1))


def check_segments(scene: Scene, chunks: int, name: str) -> None:
    """Raises CrispcastError where there are fewer segments than chunks."""
    if chunks > len(scene.segments):
        raise CrispcastError(
            f"{name} cuts by time, and {len(scene.segments)} segments make no {chunks} chunks: "
            f"choose at most {len(scene.segments)}"
        )


class Nas(Method):
    """One expert for each stretch of time."""

    name = "nas"

    def check(self, scene: Scene, chunks: int) -> None:
        """See `Method`."""
        if chunks < 1:
            raise CrispcastError("there must be at least one chunk")
        check_segments(scene, chunks, self.name)

    def most(self, scene: Scene) -> int:
        """See `Method`."""
        return len(scene.segments)

    def divide(self, scene: Scene, chunks: int, difficulty: F64 | None) -> Division:
        """See `Method`."""
        self.check(scene, chunks)
        return by_time(scene, chunks)
