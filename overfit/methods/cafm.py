"""CaFM: one network, whose channels each stretch of time scales and shifts.

Source: Liu et al., "Overfitting the Data: Compact Neural Video Delivery via Content-aware Feature
Modulation" (ICCV 2021, arXiv 2108.08202). `overfit.networks.Modulation` is what each chunk has of
its own; it is folded into plans, which go out as differences to the first.
"""

from __future__ import annotations

from overfit.methods.nas import Nas
from overfit.networks import Modulation, NetworkConfig, Sharing


class Cafm(Nas):
    """Chunks by time as in NAS, trained together."""

    name = "cafm"
    together = True

    def sharing(self, network: NetworkConfig, chunks: int) -> Sharing | None:
        """See `Method`."""
        return Modulation(chunks)
