"""What a canvas gains where the camera moves: encodes with and without it, at equal total bytes.

    a still 720p clip ── a window that pans, zooms, rolls over it ──► a clip of a moving camera
    CLIP or that ──► encode, canvas auto ──► bytes, PSNR-Y
               └───► encode, canvas off, at some CRFs ──► PSNR-Y at those bytes ──► the difference

    python -m benchmarks.canvas [--clip VIDEO] [--source VIDEO] [--quick] [--json FILE]

The window of 640x360 crosses the clip in its whole length by a projective map with fractions of a
sample, so the truth is real footage with its noise and its moving things, seen by a camera that
moves. Clips are looked for where CRISPCAST_CLIPS points (../shared/clips).
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.networks import SHAPES, network
from kernels.compiler import encode_plan
from kernels.runtime import Canvas, Engine, Plan, Plate
from overfit.video import probe, read_frames
from overfit.video.frames import U8
from server.encoding import EncodeConfig, encode

WINDOW = (640, 360)
CRF_ON = 34.0
CRFS_OFF = (28.0, 24.0)
Map = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """One encode: bytes of all that a viewer downloads for the picture, and dB."""

    crf: float
    total: int
    psnr_y: float
    psnr_y_bicubic: float


@dataclass(frozen=True)
class Comparison:
    """`canvas_gain`: dB over the encodes without a canvas at the bytes of the one with it."""

    frames: int
    canvases: int
    plate_bytes: int
    motion_bytes: int
    on: Point
    off: tuple[Point, ...]
    canvas_gain: float


def window(part: float, width: int, height: int) -> Map:
    """Map from the window's samples to the clip's at `part`, 0 to 1, of the way."""
    ease = 0.5 - 0.5 * math.cos(math.pi * part)
    zoom = 1.25 - 0.2 * math.cos(2 * math.pi * part)
    roll = 0.03 * math.sin(2 * math.pi * part)
    x = width * (0.27 + 0.46 * ease) + 3 * math.sin(77 * part)
    y = height * (0.35 + 0.3 * ease) + 2 * math.sin(57 * part)
    c, s = math.cos(roll) / zoom, math.sin(roll) / zoom
    w, h = WINDOW
    return np.array(
        [
            (c, -s, x - c * w / 2 + s * h / 2),
            (s, c, y - s * w / 2 - c * h / 2),
            (2e-5 * math.sin(6 * part), 1e-5 * part, 1),
        ]
    )


def write_moving(source: Path, target: Path, most: int | None) -> None:
    """A clip of the moving window, H.264 at CRF 8, of up to `most` frames."""
    info = probe(source)
    count = info.frames if most is None else min(most, info.frames)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    w, h = WINDOW
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=info.fps, options={"crf": "8"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        for frame in read_frames(source, info):
            if frame.number >= count:
                break
            there = window(frame.number / max(1, count - 1), info.width, info.height)
            luma = cv2.warpPerspective(
                frame.y, there, (w, h), flags=flags, borderMode=cv2.BORDER_REFLECT
            )
            grey = np.full((h // 2, w), 128, np.uint8)
            picture = np.concatenate([luma, grey]).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))


def compare(clip: Path, folder: Path, steps: int, threads: int) -> Comparison:
    """One encode with a canvas, several without, and the difference at the first one's bytes."""

    def point(crf: float, canvas: str) -> tuple[Point, dict[str, int]]:
        result = encode(
            EncodeConfig(
                clip,
                folder / f"{canvas}-{crf:g}.crisp",
                preset="fast",
                steps=steps,
                lr_crf=crf,
                canvas=canvas,
                threads=threads,
                store=folder / "store",
                force=True,
            )
        )
        quality, sizes = result.quality, result.sizes
        kinds = {"plates": sizes.plates, "motion": sizes.motion}
        kinds["frames"] = result.manifest.source.frames
        kinds["canvases"] = sum(a.canvas is not None for a in result.manifest.assets.values())
        made = Point(crf, sizes.total, quality.psnr_y, quality.psnr_y_bicubic)
        print(f"{clip.name} canvas {canvas}: {made}", flush=True)
        return made, kinds

    on, kinds = point(CRF_ON, "auto")
    off = tuple(point(crf, "off")[0] for crf in CRFS_OFF)
    gain = on.psnr_y - at_bytes(off, on.total)
    return Comparison(
        kinds["frames"], kinds["canvases"], kinds["plates"], kinds["motion"], on, off, gain
    )


def at_bytes(points: tuple[Point, ...], total: int) -> float:
    """PSNR-Y at `total` bytes: linear in log(bytes) between points, and beyond the last two."""
    ordered = sorted(points, key=lambda point: point.total)
    x = [math.log(point.total) for point in ordered]
    right = min(max(1, int(np.searchsorted(x, math.log(total)))), len(x) - 1)
    slope = (ordered[right].psnr_y - ordered[right - 1].psnr_y) / (x[right] - x[right - 1])
    return ordered[right].psnr_y + slope * (math.log(total) - x[right])


def view_milliseconds(width: int = 1280, height: int = 720) -> dict[str, float]:
    """Median milliseconds of one core that a view adds to a frame with a plate."""
    rng = np.random.default_rng(0)
    canvas_luma: U8 = rng.integers(0, 256, (1000, 2600), dtype=np.uint8)
    canvas = Canvas(canvas_luma)
    corners = [3203, 1600, 23600, 1700, 23700, 13100, 3100, 13000]
    plate = Plate(canvas.render(corners, width, height), 2)
    y = rng.integers(0, 256, (height // 2, width // 2), dtype=np.uint8)
    c = np.full((height // 4, width // 4), 128, np.uint8)
    plan = Plan(encode_plan(network(SHAPES[0], 2, 0.25, coded=True)))
    engine = Engine(1)
    spent: dict[str, list[float]] = {"canvas": [], "plate": []}
    for _ in range(60):
        for name in spent:
            begun = time.process_time()
            if name == "canvas":
                engine.upscale((y, c, c), 2, plans=[plan], canvas=canvas, view=corners)
            else:
                engine.upscale((y, c, c), 2, plans=[plan], plate=plate)
            spent[name].append((time.process_time() - begun) * 1000)
    medians = {name: float(np.median(times)) for name, times in spent.items()}
    return {
        "canvas_frame_ms": medians["canvas"],
        "canvas_view_ms": medians["canvas"] - medians["plate"],
    }


def main(
    clip: Annotated[Path | None, typer.Option(help="A clip whose camera moves, as it is.")] = None,
    source: Annotated[Path | None, typer.Option(help="A still clip for the window.")] = None,
    steps: int = 1000,
    threads: int = 2,
    quick: Annotated[bool, typer.Option(help="96 frames, 500 steps.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
) -> None:
    """Print and write the figures."""
    clips = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    source = source or clips / "sam2_05_default_juggle_720p.mp4"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if clip is None:
            clip = folder / "pan.mp4"
            write_moving(source, clip, 96 if quick else None)
        made = compare(clip, folder, 500 if quick else steps, threads)
    figures = {**asdict(made), **view_milliseconds()}
    print(json.dumps(figures, indent=2))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
