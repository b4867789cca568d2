"""Opening a package: the folder `NAME.crisp` that an encode writes, checked file by file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from client_sdk.contract.bounds import MAX_MANIFEST_BYTES
from client_sdk.contract.manifest import Manifest, parse_manifest
from client_sdk.contract.motion import Views, decode_motion
from client_sdk.contract.patch_map import FILE_HEADER, FILE_MAJOR, MAGIC, PatchMap, decode_record
from client_sdk.contract.plain_files import open_plain
from client_sdk.contract.rung import Rung
from client_sdk.contract.signing import read_signature
from kernels.errors import PackageError

MANIFEST_FILE = "manifest.json"
SUFFIX = ".crisp"
_PLACES = {"plan": ("plans", ".plan"), "plate": ("plates", ".avif"), "chroma": ("plates", ".avif")}
_RECORDS = ("map", "motion")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a content-addressed thing lie: a file, and the range in it."""

    path: Path
    offset: int
    bytes: int
    kind: str


def asset_file(sha256: str, kind: str) -> str:
    """Path of a plan, a plate or its chroma inside a package."""
    folder, suffix = _PLACES[kind]
    return f"{folder}/{sha256}{suffix}"


@dataclass(frozen=True)
class Package:
    """A package on disk. `places` finds plans, plates, patch maps and motion by their hash.

    `signature`: of its manifest, where it is signed (docs/signing.md); nobody has checked it yet.
    """

    path: Path
    manifest: Manifest
    manifest_bytes: bytes
    places: dict[str, Place]
    signature: str | None = None

    @property
    def name(self) -> str:
        """The folder's name without `.crisp`: the name in URLs."""
        return self.path.name.removesuffix(SUFFIX)

    @cached_property
    def manifest_sha256(self) -> str:
        """The manifest's hash, by which it is sent."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @cached_property
    def uses(self) -> tuple[dict[str, list[int]], ...]:
        """For each rung and each of its assets, the segments that need it, in order."""
        return tuple(_uses(rung) for rung in self.manifest.rungs)

    @cached_property
    def asset_bytes(self) -> tuple[int, ...]:
        """For each rung, the bytes of all assets that it needs, each counted once."""
        return tuple(sum(self.places[sha256].bytes for sha256 in uses) for uses in self.uses)

    @cached_property
    def all_asset_bytes(self) -> int:
        """Bytes of the assets of all rungs, each counted once."""
        return sum(place.bytes for place in self.places.values())

    def bitrate(self, rung_index: int) -> float:
        """Bits a second of all that a viewer of a rung gets, spread over the video."""
        beside = self.manifest.per_second(self.asset_bytes[rung_index])
        return self.manifest.media_bitrate(rung_index) + beside

    def video_path(self, rung_index: int) -> Path:
        """The rung's mp4."""
        return self.path / self.manifest.rungs[rung_index].file

    @property
    def audio_path(self) -> Path | None:
        """The Ogg Opus file, where there is one."""
        audio = self.manifest.audio
        return None if audio is None else self.path / audio.file

    def asset(self, sha256: str) -> bytes:
        """The bytes of a plan, a plate or a record.

        Raises PackageError where it is not in the package, cannot be read, or has another hash.
        """
        place = self.places.get(sha256)
        if place is None:
            raise PackageError(f"{self.path}: no asset {sha256}")
        try:
            with open_plain(place.path) as file:
                file.seek(place.offset)
                data = file.read(place.bytes)
        except OSError as error:
            raise PackageError(f"{place.path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise PackageError(
                f"{place.path} is damaged: its SHA-256 is not the manifest's; encode again"
            )
        return data

    def patch_map(self, rung_index: int, segment_index: int) -> PatchMap:
        """The patch map of a segment; raises PackageError where it is damaged."""
        rung = self.manifest.rungs[rung_index]
        segment = rung.segments[segment_index]
        data = self.asset(segment.map.sha256)
        return decode_record(data, rung.width, rung.height, len(segment.experts))

    def motion(self, rung_index: int, segment_index: int) -> Views | None:
        """The views of a segment's frames of its canvas; None where it has none.

        Raises PackageError where the record is damaged.
        """
        motion = self.manifest.rungs[rung_index].segments[segment_index].motion
        if motion is None:
            return None
        return decode_motion(
            self.asset(motion.sha256), self.manifest.segments[segment_index].frames
        )


