"""What the chroma of plates gains and costs: encodes with it and without, reported on every frame.

    CLIP, and a recording of a screen that is drawn here ──► encode, chroma auto ──► PSNR-RGB, bytes
                                                        └──► encode, chroma off, at some CRFs

    python -m benchmarks.chroma [--clip VIDEO]… [--crf 33] [--steps 300] [--json FILE]

`gain_at_bytes` is what is left of the gain against a video that has the same bytes in all. The clip
of a still camera is looked for where CRISPCAST_CLIPS points (../shared/clips).
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

import numpy as np
import typer

from benchmarks.screen_clip import make_clip
from client_sdk.contract import open_package
from kernels.runtime import ChromaPlate, Engine
from overfit.measurement import measure
from server.encoding import EncodeConfig, encode

LOWER = 3.0
"""How much the second encode without chroma has below the CRF: about twice the chroma's bytes."""


@dataclass(frozen=True)
class Point:
    """One encode: bytes of all that a viewer downloads for the picture, and dB."""

    crf: float
    total: int
    chroma: int
    psnr_y: float
    psnr_rgb: float


def point(clip: Path, folder: Path, crf: float, chroma: str, steps: int, threads: int) -> Point:
    """Encode and measure."""
    result = encode(
        EncodeConfig(
            clip,
            folder / f"{clip.stem}.crisp",
            preset="fast",
            steps=steps,
            lr_crf=crf,
            chroma=chroma,
            threads=threads,
            store=folder / "store",
            force=True,
        )
    )
    scores = measure(open_package(result.package), clip, vmaf=False, threads=threads).scores
    rgb = scores.mean("network", "psnr_rgb")
    assert rgb is not None
    sizes = result.sizes
    made = Point(crf, sizes.total, sizes.chroma, result.quality.psnr_y, rgb)
    print(f"{clip.name} chroma {chroma}: {made}", flush=True)
    return made


def compare(clip: Path, folder: Path, crf: float, steps: int, threads: int) -> dict[str, object]:
    """With chroma, without it, and without it at more bytes of video."""
    on = point(clip, folder, crf, "auto", steps, threads)
    off, more = (point(clip, folder, other, "off", steps, threads) for other in (crf, crf - LOWER))
    slope = (more.psnr_rgb - off.psnr_rgb) / math.log(more.total / off.total)
    there = off.psnr_rgb + slope * math.log(on.total / off.total)
    return {
        "on": asdict(on),
        "off": asdict(off),
        "off_more": asdict(more),
        "gain": on.psnr_rgb - off.psnr_rgb,
        "gain_at_bytes": on.psnr_rgb - there,
    }


def mend_milliseconds(width: int = 1280, height: int = 720) -> float:
    """Median milliseconds of one core that chroma adds to a frame of this size, at scale 2."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 256, (height // 2, width // 2), dtype=np.uint8)
    u, v = (rng.integers(0, 256, (height // 4, width // 4), dtype=np.uint8) for _ in "uv")
    high = [np.maximum(plane, 1).repeat(2, 0).repeat(2, 1) for plane in (u, v)]
    plate, engine = ChromaPlate(high[0], high[1], 2, 500), Engine(1)
    spent: dict[ChromaPlate | None, list[float]] = {None: [], plate: []}
    for _ in range(100):
        for chroma, times in spent.items():
            begun = time.process_time()
            engine.upscale((y, u, v), 2, chroma=chroma)
            times.append((time.process_time() - begun) * 1000)
    return float(np.median(spent[plate]) - np.median(spent[None]))


def main(
    clip: Annotated[
        list[Path] | None, typer.Option(help="Clips instead of juggling and the screen.")
    ] = None,
    crf: float = 33.0,
    steps: int = 300,
    threads: int = 2,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
) -> None:
    """Print and write the figures."""
    clips = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    figures: dict[str, object] = {"mend_ms": mend_milliseconds()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not clip:
            clip = [clips / "sam2_05_default_juggle_720p.mp4", folder / "screen.mp4"]
            make_clip(clip[1])
        for source in clip:
            figures[source.stem] = compare(source, folder, crf, steps, threads)
    print(json.dumps(figures, indent=2))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
