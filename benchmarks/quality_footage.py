"""Excerpts of clips for `benchmarks.quality`: HR frames, and their LR clean or decoded.

clip ─► HR frames ─► bicubic LR ─┬─ clean: segments of a quarter of a second, as papers cut
                                 │         patches anew in every frame
                                 └─ decoded: H.264 of a bit rate, segments as an encode has
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.footage import STARTS
from benchmarks.rd_cache import Cache, Clip
from kernels.errors import CrispcastError
from kernels.runtime import Engine
from overfit.chunking import Segment, SegmentConfig, find_cuts, make_segments
from overfit.methods import Scene
from overfit.metrics import Planes, RgbConversion, psnr_y
from overfit.video import Frame, RungConfig, downscale, pad, read_frames, read_rung, write_rung

LrKind = Literal["clean", "decoded"]
KBPS = 250
"""Of a video of 1280x720; others have as many bits a pixel."""
VIDEO_SHARE = 0.95
"""Of those, what the video of a package gets: the rest is for plans and maps."""
CURVE = (VIDEO_SHARE, 1.0, 1.1)
"""Shares of those that plain interpolation is measured at."""
CLEAN_SEGMENT = 0.25
"""Seconds for which a patch of clean LR keeps its chunk."""
_PIXELS = 1280 * 720


@dataclass(frozen=True)
class Excerpt:
    """`length` frames of a clip from number `first` on; decoded when they are asked for.

    `measured`: which of them quality is read off.
    """

    clip: Clip
    name: str
    first: int
    length: int
    measured: tuple[int, ...]

    @classmethod
    def of(cls, clip: Clip, name: str, seconds: float, every: int) -> Excerpt:
        """The first seconds, or those of `STARTS`; every so many frames are measured.

        Raises CrispcastError where fewer than two frames are left.
        """
        info = clip.info
        first = min(round(STARTS.get(name, 0.0) * info.fps), max(0, info.frames - 2))
        length = min(info.frames - first, round(seconds * info.fps))
        if length < 2:
            raise CrispcastError(
                f"{clip.path}: {seconds:g} s are fewer than two frames; take more --seconds"
            )
        return cls(clip, name, first, length, tuple(range(every // 2, length, every)))

    @cached_property
    def frames(self) -> tuple[Planes, ...]:
        """The HR frames."""
        every = read_frames(self.clip.path, self.clip.info)
        wanted = itertools.islice(every, self.first, self.first + self.length)
        return tuple(frame.planes for frame in wanted)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.length / float(self.clip.info.fps)

    @property
    def facts(self) -> dict[str, object]:
        """What results depend on."""
        span = [self.first, self.length]
        return {"clip": self.clip.sha256, "span": span, "measured": list(self.measured)}

    def size(self, kbps: float) -> float:
        """Bytes of so many kb/s (1000 bits)."""
        return kbps * 125 * self.seconds

    def kbps(self, size: float) -> float:
        """kb/s of so many bytes."""
        return size / 125 / self.seconds

    @property
    def budget(self) -> float:
        """kb/s of a video of its size that has as many bits a pixel as `KBPS` have of 720p."""
        return KBPS * self.clip.info.width * self.clip.info.height / _PIXELS

    def low(self, scale: int) -> tuple[Planes, ...]:
        """The clean LR."""
        return tuple(downscale(Frame(n, *planes), scale) for n, planes in enumerate(self.frames))

    def segments(self) -> list[Segment]:
        """As an encode has them."""
        cuts = find_cuts((planes[0] for planes in self.frames), SegmentConfig())
        return make_segments(self.length, cuts, self.clip.info.fps, SegmentConfig())


@dataclass(frozen=True)
class Footage:
    """An excerpt at one scale, from one kind of LR; made when it is asked for.

    Clean LR is bicubic, as papers have it; decoded LR is what a viewer decodes at `VIDEO_SHARE` of
    the excerpt's budget.
    """

    excerpt: Excerpt
    kind: LrKind
    scale: int

    @cached_property
    def lr(self) -> tuple[Planes, ...]:
        """The LR frames."""
        return self._coded[0]

    @cached_property
    def video(self) -> int:
        """Bytes of the LR; 0 if it is clean."""
        return self._coded[1]

    @cached_property
    def scene(self) -> Scene:
        """What networks are trained on."""
        height, width = self.lr[0][0].shape
        size = self.scale * height, self.scale * width
        hr = np.stack([pad(planes[0], *size) for planes in self.excerpt.frames])
        return Scene.of(np.stack([planes[0] for planes in self.lr]), hr, tuple(self._segments))

    @cached_property
    def _segments(self) -> list[Segment]:
        if self.kind == "decoded":
            return self.excerpt.segments()
        whole = self.excerpt.length
        length = max(1, round(self.excerpt.clip.info.fps * CLEAN_SEGMENT))
        return [Segment(start, min(length, whole - start)) for start in range(0, whole, length)]

    @cached_property
    def _coded(self) -> tuple[tuple[Planes, ...], int]:
        low = self.excerpt.low(self.scale)
        if self.kind == "clean":
            return low, 0
        return coded(self.excerpt, low, 1000 * VIDEO_SHARE * self.excerpt.budget, self._segments)

    @property
    def facts(self) -> dict[str, object]:
        """What results depend on."""
        rate = VIDEO_SHARE * self.excerpt.budget if self.kind == "decoded" else None
        return {**self.excerpt.facts, "lr": self.kind, "scale": self.scale, "kbps": rate}

    @property
    def rgb(self) -> RgbConversion:
        """The source's matrix and range."""
        colour = self.excerpt.clip.info.colour
        return RgbConversion(colour.matrix, colour.range == "full")


