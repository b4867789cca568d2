"""How a rung is encoded, and what was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kernels.errors import VideoError

Codec: TypeAlias = Literal["h264", "av1"]
Effort: TypeAlias = Literal["fast", "medium", "slow", "slower", "veryslow"]

LARGEST_CRF: dict[Codec, float] = {"h264": 51.0, "av1": 70.0}
DEFAULT_CRF: dict[Codec, float] = {"h264": 30.0, "av1": 44.0}
"""About level in bytes on real footage."""
LEAST_BITRATE, LARGEST_BITRATE = 10_000, 200_000_000
"""Of a rung, in bits a second."""


@dataclass(frozen=True)
class RungConfig:
    """How a rung is encoded: either `crf` or `bitrate` (bits a second) is set.

    `crf`: above 0, up to `LARGEST_CRF` of the codec. `preset`: x264's words; AV1 has presets of
    like patience. `still`: what stands still has a plate, so the bits belong to what moves.
    `filtered`: AV1's pictures that others are predicted from are filtered over time first, which
    saves bytes and takes detail away that networks use.
    """

    crf: float | None = None
    bitrate: int | None = None
    codec: Codec = "h264"
    preset: Effort = "slow"
    still: bool = False
    filtered: bool = False

    def __post_init__(self) -> None:
        if self.codec not in LARGEST_CRF:
            raise VideoError(f"codec {self.codec} is unknown; choose from {', '.join(LARGEST_CRF)}")
        if (self.crf is None) == (self.bitrate is None):
            raise VideoError("a rung needs either a CRF or a bit rate, and not both")
        most = LARGEST_CRF[self.codec]
        if self.crf is not None and not 0 < self.crf <= most:
            raise VideoError(
                f"CRF {self.crf:g} is out of range for {self.codec}; choose one above 0, up to "
                f"{most:g}"
            )
        if self.bitrate is not None and not LEAST_BITRATE <= self.bitrate <= LARGEST_BITRATE:
            raise VideoError(
                f"{self.bitrate} b/s is out of range; choose {LEAST_BITRATE // 1000}k to "
                f"{LARGEST_BITRATE // 1_000_000}M"
            )


@dataclass(frozen=True)
class RungFacts:
    """What was written: size in pixels and bytes, codec and its profile, content hash."""

    width: int
    height: int
    frames: int
    codec: Codec
    profile: str
    bytes: int
    sha256: str
