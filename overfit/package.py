"""Writes a package: what `client_sdk.contract` describes, whole or not at all.

Everything is written into a hidden folder beside the target, which is renamed at the end. A folder
that a kill left behind is removed by the next encode to the same target.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from client_sdk.contract.exchange import exchange, put_back
from client_sdk.contract.manifest import (
    CHROMA_VERSION,
    PLAIN_VERSION,
    VERSION,
    Asset,
    Audio,
    Manifest,
    Method,
    Segment,
    Source,
    package_id,
)
from client_sdk.contract.motion import Views, encode_motion
from client_sdk.contract.package import MANIFEST_FILE, asset_file
from client_sdk.contract.patch_map import FILE_HEADER, PatchMap, encode_record
from client_sdk.contract.plate import Region
from client_sdk.contract.rung import MapRef, PlatePiece, Rung, RungSegment, SegmentQuality
from client_sdk.contract.signing import SIGNATURE_FILE
from kernels.errors import PackageError

REPORT_FOLDER, SURVEY_FILE, SETTINGS_FILE = "report", "survey.json", "settings.json"

Sign: TypeAlias = Callable[[bytes], str]
"""From the bytes of a manifest to the text of its signature's file."""


@dataclass(frozen=True)
class PlateParts:
    """A piece of a plate, as AVIF: its region of the HR frame, or its size as a canvas.

    `chroma` is its colour, as AVIF, where that pays.
    """

    data: bytes
    region: Region | None = None
    canvas: tuple[int, int] | None = None
    chroma: bytes | None = None


@dataclass(frozen=True)
class SegmentParts:
    """What one segment of a rung needs: plans by expert (1, 2, …), pieces of plate, the map.

    Where the plate is a canvas, the views that the segment's frames have of it.
    """

    patch_map: PatchMap
    experts: tuple[bytes, ...] = ()
    plate: tuple[PlateParts, ...] = ()
    views: Views | None = None


@dataclass(frozen=True)
class RungParts:
    """One rung: its video file (MP4) with the facts of `overfit.video.write_rung`.

    `chroma_tolerance`: where plates have chroma (docs/chroma.md). Of a ladder, `quality` of each
    segment and `compute`, multiply-adds a frame.
    """

    name: str
    width: int
    height: int
    scale: int
    codec: str
    profile: str
    video: Path
    sha256: str
    bytes: int
    segments: tuple[SegmentParts, ...]
    chroma_tolerance: int | None = None
    quality: tuple[SegmentQuality, ...] | None = None
    compute: int | None = None


@dataclass(frozen=True)
class AudioParts:
    """The Ogg Opus file with the facts of `overfit.video.write_audio`."""

    file: Path
    sha256: str
    bytes: int
    channels: int


@dataclass(frozen=True)
class PackageParts:
    """All that goes into a package. `config` is the canonical encode configuration (JSON).

    It and `survey` lie beside the report, and no viewer downloads them.
    """

    name: str
    source: Source
    config: Mapping[str, object]
    method: str
    segments: tuple[Segment, ...]
    rungs: tuple[RungParts, ...]
    audio: AudioParts | None = None
    quality: tuple[SegmentQuality, ...] | None = None
    survey: bytes | None = None


@dataclass(frozen=True)
class Ledger:
    """Bytes a viewer downloads for the whole video; `total` is the picture's: all but audio."""

    video: int
    plans: int
    plates: int
    chroma: int
    maps: int
    motion: int
    manifest: int
    audio: int
    total: int = field(init=False)

    def __post_init__(self) -> None:
        pictures = self.video + self.plans + self.plates + self.chroma
        total = pictures + self.maps + self.motion + self.manifest
        object.__setattr__(self, "total", total)

    def kbps(self, count: int, manifest: Manifest) -> float:
        """kb/s (1000 bits) of `count` bytes spread over the video."""
        return float(count * 8 / 1000 * manifest.source.rate / manifest.source.frames)


