"""A rung: one low-resolution encode of the ladder, and what each of its segments needs beside it.

A part of the manifest (`docs/manifest.md`), which checks that all of it hangs together.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from client_sdk.contract.bounds import (
    MAX_EXPERTS,
    MAX_MAP_BYTES,
    MAX_PIECES,
    MAX_SEGMENTS,
    Decibels,
    FileBytes,
    Frozen,
    MultiplyAdds,
    PackageFile,
    Place,
    PlateIndex,
    RungName,
    Sha256,
    Side,
    Tolerance,
    is_none,
)


class MapRef(Frozen):
    """Where a record lies in the rung's maps file (bytes), and its hash.

    A record is a patch map, or the motion of a segment that has a canvas.
    """

    sha256: Sha256
    offset: Annotated[int, Field(ge=0, le=1 << 40)]
    bytes: Annotated[int, Field(ge=1, le=MAX_MAP_BYTES)]


Region = tuple[Place, Place, Side, Side]


class PlatePiece(Frozen):
    """An AVIF and the region of the HR frame it covers: x, y, width, height; None: all of it.

    `chroma`: another with the colour of the same region.
    """

    sha256: Sha256
    region: Annotated[Region | None, Field(exclude_if=is_none)] = None
    chroma: Annotated[Sha256 | None, Field(exclude_if=is_none)] = None


class RungSegment(Frozen):
    """What a segment of a rung needs. Expert 0 is interpolation; expert i is `experts[i - 1]`.

    `plate`: index in the rung's plates. `motion`: the views that its frames have of its plate,
    where that is a canvas.
    """

    experts: Annotated[tuple[Sha256, ...], Field(max_length=MAX_EXPERTS)] = ()
    plate: Annotated[PlateIndex | None, Field(exclude_if=is_none)] = None
    map: MapRef
    motion: Annotated[MapRef | None, Field(exclude_if=is_none)] = None

    @property
    def records(self) -> tuple[MapRef, ...]:
        """What of it lies in the rung's maps file."""
        return (self.map,) if self.motion is None else (self.map, self.motion)


Pieces = Annotated[tuple[PlatePiece, ...], Field(min_length=1, max_length=MAX_PIECES)]


class SegmentQuality(Frozen):
    """PSNR of the luma of a segment in dB, super-resolved and by bicubic interpolation."""

    psnr_y: Decibels
    psnr_y_bicubic: Decibels

    @classmethod
    def of(cls, psnr_y: float, psnr_y_bicubic: float) -> Self:
        """To a hundredth of a dB: every viewer downloads it."""
        return cls(psnr_y=round(psnr_y, 2), psnr_y_bicubic=round(psnr_y_bicubic, 2))


class Rung(Frozen):
    """One low-resolution encode of the ladder; width and height in luma samples of the LR.

    `plates`: each in pieces, the most useful first; where none lies, the plate is absent.
    `chroma_tolerance`: how far the LR may be from plates' chroma, where any has some.
    In a ladder, `quality` is of each segment, and `compute` the multiply-adds that a frame of its
    dearest segment takes.
    """

    name: RungName
    width: Side
    height: Side
    scale: Annotated[int, Field(ge=1, le=4)]
    codec: Literal["h264", "av1"] = "h264"
    profile: Literal["baseline", "constrained-baseline", "main", "high"]
    file: PackageFile
    sha256: Sha256
    bytes: FileBytes
    maps_file: PackageFile
    plates: Annotated[tuple[Pieces, ...], Field(max_length=MAX_SEGMENTS)] = ()
    chroma_tolerance: Annotated[Tolerance | None, Field(exclude_if=is_none)] = None
    segments: Annotated[tuple[RungSegment, ...], Field(min_length=1, max_length=MAX_SEGMENTS)]
    quality: Annotated[tuple[SegmentQuality, ...] | None, Field(exclude_if=is_none)] = None
    compute: Annotated[MultiplyAdds | None, Field(exclude_if=is_none)] = None

    def pieces_of(self, segment_index: int) -> tuple[PlatePiece, ...]:
        """The pieces of a segment's plate."""
        plate = self.segments[segment_index].plate
        return () if plate is None else self.plates[plate]

    def assets_of(self, segment_index: int) -> tuple[str, ...]:
        """Hashes of all that a segment needs, each once: map, motion, plans, plate, its chroma."""
        segment, plate = self.segments[segment_index], self.pieces_of(segment_index)
        records = (record.sha256 for record in segment.records)
        pieces = (piece.sha256 for piece in plate)
        chroma = (piece.chroma for piece in plate if piece.chroma is not None)
        return tuple(dict.fromkeys((*records, *segment.experts, *pieces, *chroma)))
