"""The bounds of all that a package may say, and the fields that keep them.

What comes from anybody is refused beyond these before the rest of the program sees it. Format of
the manifest: `docs/manifest.md`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_MANIFEST_BYTES = 32 << 20
MAX_SIDE = 16_384  # samples
MAX_FRAMES = 0xFFFF_FFFF  # a frame number is 32 bits in the SEI
MAX_SEGMENTS = 100_000
MAX_RUNGS = 16
MAX_EXPERTS = 64  # of one segment, interpolation not counted
MAX_PIECES = 64  # of one plate
MAX_PLAN_BYTES = 4 << 20  # docs/plan-format.md
MAX_PLATE_BYTES = 32 << 20
MAX_MAP_BYTES = 1 << 20
MAX_MOTION_BYTES = 1 << 20
MAX_MOTION_FRAMES = 4096  # of a segment with a canvas
MAX_CANVAS_FRAMES = 8  # area of a canvas, in frames
MAX_TOLERANCE = 2295  # of chroma plates: nine samples wrong by 255 (docs/chroma.md)
MAX_FILE_BYTES = 1 << 50

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PackageId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
RungName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
# One folder and one plain name: nothing that begins with a dot, no way up, no drive, no root.
PackageFile = Annotated[
    str, StringConstraints(pattern=r"^(video|maps|audio)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
PlateIndex = Annotated[int, Field(ge=0, lt=MAX_SEGMENTS)]
Place = Annotated[int, Field(ge=0, lt=MAX_SIDE)]
FrameNumber = Annotated[int, Field(ge=0, le=MAX_FRAMES)]
FrameCount = Annotated[int, Field(ge=1, le=MAX_FRAMES)]
FileBytes = Annotated[int, Field(ge=1, le=MAX_FILE_BYTES)]
ColourCode = Annotated[int, Field(ge=0, le=255)]  # ITU-T H.273
Tolerance = Annotated[int, Field(ge=1, le=MAX_TOLERANCE)]
Decibels = Annotated[float, Field(ge=0, le=200, allow_inf_nan=False)]
MultiplyAdds = Annotated[int, Field(ge=0, le=1 << 53)]


class Frozen(BaseModel):
    """A part of the contract: immutable, and refusing fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_none(value: object) -> bool:
    """Of fields that are left out where they have no value."""
    return value is None
