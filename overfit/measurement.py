"""Measures a package against its source, frame by frame, through the client's own upscaler.

    rung ──read_rung──► LR planes ─┬─ Upscaler ──────────► network   (what a viewer sees)
                                   ├─ Upscaler, no assets ► bicubic
                                   └─ Pillow ─────────────► lanczos
    source ──read_frames──► truth ────────────────────────► compared with each of the three

Frames stream: memory holds a handful of them, however long the video.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from client_sdk.contract import Package
from client_sdk.upscaler import Upscaler
from kernels.errors import PackageError
from kernels.runtime import Engine
from overfit.metrics import Planes, RgbConversion, SeamGrid, lanczos_planes
from overfit.patch_quality import PatchErrors, SegmentPatches
from overfit.scoring import ClipScorer, Scores, Scoring
from overfit.video import Frame, VideoInfo, probe, read_frames, read_rung

METHODS = ("network", "bicubic", "lanczos")

OnFrame = Callable[[int, int], None]
"""Called with the number of frames done and of all frames."""


@dataclass(frozen=True)
class Picture:
    """One frame kept for showing: the truth and what each method made of it."""

    frame_number: int
    truth: Planes
    made: dict[str, Planes]


@dataclass(frozen=True)
class Measurement:
    """Figures of every frame of `METHODS`, and `patches` of every segment.

    `frame_sha256` are the hashes of the network's HR planes (Y, then U, then V, rows without
    padding).
    """

    scores: Scores
    frame_sha256: list[str]
    pictures: tuple[Picture, ...]
    patches: tuple[SegmentPatches, ...]


def check_source(package: Package, source: Path) -> VideoInfo:
    """The facts of `source`. Raises PackageError if it is not the video of the package."""
    info = probe(source)
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != package.manifest.source.sha256:
        raise PackageError(
            f"{package.path} was made from another video than {source}; give the original file"
        )
    # A package of before pixels were made square has the size of the file's pixels.
    size = package.manifest.source
    return replace(info, width=size.width, height=size.height)


def frame_hash(planes: Planes) -> str:
    """SHA-256 (hex) of Y, U and V, rows without padding."""
    digest = hashlib.sha256()
    for plane in planes:
        digest.update(plane.tobytes())
    return digest.hexdigest()


def paired_frames(
    package: Package, rung_index: int, info: VideoInfo
) -> Iterator[tuple[Frame, Frame]]:
    """(source frame, decoded LR frame) of every frame number. Raises PackageError if any lacks."""
    rung = package.manifest.rungs[rung_index]
    decoded = read_rung(package.video_path(rung_index), (rung.width, rung.height))
    for truth in read_frames(info.path, info):
        low = next(decoded, None)
        if low is None:
            raise PackageError(f"{package.path}: its video ends at frame {truth.number}")
        yield truth, low


def measure(
    package: Package,
    source: Path,
    rung_index: int = 0,
    *,
    vmaf: bool = True,
    threads: int = 2,
    shown: tuple[int, ...] = (),
    on_frame: OnFrame | None = None,
) -> Measurement:
    """Measure every frame of a rung; `shown` are frame numbers to keep as pictures.

    Raises PackageError: another source, a damaged package.
    """
    info = check_source(package, source)
    colour, scale = package.manifest.source.colour, package.manifest.rungs[rung_index].scale
    network, engine = Upscaler.of_package(package, rung_index, threads), Engine(threads)
    size = info.width, info.height
    to_rgb = RgbConversion(colour.matrix, colour.range == "full")
    scoring = Scoring(*size, info.fps, scale, to_rgb, vmaf, threads)
    seams = _SeamGrids(package, rung_index)
    patches = PatchErrors(package, rung_index)
    hashes: list[str] = []
    pictures = []
    with ClipScorer(METHODS, scoring) as scorer:
        for truth, low in paired_frames(package, rung_index, info):
            made = {
                "network": network.upscale(truth.number, low.planes).planes,
                "bicubic": _crop(engine.upscale(low.planes, scale), *size),
                "lanczos": _crop(lanczos_planes(low.planes, scale), *size),
            }
            hashes.append(frame_hash(made["network"]))
            if truth.number in shown:
                pictures.append(Picture(truth.number, truth.planes, made))
            patches.add(truth.y, made["network"][0], made["bicubic"][0])
            scorer.add(truth.planes, made, seams.of_frame(truth.number))
            if on_frame is not None:
                on_frame(truth.number + 1, info.frames)
        scores = scorer.finish()
    return Measurement(scores, hashes, tuple(pictures), patches.finish())


class _SeamGrids:
    """Where frames of a rung have seams; kept for as long as the patches are the same."""

    def __init__(self, package: Package, rung_index: int) -> None:
        self._package = package
        self._rung_index = rung_index
        self._known: dict[bytes, SeamGrid] = {}

    def of_frame(self, frame_number: int) -> SeamGrid:
        """Of a frame of the source."""
        manifest = self._package.manifest
        segment = manifest.segment_of(frame_number)
        scale = manifest.rungs[self._rung_index].scale
        boxes = self._package.patch_map(self._rung_index, segment).patches()[:, :4] * scale
        key = boxes.tobytes()
        if key not in self._known:
            rectangles = [(x, y, w, h) for x, y, w, h in boxes.tolist()]
            size = manifest.source.height, manifest.source.width
            self._known = {key: SeamGrid.of(rectangles, *size, scale)}
        return self._known[key]


def _crop(planes: Planes, width: int, height: int) -> Planes:
    y, u, v = planes
    half = (height + 1) // 2, (width + 1) // 2
    return y[:height, :width], u[: half[0], : half[1]], v[: half[0], : half[1]]
