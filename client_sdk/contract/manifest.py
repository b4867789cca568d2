"""The manifest: what a package holds, in one frozen, validated tree. Format: `docs/manifest.md`.

It may come from anybody, so every number is bounded, every reference is checked and every file
name is plain before the rest of the program sees it.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as check
from pydantic_core import from_json

from client_sdk.contract.bounds import (
    MAX_CANVAS_FRAMES,
    MAX_MANIFEST_BYTES,
    MAX_MOTION_FRAMES,
    MAX_PLAN_BYTES,
    MAX_PLATE_BYTES,
    MAX_RUNGS,
    MAX_SEGMENTS,
    ColourCode,
    FileBytes,
    FrameCount,
    FrameNumber,
    Frozen,
    PackageFile,
    PackageId,
    Sha256,
    Side,
    Title,
    is_none,
)
from client_sdk.contract.rung import Rung, SegmentQuality
from kernels.errors import PackageError

FORMAT = "crispcast"
MAJOR = 1
VERSION = "1.4"
CHROMA_VERSION = "1.3"
PLAIN_VERSION = "1.2"
"""Of manifests of one rung, with chroma plates and without: as before, for older programs."""


class Colour(Frozen):
    """How samples mean colours: range, and the code points of ITU-T H.273 (2 = unspecified)."""

    range: Literal["limited", "full"] = "limited"
    primaries: ColourCode = 2
    transfer: ColourCode = 2
    matrix: ColourCode = 2


class Source(Frozen):
    """Facts of the source video: size and frames as shown (upright, constant frame rate)."""

    sha256: Sha256
    width: Side
    height: Side
    frames: FrameCount
    fps: tuple[Annotated[int, Field(ge=1, le=1_000_000)], Annotated[int, Field(ge=1, le=1_000_000)]]
    colour: Colour = Colour()
    audio: bool = False

    @property
    def rate(self) -> Fraction:
        """Frames a second, exactly."""
        return Fraction(*self.fps)


class Method(BaseModel):
    """The method of the encode by name, with its own settings beside it as they were."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class Segment(Frozen):
    """A time range that starts at a closed-GOP IDR: `frames` frames from frame `start`."""

    start: FrameNumber
    frames: FrameCount

    @property
    def end(self) -> int:
        """The first frame number after the segment."""
        return self.start + self.frames


class Asset(Frozen):
    """A plan, a plate or a plate's chroma: its size in bytes; of a canvas, width and height too."""

    kind: Literal["plan", "plate", "chroma"]
    bytes: Annotated[int, Field(ge=1, le=MAX_PLATE_BYTES)]
    canvas: Annotated[tuple[Side, Side] | None, Field(exclude_if=is_none)] = None

    @check(mode="after")
    def _is_a_canvas_where_it_is_a_plate(self) -> Self:
        if self.canvas is not None and self.kind != "plate":
            raise ValueError(f"a {self.kind} is no canvas")
        return self


class Audio(Frozen):
    """The Opus track, encoded once (Ogg, RFC 7845)."""

    file: PackageFile
    codec: Literal["opus"] = "opus"
    sha256: Sha256
    bytes: FileBytes
    sample_rate: Literal[48000] = 48000
    channels: Annotated[int, Field(ge=1, le=2)]