def coded(
    excerpt: Excerpt, low: Sequence[Planes], bitrate: float, segments: Sequence[Segment]
) -> tuple[tuple[Planes, ...], int]:
    """The LR as it is decoded from H.264 of `bitrate` bits a second, and its bytes."""
    starts = [segment.start for segment in segments]
    config = RungConfig(bitrate=round(bitrate))
    with tempfile.TemporaryDirectory() as folder:
        rung = Path(folder) / "rung.mp4"
        facts = write_rung(
            lambda: iter(low), rung, info=excerpt.clip.info, starts=starts, config=config
        )
        return tuple(frame.planes for frame in read_rung(rung)), facts.bytes


@dataclass(frozen=True)
class BicubicCurve:
    """PSNR-Y in dB of plain interpolation over bytes of its video, rising."""

    bytes: tuple[float, ...]
    psnr_y: tuple[float, ...]

    @classmethod
    def of(cls, excerpt: Excerpt, scale: int, cache: Cache) -> BicubicCurve:
        """Encoded at `CURVE` of the excerpt's budget, or found."""

        def make() -> dict[str, list[float]]:
            low, segments = excerpt.low(scale), excerpt.segments()
            sizes, quality = [], []
            for share in CURVE:
                lr, size = coded(excerpt, low, 1000 * share * excerpt.budget, segments)
                sizes.append(float(size))
                quality.append(_interpolated(excerpt, lr, scale))
            return {"bytes": sizes, "psnr_y": quality}

        facts = {**excerpt.facts, "scale": scale, "curve": CURVE, "budget": excerpt.budget}
        made = cache.get("quality-bicubic", facts, make)
        return cls(tuple(made["bytes"]), tuple(made["psnr_y"]))

    def at(self, size: float) -> float:
        """dB for so many bytes, on a line over their logarithm that goes on beyond the ends."""
        x, y = np.log2(self.bytes), self.psnr_y
        place = int(np.clip(np.searchsorted(x, math.log2(size)), 1, len(x) - 1))
        slope = (y[place] - y[place - 1]) / (x[place] - x[place - 1])
        return float(y[place] + slope * (math.log2(size) - x[place]))


def _interpolated(excerpt: Excerpt, lr: Sequence[Planes], scale: int) -> float:
    engine = Engine(1)
    found = []
    for number in excerpt.measured:
        truth = excerpt.frames[number][0]
        made = engine.upscale(lr[number], scale)[0]
        found.append(psnr_y(made[: truth.shape[0], : truth.shape[1]], truth))
    return float(np.mean(found))
