"""The networks an expert can be, described by frozen configs that go into the manifest."""

from overfit.networks.interpolation import Interpolation
from overfit.networks.rounding import Rounding, settling
from overfit.networks.start import start_from
from overfit.networks.wdsr import Expert, NetworkConfig, build

__all__ = [
    "Expert",
    "Interpolation",
    "NetworkConfig",
    "Rounding",
    "build",
    "settling",
    "start_from",
]
