"""Encoding: a resumable graph of jobs from a video to a package.

The public face is `encode(EncodeConfig(source, output, …))`.
"""

from server.encoding.config import PRESETS, EncodeConfig, Preset
from server.encoding.pipeline import encode
from server.encoding.progress import EncodeProgress
from server.encoding.result import EncodeResult

__all__ = ["PRESETS", "EncodeConfig", "EncodeProgress", "EncodeResult", "Preset", "encode"]
