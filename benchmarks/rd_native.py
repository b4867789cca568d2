"""Native rivals: x264, x265 and SVT-AV1 at full size, each at its best setting for PSNR.

    source ──read_frames──► I420 ──pipe──► ffmpeg ──► elementary stream (kept)
                              │                             │ PyAV
                              └──────── ClipScorer ◄────────┘

Equal effort: our rungs are x264 slow or SVT-AV1 preset 4, so x264 and x265 run at slow, and SVT-AV1
at the preset whose processor time is next above x265's (preset 4: 1.4 times; `cpu_seconds` is kept
with every point). All are tuned for PSNR, which also switches psycho-visual optimisation off.
Constrained as WebRTC is: an IDR at least every two seconds, closed GOPs, no B-frames (SVT-AV1 keeps
its pyramid: what AV1 codes early travels hidden inside units that show a picture). Free: the
encoder's own GOPs, up to 250 frames. Bytes are those of the elementary stream without settings in
SEI and without temporal delimiters.
"""

import math
import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
from av.error import FFmpegError

from benchmarks.rd_cache import Cache, Clip, Json
from benchmarks.rd_point import RdPoint, clip_figures
from kernels.errors import CrispcastError
from overfit.scoring import VERSION as SCORES_VERSION
from overfit.scoring import ClipScorer, Scoring
from overfit.video import Planes, read_frames
from overfit.video.frames import raw_planes

IDR_SECONDS = 2
FREE_GOP = 250
"""Frames between intra pictures without constraints: x264's and x265's default."""
THREADS = 2


@dataclass(frozen=True)
class Encoder:
    """One encoder: ffmpeg's names, its effort, and the CRFs that a curve may use, best first.

    `parameters` is ffmpeg's option for the encoder's own parameters, `common` those of every
    encode, `closed` those that WebRTC's constraints add to `-g` and `-bf 0`.
    """

    name: str
    codec: str
    container: str
    preset: str
    tune: str
    parameters: str
    common: str
    closed: str
    crfs: tuple[int, ...]
    start: int
    """Index in `crfs` of the point from which a curve grows both ways."""


ENCODERS = (
    Encoder(
        name="x264",
        codec="libx264",
        container="h264",
        preset="slow",
        tune="psnr",
        parameters="-x264-params",
        common=f"threads={THREADS}",
        closed="open-gop=0",
        crfs=(16, 20, 24, 28, 32, 36, 40, 44, 48, 51),
        start=5,
    ),
    Encoder(
        name="x265",
        codec="libx265",
        container="hevc",
        preset="slow",
        tune="psnr",
        parameters="-x265-params",
        common=f"info=0:log-level=1:pools={THREADS}",
        closed="open-gop=0",
        crfs=(15, 19, 23, 27, 31, 35, 39, 43, 47, 51),
        start=5,
    ),
    Encoder(
        name="svtav1",
        codec="libsvtav1",
        container="obu",
        preset="4",
        tune="",
        parameters="-svtav1-params",
        common=f"tune=1:lp={THREADS}",
        closed="irefresh-type=2",
        crfs=(20, 27, 34, 41, 48, 55, 60, 63),
        start=4,
    ),
)


@dataclass(frozen=True)
class Rival:
    """An encoder, with WebRTC's constraints or without."""

    encoder: Encoder
    constrained: bool

    @property
    def name(self) -> str:
        """`x265`, or `x265-free` without the constraints."""
        return self.encoder.name + ("" if self.constrained else "-free")

    def arguments(self, clip: Clip, crf: int) -> list[str]:
        """ffmpeg's arguments from the codec to the bit rate."""
        encoder, own = self.encoder, self.encoder.common
        arguments = ["-c:v", encoder.codec, "-preset", encoder.preset, "-crf", str(crf)]
        if encoder.tune:
            arguments += ["-tune", encoder.tune]
        if self.constrained:
            arguments += ["-g", str(round(IDR_SECONDS * clip.info.fps)), "-bf", "0"]
            own += f":{encoder.closed}"
        else:
            arguments += ["-g", str(FREE_GOP)]
        return [*arguments, encoder.parameters, own]


