"""What a training leaves on disk, so that a killed one goes on from there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

SECONDS = 15.0
"""Between two checkpoints: what a kill loses at most."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes all of `state` or nothing.

    Where it cannot, training goes on without: only a kill would lose more.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(state, part)
        part.replace(path)
    except (OSError, RuntimeError):  # torch's own is how a full disk shows
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path | None, key: str, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """What was saved with this `key`; None where there is nothing of the kind.

    A damaged checkpoint costs its training, nothing else.
    """
    if path is None or not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception:
        return None
    return state if state.get("key") == key else None
