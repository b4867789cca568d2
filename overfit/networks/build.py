"""From a config to a fresh network."""

from __future__ import annotations

from functools import cache
from typing import cast

from overfit.networks.chain import Chain
from overfit.networks.config import INPUTS, NetworkConfig
from overfit.networks.edsr import Edsr
from overfit.networks.expert import Expert, LumaInput, LumaPlateInput, PlateInput, TwoFrameInput
from overfit.networks.wdsr import Wdsr

_KINDS: dict[str, type[Expert]] = {
    "wdsr": Wdsr,
    "edsr": Edsr,
    "vdsr": Chain,
    "espcn": Chain,
    "srcnn": Chain,
}
_FORWARDS = dict(zip(INPUTS, (LumaInput, TwoFrameInput, LumaPlateInput, PlateInput), strict=True))


def build(config: NetworkConfig) -> Expert:
    """A fresh network of this shape, from torch's current random state."""
    return _class(config.kind, config.inputs)(config)


@cache
def _class(kind: str, inputs: tuple[str, ...]) -> type[Expert]:
    """A kind that reads these planes: tracing takes their names from the signature of `forward`."""
    forward, features = _FORWARDS[inputs], _KINDS[kind]
    name = features.__name__ + forward.__name__
    return cast(type[Expert], type(name, (forward, features), {"__doc__": forward.__doc__}))