class Manifest(Frozen):
    """The whole of `manifest.json`, version 1.x. Raises PackageError through `parse_manifest`."""

    format: Literal["crispcast"] = "crispcast"
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")] = PLAIN_VERSION
    id: PackageId
    name: Title
    source: Source
    method: Method
    segments: Annotated[tuple[Segment, ...], Field(min_length=1, max_length=MAX_SEGMENTS)]
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1, max_length=MAX_RUNGS)]
    assets: dict[Sha256, Asset] = Field(default_factory=dict)
    audio: Annotated[Audio | None, Field(exclude_if=is_none)] = None
    quality: Annotated[tuple[SegmentQuality, ...] | None, Field(exclude_if=is_none)] = None

    @check(mode="after")
    def _hangs_together(self) -> Self:
        if not self.name.isprintable():
            raise ValueError("the name holds characters that cannot be printed")
        expected = 0
        for index, segment in enumerate(self.segments):
            if segment.start != expected:
                raise ValueError(f"segment {index} starts at frame {segment.start}, not {expected}")
            expected = segment.end
        if expected != self.source.frames:
            raise ValueError(
                f"the segments cover {expected} frames of the source's {self.source.frames}"
            )
        if len({rung.name for rung in self.rungs}) != len(self.rungs):
            raise ValueError("two rungs share a name")
        for rung in self.rungs:
            self._check_rung(rung)
        if self.quality is not None and len(self.quality) != len(self.segments):
            raise ValueError(f"{len(self.quality)} quality entries, {len(self.segments)} segments")
        if self.audio is not None and not self.source.audio:
            raise ValueError("there is an audio file and the source is said to have no audio")
        return self

    def _check_rung(self, rung: Rung) -> None:
        size = rung_size(self.source.width, self.source.height, rung.scale)
        if (rung.width, rung.height) != size:
            raise ValueError(
                f"rung {rung.name} is {rung.width}x{rung.height}; scale {rung.scale} of this "
                f"source asks for {size[0]}x{size[1]}"
            )
        if not rung.file.startswith("video/") or not rung.maps_file.startswith("maps/"):
            raise ValueError(f"rung {rung.name}: the files must lie in video/ and maps/")
        if len(rung.segments) != len(self.segments):
            raise ValueError(
                f"rung {rung.name} has {len(rung.segments)} segments, not {len(self.segments)}"
            )
        if rung.quality is not None and len(rung.quality) != len(self.segments):
            raise ValueError(f"rung {rung.name} has {len(rung.quality)} quality entries")
        self._check_plates(rung)
        for index, segment in enumerate(rung.segments):
            for sha256 in segment.experts:
                self._check_asset(sha256, "plan", f"rung {rung.name}, segment {index}")
            if segment.plate is not None and segment.plate >= len(rung.plates):
                raise ValueError(
                    f"rung {rung.name}, segment {index}: plate {segment.plate} of "
                    f"{len(rung.plates)}"
                )
            self._check_canvas(rung, index)

    def _check_plates(self, rung: Rung) -> None:
        """Every piece is a plate of this package, and one picture has one size."""
        frame = (rung.width * rung.scale, rung.height * rung.scale)
        sizes: dict[str, tuple[int, int]] = {}
        for index, pieces in enumerate(rung.plates):
            where = f"rung {rung.name}, plate {index}"
            for piece in pieces:
                self._check_asset(piece.sha256, "plate", where)
                x, y, width, height = piece.region or (0, 0, *frame)
                if x + width > frame[0] or y + height > frame[1]:
                    raise ValueError(f"{where}: a piece lies outside of the frame")
                for sha256 in (piece.sha256, piece.chroma or piece.sha256):
                    if sizes.setdefault(sha256, (width, height)) != (width, height):
                        raise ValueError(f"{where}: {sha256} has two sizes")
                if piece.chroma is not None:
                    self._check_asset(piece.chroma, "chroma", where)
                    if any(side % 2 for side in (x, y, width, height)):
                        raise ValueError(f"{where}: a piece with chroma has odd sides or corners")
            canvases = sum(self.assets[piece.sha256].canvas is not None for piece in pieces)
            if canvases and (len(pieces) > 1 or pieces[0].region is not None):
                raise ValueError(f"{where}: a canvas is no piece of a plate")
            coloured = any(piece.chroma is not None for piece in pieces)
            if coloured and (canvases or rung.chroma_tolerance is None):
                raise ValueError(f"{where}: chroma needs a tolerance, and no canvas")

    def _check_canvas(self, rung: Rung, index: int) -> None:
        """A segment has motion exactly where its plate is a canvas, and both are of a sane size."""
        segment, where = rung.segments[index], f"rung {rung.name}, segment {index}"
        pieces = rung.pieces_of(index)
        canvas = self.assets[pieces[0].sha256].canvas if pieces else None
        if (canvas is None) != (segment.motion is None):
            raise ValueError(f"{where}: a canvas needs motion, and motion a canvas")
        if canvas is None:
            return
        frame = rung.width * rung.height * rung.scale**2
        if canvas[0] * canvas[1] > MAX_CANVAS_FRAMES * frame:
            raise ValueError(
                f"{where}: a canvas of {canvas[0]}x{canvas[1]} passes {MAX_CANVAS_FRAMES} frames"
            )
        if self.segments[index].frames > MAX_MOTION_FRAMES:
            raise ValueError(f"{where}: motion of more than {MAX_MOTION_FRAMES} frames")

    def _check_asset(self, sha256: str, kind: str, where: str) -> None:
        asset = self.assets.get(sha256)
        if asset is None or asset.kind != kind:
            raise ValueError(f"{where}: {sha256} is not a {kind} of this package")
        if kind == "plan" and asset.bytes > MAX_PLAN_BYTES:
            raise ValueError(f"plan {sha256} of {asset.bytes} bytes passes {MAX_PLAN_BYTES}")

    @cached_property
    def _starts(self) -> list[int]:
        return [segment.start for segment in self.segments]

    def segment_of(self, frame_number: int) -> int:
        """Index of the segment that holds `frame_number`; raises PackageError outside all."""
        if not 0 <= frame_number < self.source.frames:
            raise PackageError(
                f"frame {frame_number} is not in a video of {self.source.frames} frames"
            )
        return bisect_right(self._starts, frame_number) - 1

    def size_of(self, rung_index: int) -> dict[str, int]:
        """Bytes of every asset that a rung needs, by hash, by deadline.

        Those are maps, motion, plans and plates.
        """
        sizes: dict[str, int] = {}
        rung = self.rungs[rung_index]
        for index, segment in enumerate(rung.segments):
            records = {record.sha256: record.bytes for record in segment.records}
            for sha256 in rung.assets_of(index):
                size = records[sha256] if sha256 in records else self.assets[sha256].bytes
                sizes.setdefault(sha256, size)
        return sizes

    def media_bitrate(self, rung_index: int) -> float:
        """Bits a second of video and sound, which come as they are played and cannot wait."""
        sound = 0 if self.audio is None else self.audio.bytes
        return self.per_second(self.rungs[rung_index].bytes + sound)

    def per_second(self, count: int) -> float:
        """Bits a second of so many bytes, spread over the video."""
        return float(8 * count * self.source.rate / self.source.frames)

    def quality_of(self, rung_index: int) -> float | None:
        """PSNR-Y in dB that a rung shows, the mean of its frames; None where nobody said."""
        told = self.rungs[rung_index].quality
        if told is None:
            return None
        segments = zip(self.segments, told, strict=True)
        return sum(s.frames * q.psnr_y for s, q in segments) / self.source.frames

    def to_bytes(self) -> bytes:
        """Compact UTF-8 JSON, the bytes of `manifest.json`."""
        return self.model_dump_json().encode()


