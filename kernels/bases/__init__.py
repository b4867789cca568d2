"""The bases that come with Crispcast: where experts begin, and what differences are to.

Full wire plans, trained by `python -m overfit.base` (docs/bases.md); the weights are our own.
`xS.plan` reads the luma of two frames at scale S, `xS-plate.plan` a plate too. A base that was
released is never changed or taken away: plans name it by the hash of its bytes.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


def shipped() -> tuple[Path, ...]:
    """The files, in the order of their names."""
    return tuple(sorted(_FOLDER.glob("*.plan")))


def find(identity: bytes) -> bytes | None:
    """The wire plan of the base with this id (see `kernels.compiler.base_id`), if it is here."""
    return _by_id().get(identity)


@cache
def _by_id() -> dict[bytes, bytes]:
    wires = [path.read_bytes() for path in shipped()]
    return {hashlib.sha256(wire).digest()[:16]: wire for wire in wires}
