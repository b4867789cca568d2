"""What describes a network, and the networks that have a name.

A config is frozen and goes into the manifest. The names are those of the papers, at the papers'
sizes and at sizes for phones; docs/methods.md says what differs from the papers and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kernels.errors import CrispcastError

INPUTS = (("luma",), ("luma", "previous"), ("luma", "plate"), ("luma", "previous", "plate"))

Kind = Literal["wdsr", "edsr", "vdsr", "espcn", "srcnn"]

BRANCHES = "+branches"
"""After a network's name: trained with branches (`overfit.networks.branches`)."""


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of an expert.

    `units` are channels between blocks, `expansion` how much wider a block of wdsr is inside,
    `blocks` the blocks of wdsr and edsr and the convolutions between vdsr's first and last; espcn
    and srcnn have neither. `inputs` are the planes it reads, in this order: luma and previous are
    one plane each, plate scale**2. `branches`: 3x3 kernels are trained as sums of branches.
    """

    scale: int = 2
    units: int = 16
    expansion: int = 2
    blocks: int = 3
    inputs: tuple[str, ...] = ("luma", "previous")
    kind: Kind = "wdsr"
    branches: bool = False

    def __post_init__(self) -> None:
        if self.scale not in (1, 2, 3, 4):
            raise CrispcastError(f"scale {self.scale} is not supported; choose 1, 2, 3 or 4")
        if self.inputs not in INPUTS:
            raise CrispcastError(f"inputs {self.inputs} are not luma[, previous][, plate]")
        if self.units % 4 or not 4 <= self.units <= 128:
            raise CrispcastError(f"units {self.units}: choose a multiple of 4 from 4 to 128")
        if not 1 <= self.expansion <= 6:
            raise CrispcastError(f"expansion {self.expansion}: choose 1 to 6")
        if not 1 <= self.blocks <= self._most_blocks:
            raise CrispcastError(f"blocks {self.blocks}: choose 1 to {self._most_blocks}")

    @property
    def _most_blocks(self) -> int:
        """A plan sees 64 pixels far at most."""
        return {"edsr": 30, "wdsr": 31, "vdsr": 62}.get(self.kind, 32)

    @property
    def radius(self) -> int:
        """How far, in LR pixels, an output pixel sees: the halo a patch needs."""
        if self.kind in ("espcn", "srcnn"):
            return 4
        return {"wdsr": 2 + 2 * self.blocks, "edsr": 3 + 2 * self.blocks}.get(
            self.kind, 2 + self.blocks
        )

    @property
    def planes(self) -> int:
        """Number of input planes."""
        return len(self.inputs) + ("plate" in self.inputs) * (self.scale**2 - 1)

    def shaped(self, name: str) -> NetworkConfig:
        """The network of this name, for the same scale and inputs; `default` is this one.

        Raises CrispcastError where there is none.
        """
        plain = name.removesuffix(BRANCHES)
        found = self if plain == "default" else NETWORKS.get(plain)
        if found is None:
            raise CrispcastError(
                f"network {plain} is unknown; choose from default, {', '.join(NETWORKS)}, "
                f"or one of them with {BRANCHES}"
            )
        branches = found.branches or plain != name
        return replace(found, scale=self.scale, inputs=self.inputs, branches=branches)


NETWORKS: dict[str, NetworkConfig] = {
    "espcn": NetworkConfig(kind="espcn", units=64),
    "espcn-mobile": NetworkConfig(kind="espcn", units=16),
    "srcnn": NetworkConfig(kind="srcnn", units=64),
    "srcnn-mobile": NetworkConfig(kind="srcnn", units=16),
    "vdsr": NetworkConfig(kind="vdsr", units=64, blocks=18),
    "vdsr-mobile": NetworkConfig(kind="vdsr", units=16, blocks=6),
    "edsr": NetworkConfig(kind="edsr", units=64, blocks=16),
    "edsr-mobile": NetworkConfig(kind="edsr", units=16, blocks=4),
    "wdsr": NetworkConfig(kind="wdsr", units=32, expansion=4, blocks=16),
    "wdsr-mobile": NetworkConfig(kind="wdsr", units=16, expansion=4, blocks=3),
    "ecbsr": NetworkConfig(kind="vdsr", units=16, blocks=4, branches=True),
}
"""By name; the default network has none, as each preset of an encode has its own size of it."""