RIVALS = tuple(Rival(encoder, constrained) for constrained in (True, False) for encoder in ENCODERS)


def ffmpeg() -> str:
    """imageio-ffmpeg's program: recent encoders, and the same ones for everybody."""
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise CrispcastError("no ffmpeg for the rivals: pip install imageio-ffmpeg") from error


def beginning(clip: Clip, seconds: float, folder: Path) -> Clip:
    """The first seconds of a clip, not coded anew, as a file of the same name in `folder`."""
    path = folder / clip.path.name
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    command = [ffmpeg(), "-v", "error", "-y", "-i", str(clip.path.resolve()), "-t", str(seconds)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [*command, "-map", "0:v:0", "-c", "copy", str(partial)], capture_output=True
        )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise CrispcastError(f"{clip.path} cannot be cut: {said}")
        partial.replace(path)
    except OSError as error:
        raise CrispcastError(
            f"{folder}: cannot be written ({error.strerror}); choose another --work"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return Clip.of(path)


@cache
def version(encoder: Encoder) -> str:
    """What the encoder says it is, found by encoding one black frame."""
    command = [ffmpeg(), "-v", "info", "-f", "lavfi", "-i", "color=s=256x256:d=0.1:r=10"]
    command += ["-pix_fmt", "yuv420p", "-c:v", encoder.codec, "-f", encoder.container, "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise CrispcastError(f"{ffmpeg()} has no working {encoder.codec}; update imageio-ffmpeg")
    said = (done.stdout + done.stderr).decode("latin-1")
    pattern = r"x264 - core [\w. ]+|HEVC encoder version [\w.+-]+|SVT-AV1 Encoder Lib [\w.+-]+"
    found = re.search(pattern, said)
    return found.group().strip() if found else "unknown version"


@dataclass(frozen=True)
class Stream:
    """One encoded elementary stream: bytes as they count, processor and wall seconds it took."""

    path: Path
    size: int
    cpu_seconds: float
    seconds: float
    version: str


def stream_facts(clip: Clip, rival: Rival, crf: int) -> Json:
    """All that determines a native stream."""
    return {
        "clip": clip.sha256,
        "encoder": version(rival.encoder),
        "arguments": rival.arguments(clip, crf),
    }


def native_stream(cache: Cache, clip: Clip, rival: Rival, crf: int) -> Stream:
    """Encode the whole clip, or find what was encoded before."""
    facts = stream_facts(clip, rival, crf)
    path = cache.path("streams", facts, f".{rival.encoder.container}")
    if not path.exists():
        path.with_suffix(".json").unlink(missing_ok=True)
    kept = cache.find("streams", facts)
    if kept is None or kept["file_bytes"] != path.stat().st_size:
        path.with_suffix(".json").unlink(missing_ok=True)
        kept = cache.get("streams", facts, lambda: _encode(clip, rival, crf, path))
    return Stream(path, kept["bytes"], kept["cpu_seconds"], kept["seconds"], facts["encoder"])


def _encode(clip: Clip, rival: Rival, crf: int, path: Path) -> Json:
    info = clip.info
    command = [ffmpeg(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
    command += ["-s", f"{info.width}x{info.height}", "-r", str(info.fps), "-i", "pipe:0"]
    command += rival.arguments(clip, crf)
    if rival.encoder.name == "x264":
        command += ["-bsf:v", "filter_units=remove_types=6"]
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    command += ["-f", rival.encoder.container, str(partial)]
    begun, used = time.monotonic(), _children_cpu()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError), process.stdin as pipe:
                for frame in read_frames(info.path, info):
                    for plane in frame.planes:
                        pipe.write(plane.tobytes())
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        words = said.read().decode("utf-8", "replace").strip()
    if code != 0:
        partial.unlink(missing_ok=True)
        raise CrispcastError(f"{rival.name} failed on {clip.path}: {words or f'exit {code}'}")
    file_bytes = partial.stat().st_size
    partial.replace(path)
    # A temporal delimiter, 2 bytes before each picture of AV1, is not sent over RTP.
    delimiters = 2 * info.frames if rival.encoder.container == "obu" else 0
    return {
        "file_bytes": file_bytes,
        "bytes": file_bytes - delimiters,
        "cpu_seconds": round(_children_cpu() - used, 2),
        "seconds": round(time.monotonic() - begun, 2),
    }


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def decoded(path: Path, container: str) -> Iterator[Planes]:
    """I420 planes of an elementary stream, in display order."""
    try:
        with av.open(str(path), format=container) as file:
            file.streams.video[0].thread_type = "AUTO"
            for picture in file.decode(video=0):
                y, u, v = (plane.copy() for plane in raw_planes(picture))
                yield y, u, v
    except (FFmpegError, IndexError) as error:
        raise CrispcastError(f"{path} cannot be decoded: {error}; delete it") from error


def native_point(cache: Cache, clip: Clip, rival: Rival, crf: int) -> RdPoint:
    """Encode and measure one point, or find what was measured before."""
    facts = stream_facts(clip, rival, crf) | {"scores": SCORES_VERSION}

    def make() -> Json:
        stream = native_stream(cache, clip, rival, crf)
        figures = _measure(clip, stream.path, rival.encoder.container)
        return {"bytes": stream.size, "cpu_seconds": stream.cpu_seconds, "figures": figures}

    kept = cache.get("native", facts, make)
    return RdPoint.of(clip, f"crf {crf}", kept["bytes"], kept["figures"], kept["cpu_seconds"])


def _measure(clip: Clip, path: Path, container: str) -> Json:
    info = clip.info
    scoring = Scoring(info.width, info.height, info.fps, threads=THREADS)
    with ClipScorer(("native",), scoring) as scorer:
        made = decoded(path, container)
        for truth in read_frames(info.path, info):
            planes = next(made, None)
            if planes is None:
                raise CrispcastError(f"{path} ends at frame {truth.number}; delete it")
            scorer.add(truth.planes, {"native": planes})
        if next(made, None) is not None:
            raise CrispcastError(f"{path} has more frames than {info.path}; delete it")
        return clip_figures(scorer.finish(), "native")


@dataclass(frozen=True)
class Cover:
    """What a curve must enclose, as far as the encoder goes: bytes, and PSNR-Y in dB."""

    smallest: float
    largest: float
    worst: float = math.inf
    best: float = -math.inf

    def joined(self, other: "Cover") -> "Cover":
        """What encloses both."""
        return Cover(
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
            min(self.worst, other.worst),
            max(self.best, other.best),
        )

    def below(self, point: RdPoint) -> bool:
        """Whether the point is at or below all of it."""
        return point.size <= self.smallest and point.psnr_y <= self.worst

    def above(self, point: RdPoint) -> bool:
        """Whether the point is at or above all of it."""
        return point.size >= self.largest and point.psnr_y >= self.best


def native_curve(
    cache: Cache,
    clip: Clip,
    rival: Rival,
    cover: Cover,
    on_point: Callable[[RdPoint], None] | None = None,
) -> list[RdPoint]:
    """Points of rising rate that enclose the cover."""
    crfs = rival.encoder.crfs
    points: dict[int, RdPoint] = {}

    def point(index: int) -> RdPoint:
        if index not in points:
            points[index] = native_point(cache, clip, rival, crfs[index])
            if on_point is not None:
                on_point(points[index])
        return points[index]

    index = rival.encoder.start
    while not cover.below(point(index)) and index + 1 < len(crfs):
        index += 1
    index = rival.encoder.start
    while not cover.above(point(index)) and index > 0:
        index -= 1
    return sorted(points.values(), key=lambda p: p.size)
