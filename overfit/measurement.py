"""Measures a package against its source, frame by frame, through the client's own upscaler.

    rung ──read_rung──► LR planes ─┬─ Upscaler ──────────► network   (what a viewer sees)
                                   ├─ Upscaler, no assets ► bicubic
                                   └─ Pillow ─────────────► lanczos
    source ──read_frames──► truth ────────────────────────► compared with each of the three

Frames stream: memory holds a handful of them, however long the video.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from client_sdk.contract import Package
from client_sdk.upscaler import Upscaler
from kernels.errors import PackageError
from overfit.metrics import Planes, RgbConversion, SsimReference, lanczos_planes, psnr_rgb, psnr_y
from overfit.video import Frame, VideoInfo, probe, read_frames, read_rung
from overfit.vmaf import VmafNeg, find_ffmpeg

METHODS = ("network", "bicubic", "lanczos")
METRICS = ("psnr_y", "psnr_rgb", "ssim", "vmaf_neg")

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
    """Figures of every frame.

    `figures[method][metric]` has one number per frame, in dB for PSNR; `vmaf_neg` is None where
    there is no libvmaf, and `vmaf_missing` says why. `frame_sha256` are the hashes of the network's
    HR planes (Y, then U, then V, rows without padding).
    """

    figures: dict[str, dict[str, list[float] | None]]
    vmaf_missing: str | None
    frame_sha256: list[str]
    pictures: tuple[Picture, ...]


def check_source(package: Package, source: Path) -> VideoInfo:
    """The facts of `source`. Raises PackageError if it is not the video of the package."""
    info = probe(source)
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != package.manifest.source.sha256:
        raise PackageError(
            f"{package.path} was made from another video than {source}; give the original file"
        )
    return info


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
    decoded = read_rung(package.video_path(rung_index))
    for truth in read_frames(info.path, info):
        low = next(decoded, None)
        if low is None:
            raise PackageError(f"{package.path}: its video ends at frame {truth.number}")
        yield truth, low


@dataclass(frozen=True)
class _Scores:
    psnr_y: float
    psnr_rgb: float
    ssim: float


def _score(truth: Planes, made: dict[str, Planes], to_rgb: RgbConversion) -> dict[str, _Scores]:
    reference, rgb = SsimReference.of(truth[0]), to_rgb(truth)
    return {
        method: _Scores(
            psnr_y(truth[0], planes[0]),
            psnr_rgb(rgb, to_rgb(planes)),
            reference.ssim(planes[0]),
        )
        for method, planes in made.items()
    }


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
    manifest = package.manifest
    scale = manifest.rungs[rung_index].scale
    network = Upscaler.of_package(package, rung_index, threads)
    size = (manifest.source.width, manifest.source.height)
    scorers = {method: VmafNeg(*size, threads) for method in METHODS} if vmaf else {}
    to_rgb = RgbConversion(manifest.source.colour.matrix, manifest.source.colour.range == "full")
    pending: list[Future[dict[str, _Scores]]] = []
    scores: list[dict[str, _Scores]] = []
    hashes: list[str] = []
    pictures = []
    try:
        with ThreadPoolExecutor(threads) as pool:
            for truth, low in paired_frames(package, rung_index, info):
                made = {
                    "network": network.upscale(truth.number, low.planes).planes,
                    "bicubic": _crop(network.engine.upscale(low.planes, scale), *size),
                    "lanczos": _crop(lanczos_planes(low.planes, scale), *size),
                }
                hashes.append(frame_hash(made["network"]))
                if truth.number in shown:
                    pictures.append(Picture(truth.number, truth.planes, made))
                for method, scorer in scorers.items():
                    scorer.add(truth.planes, made[method])
                pending.append(pool.submit(_score, truth.planes, made, to_rgb))
                if len(pending) > 2 * threads:  # bounds the frames held in memory
                    scores.append(pending.pop(0).result())
                if on_frame is not None:
                    on_frame(truth.number + 1, info.frames)
            scores += [future.result() for future in pending]
        figures: dict[str, dict[str, list[float] | None]] = {
            method: {
                metric: [getattr(frame[method], metric) for frame in scores]
                for metric in ("psnr_y", "psnr_rgb", "ssim")
            }
            for method in METHODS
        }
        for method in METHODS:
            figures[method]["vmaf_neg"] = scorers[method].scores() if vmaf else None
    finally:
        for scorer in scorers.values():
            scorer.close()
    missing = None
    if figures["network"]["vmaf_neg"] is None:
        missing = (find_ffmpeg().reason or "libvmaf failed") if vmaf else "not asked for"
    return Measurement(figures, missing, hashes, tuple(pictures))


def _crop(planes: Planes, width: int, height: int) -> Planes:
    y, u, v = planes
    half = (height + 1) // 2, (width + 1) // 2
    return y[:height, :width], u[: half[0], : half[1]], v[: half[0], : half[1]]
