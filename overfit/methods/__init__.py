"""The methods: who upscales which patch, and how those experts are trained.

One file each, behind `Method`; `docs/methods.md` has a paragraph and a picture of every one.
"""

from kernels.errors import CrispcastError
from overfit.methods.auto import choose_method
from overfit.methods.awdnn import Awdnn
from overfit.methods.cafm import Cafm
from overfit.methods.dydca import Dydca
from overfit.methods.interface import Method, Outcome, find_difficulty
from overfit.methods.jstdo import Jstdo
from overfit.methods.nas import Nas
from overfit.methods.run import Made, Run, make_by, run_method
from overfit.methods.scene import Division, Scene
from overfit.methods.stdo import Stdo

__all__ = [
    "METHODS",
    "Awdnn",
    "Cafm",
    "Division",
    "Dydca",
    "Jstdo",
    "Made",
    "Method",
    "Nas",
    "Outcome",
    "Run",
    "Scene",
    "Stdo",
    "choose_method",
    "find_difficulty",
    "find_method",
    "make_by",
    "run_method",
]

METHODS: dict[str, Method] = {
    method.name: method for method in (Awdnn(), Nas(), Cafm(), Stdo(), Jstdo(), Dydca())
}
"""By name, with the defaults of their parameters."""


def find_method(name: str) -> Method:
    """The method of this name; raises CrispcastError where there is none."""
    if name not in METHODS:
        raise CrispcastError(f"method {name} is unknown; choose from {', '.join(METHODS)}")
    return METHODS[name]