def ledger(manifest: Manifest, rung_index: int = 0) -> Ledger:
    """The byte ledger of a viewer of one rung; a plan used by many segments counts once."""
    rung = manifest.rungs[rung_index]
    used = manifest.size_of(rung_index).keys() & manifest.assets.keys()
    maps = {part.map.sha256: part.map.bytes for part in rung.segments}
    motion = {p.motion.sha256: p.motion.bytes for p in rung.segments if p.motion is not None}

    def size(kind: str) -> int:
        return sum(manifest.assets[sha].bytes for sha in used if manifest.assets[sha].kind == kind)

    return Ledger(
        video=rung.bytes,
        plans=size("plan"),
        plates=size("plate"),
        chroma=size("chroma"),
        maps=sum(maps.values()),
        motion=sum(motion.values()),
        manifest=len(manifest.to_bytes()),
        audio=manifest.audio.bytes if manifest.audio else 0,
    )


def check_target(target: Path, force: bool) -> None:
    """Refuse early what `write_package` would refuse after minutes of work.

    Raises PackageError where the target exists and is not to be replaced, or cannot be written.
    """
    with _alone(target):
        _check_target(target, force)


def _check_target(target: Path, force: bool) -> None:
    put_back(target)
    if target.exists() and not force:
        raise PackageError(
            f"{target} exists; choose another name with -o, or replace it with --force"
        )
    if target.exists() and not (target / MANIFEST_FILE).is_file():
        raise PackageError(f"{target} is not a package, so --force does not replace it")
    _remove(_partial(target))
    try:
        _partial(target).mkdir()
    except OSError as error:
        raise _cannot_write(target, error) from error
    _remove(_partial(target))


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Other processes that write a package into the same folder wait meanwhile."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
    except OSError as error:
        raise _cannot_write(target, error) from error
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def read_settings(package: Path) -> Mapping[str, Any]:
    """The canonical configuration of the encode that wrote a package.

    Raises PackageError where the package does not tell.
    """
    path = package / REPORT_FOLDER / SETTINGS_FILE
    try:
        settings = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} does not tell how the package was encoded: {error}") from None
    if not isinstance(settings, dict):
        raise PackageError(f"{path} does not tell how the package was encoded")
    return settings


def write_package(
    target: Path, parts: PackageParts, *, force: bool = False, sign: Sign | None = None
) -> Manifest:
    """Write a package folder at `target` and return its manifest; with `sign`, signed.

    Raises PackageError where it exists already (unless `force`) or cannot be written; then nothing
    is left behind, and a package that was there before is still there. A kill too leaves either
    that or the new one.
    """
    with _alone(target):
        _check_target(target, force)
        return _write_and_rename(target, parts, sign)


def _write_and_rename(target: Path, parts: PackageParts, sign: Sign | None) -> Manifest:
    partial = _partial(target)
    try:
        manifest = _write(partial, parts)
        if sign is not None:
            (partial / SIGNATURE_FILE).write_text(sign((partial / MANIFEST_FILE).read_bytes()))
        if target.exists():
            exchange(partial, target)
            _remove(partial)
        else:
            partial.rename(target)
    except OSError as error:
        _remove(partial)
        raise _cannot_write(target, error) from error
    except BaseException:
        _remove(partial)
        raise
    return manifest


def _write(folder: Path, parts: PackageParts) -> Manifest:
    for name in ("video", "plans", "plates", "maps"):
        (folder / name).mkdir(parents=True)
    assets: dict[str, Asset] = {}
    rungs = tuple(_write_rung(folder, rung, assets) for rung in parts.rungs)
    coloured = any(rung.chroma_tolerance is not None for rung in rungs)
    plain = CHROMA_VERSION if coloured else PLAIN_VERSION
    manifest = Manifest(
        version=plain if all(rung.compute is None for rung in rungs) else VERSION,
        id=package_id(parts.source.sha256, dict(parts.config)),
        name=parts.name,
        source=parts.source,
        method=Method(name=parts.method),
        segments=parts.segments,
        rungs=rungs,
        assets=assets,
        audio=_write_audio(folder, parts.audio),
        quality=parts.quality,
    )
    (folder / MANIFEST_FILE).write_bytes(manifest.to_bytes())
    (folder / REPORT_FOLDER).mkdir()
    settings = json.dumps(dict(parts.config), indent=2, ensure_ascii=False)
    (folder / REPORT_FOLDER / SETTINGS_FILE).write_text(settings, encoding="utf-8")
    if parts.survey is not None:
        (folder / REPORT_FOLDER / SURVEY_FILE).write_bytes(parts.survey)
    return manifest