def open_package(
    path: str | os.PathLike[str], *, verify: bool = True, signed: bool = True
) -> Package:
    """Open the package folder at `path`; with `verify`, hash every file and read every map.

    Without `signed` nobody looks whether there is a signature, as who makes another one.
    Raises PackageError, naming the file: missing, of another size, damaged, of another version.
    """
    root = Path(path)
    try:
        return _opened(root, verify, signed)
    except OSError as error:
        what = error.filename or root
        raise PackageError(f"{what} cannot be read: {error.strerror}") from None


def _opened(root: Path, verify: bool, signed: bool) -> Package:
    if not root.is_dir():
        raise PackageError(f"{root} is not a package: no such folder")
    manifest_file = root / MANIFEST_FILE
    if not manifest_file.is_file():
        raise PackageError(f"{root} is not a package: it has no {MANIFEST_FILE}")
    with open_plain(manifest_file) as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    manifest = parse_manifest(data, str(manifest_file))
    signature = read_signature(root) if signed else None
    package = Package(root, manifest, data, _places(root, manifest), signature)
    _check_sizes(package)
    if verify:
        _check_content(package)
    return package


def _places(root: Path, manifest: Manifest) -> dict[str, Place]:
    places = {
        sha256: Place(root / asset_file(sha256, asset.kind), 0, asset.bytes, asset.kind)
        for sha256, asset in manifest.assets.items()
    }
    for rung in manifest.rungs:
        for segment in rung.segments:
            for kind, record in zip(_RECORDS, segment.records, strict=False):
                places[record.sha256] = Place(
                    root / rung.maps_file, record.offset, record.bytes, kind
                )
    return places


def _uses(rung: Rung) -> dict[str, list[int]]:
    uses: dict[str, list[int]] = {}
    for index in range(len(rung.segments)):
        for sha256 in rung.assets_of(index):
            uses.setdefault(sha256, []).append(index)
    return uses


def _check_sizes(package: Package) -> None:
    """Every file is there and as long as the manifest says; map records lie inside theirs."""
    manifest, root = package.manifest, package.path
    sized = [(root / rung.file, rung.bytes) for rung in manifest.rungs]
    if manifest.audio is not None:
        sized.append((root / manifest.audio.file, manifest.audio.bytes))
    sized += [(p.path, p.bytes) for p in package.places.values() if p.kind not in _RECORDS]
    for path, size in sized:
        found = _size(path)
        if found != size:
            raise PackageError(
                f"{path} has {found} bytes and the manifest says {size}: encode again"
            )
    maps = {rung.maps_file: _maps_size(root / rung.maps_file) for rung in manifest.rungs}
    for rung in manifest.rungs:
        for index, segment in enumerate(rung.segments):
            for kind, record in zip(_RECORDS, segment.records, strict=False):
                start, end = record.offset, record.offset + record.bytes
                if start < len(FILE_HEADER) or end > maps[rung.maps_file]:
                    raise PackageError(
                        f"{root / rung.maps_file}: the {kind} of segment {index} at "
                        f"{start}...{end} is outside the file of {maps[rung.maps_file]} bytes"
                    )


def _size(path: Path) -> int:
    # A link could lead out of the package, and a package is served to anybody.
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise PackageError(f"{path} is missing: encode again")
    return path.stat().st_size


def _maps_size(path: Path) -> int:
    size = _size(path)
    with open_plain(path) as file:
        header = file.read(len(FILE_HEADER))
    if header[:4] != MAGIC or len(header) < len(FILE_HEADER):
        raise PackageError(f"{path} is not a patch-map file")
    if header[4] != FILE_MAJOR:
        raise PackageError(
            f"{path} has version {header[4]}.{header[5]}; this program reads {FILE_MAJOR}.x"
        )
    return size


def _check_content(package: Package) -> None:
    manifest = package.manifest
    files = [(package.video_path(i), rung.sha256) for i, rung in enumerate(manifest.rungs)]
    if manifest.audio is not None:
        files.append((package.path / manifest.audio.file, manifest.audio.sha256))
    for path, sha256 in files:
        digest = hashlib.sha256()
        with open_plain(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != sha256:
            raise PackageError(
                f"{path} is damaged: its SHA-256 is not the manifest's; encode again"
            )
    for sha256 in manifest.assets:
        package.asset(sha256)
    for rung_index in range(len(manifest.rungs)):
        for segment_index in range(len(manifest.segments)):
            package.patch_map(rung_index, segment_index)
            package.motion(rung_index, segment_index)
