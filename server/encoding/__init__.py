"""Encoding: a resumable graph of jobs from a video to a package.

The public face is `encode(EncodeConfig(source, output, …))`. It is imported when it is first asked
for, so that what explains the command or looks for what is missing (`doctor`) needs no codec.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.encoding.config import PRESETS, EncodeConfig, Preset
    from server.encoding.pipeline import encode
    from server.encoding.progress import EncodeProgress
    from server.encoding.result import EncodeResult

__all__ = ["PRESETS", "EncodeConfig", "EncodeProgress", "EncodeResult", "Preset", "encode"]

_HOMES = {
    "PRESETS": "config",
    "EncodeConfig": "config",
    "Preset": "config",
    "encode": "pipeline",
    "EncodeProgress": "progress",
    "EncodeResult": "result",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