def rung_size(width: int, height: int, scale: int) -> tuple[int, int]:
    """Size of the LR luma for an HR of width x height luma samples.

    The HR is edge-replicated up to a multiple of 2 * scale, so the LR is even: H.264 4:2:0 has no
    odd sizes.
    """
    return 2 * -(-width // (2 * scale)), 2 * -(-height // (2 * scale))


def package_id(source_sha256: str, config: dict[str, Any]) -> str:
    """16 hex digits that name an encode: the source's content and the canonical configuration."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(source_sha256.encode() + canonical.encode()).hexdigest()[:16]


def parse_manifest(data: bytes, where: str = "manifest.json") -> Manifest:
    """Read and check a manifest.

    Raises PackageError in one sentence: too large, not JSON, another major version (named), or
    the first thing that is wrong and where it stands.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise PackageError(f"{where} has {len(data)} bytes, more than {MAX_MANIFEST_BYTES}")
    try:
        tree = from_json(data)
    except ValueError as error:
        raise PackageError(f"{where} is not JSON: {error}") from None
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise PackageError(f"{where} is not the manifest of a Crispcast package")
    version = tree.get("version")
    if not isinstance(version, str) or version.split(".")[0] != str(MAJOR):
        raise PackageError(
            f"{where} has version {str(version)[:20]!r}; this program reads {MAJOR}.x: "
            "use a matching Crispcast"
        )
    try:
        return Manifest.model_validate(tree)
    except ValidationError as error:
        raise PackageError(f"{where}: {first_fault(error)}") from None


def first_fault(error: ValidationError) -> str:
    """The first thing that pydantic found, as 'place: what', on one line, without long input."""
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part)[:70] for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    text = f"{place}: {message}" if place else message
    # It goes into logs, and may quote what somebody sent.
    return "".join(c if c.isprintable() else "?" for c in text[:300])
