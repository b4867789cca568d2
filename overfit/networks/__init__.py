"""The networks an expert can be, described by frozen configs that go into the manifest."""

from overfit.networks.branches import add_branches, fold_branches
from overfit.networks.build import build
from overfit.networks.config import BRANCHES, NETWORKS, NetworkConfig
from overfit.networks.expert import Expert
from overfit.networks.interpolation import Interpolation
from overfit.networks.rounding import Rounding, settling
from overfit.networks.sharing import Modulation, Paths, Sharing
from overfit.networks.start import expert_of, start_from

__all__ = [
    "BRANCHES",
    "NETWORKS",
    "Expert",
    "Interpolation",
    "Modulation",
    "NetworkConfig",
    "Paths",
    "Rounding",
    "Sharing",
    "add_branches",
    "build",
    "expert_of",
    "fold_branches",
    "settling",
    "start_from",
]