def _write_rung(folder: Path, rung: RungParts, assets: dict[str, Asset]) -> Rung:
    file, maps_file = f"video/{rung.name}.mp4", f"maps/{rung.name}.maps"
    shutil.copyfile(rung.video, folder / file)
    maps = _MapsFile()
    segments = []
    plates: dict[tuple[PlatePiece, ...], int] = {}
    for part in rung.segments:
        experts = tuple(_write_asset(folder, "plan", plan, assets) for plan in part.experts)
        pieces = tuple(
            PlatePiece(
                sha256=_write_asset(folder, "plate", piece.data, assets, piece.canvas),
                region=piece.region,
                chroma=None
                if piece.chroma is None
                else _write_asset(folder, "chroma", piece.chroma, assets),
            )
            for piece in part.plate
        )
        plate = plates.setdefault(pieces, len(plates)) if pieces else None
        segments.append(
            RungSegment(
                experts=experts,
                plate=plate,
                map=maps.add(encode_record(part.patch_map)),
                motion=None if part.views is None else maps.add(encode_motion(part.views)),
            )
        )
    (folder / maps_file).write_bytes(maps.content)
    return Rung.model_validate(
        {
            "name": rung.name,
            "width": rung.width,
            "height": rung.height,
            "scale": rung.scale,
            "codec": rung.codec,
            "profile": rung.profile,
            "file": file,
            "sha256": rung.sha256,
            "bytes": rung.bytes,
            "maps_file": maps_file,
            "plates": list(plates),
            "chroma_tolerance": rung.chroma_tolerance,
            "segments": segments,
            "quality": rung.quality,
            "compute": rung.compute,
        }
    )


class _MapsFile:
    """The bytes of a .maps file; equal records are written once."""

    def __init__(self) -> None:
        self.content = bytearray(FILE_HEADER)
        self._known: dict[bytes, MapRef] = {}

    def add(self, record: bytes) -> MapRef:
        """Append a record unless an equal one is there; return where it lies."""
        if record not in self._known:
            self._known[record] = MapRef(
                sha256=hashlib.sha256(record).hexdigest(),
                offset=len(self.content),
                bytes=len(record),
            )
            self.content += record
        return self._known[record]


def _write_asset(
    folder: Path,
    kind: str,
    data: bytes,
    assets: dict[str, Asset],
    canvas: tuple[int, int] | None = None,
) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    (folder / asset_file(sha256, kind)).write_bytes(data)
    assets[sha256] = Asset.model_validate({"kind": kind, "bytes": len(data), "canvas": canvas})
    return sha256


def _write_audio(folder: Path, audio: AudioParts | None) -> Audio | None:
    if audio is None:
        return None
    (folder / "audio").mkdir()
    shutil.copyfile(audio.file, folder / "audio" / "track.ogg")
    return Audio(
        file="audio/track.ogg",
        sha256=audio.sha256,
        bytes=audio.bytes,
        channels=audio.channels,
    )


def segments_of(starts: Sequence[int], frames: int) -> tuple[Segment, ...]:
    """Segments from their first frame numbers (ascending, 0 first) and the number of frames."""
    ends = [*starts[1:], frames]
    return tuple(
        Segment(start=start, frames=end - start) for start, end in zip(starts, ends, strict=True)
    )


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name}.partial")


def _remove(folder: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(folder)


def _cannot_write(target: Path, error: OSError) -> PackageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PackageError(f"{target}: the disk is full; free some space or choose another place")
    return PackageError(f"{target}: cannot be written ({error.strerror}); choose another place")
