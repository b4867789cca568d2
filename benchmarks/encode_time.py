"""How long an encode takes from nothing, and whether that grows as the video does.

    the test clips, joined to half a minute and to a minute of 720p ──► encode, timed

    python -m benchmarks.encode_time [--preset balanced] [--target-kbps 300] [--quick] [--json FILE]

`encode_minutes_per_minute` is that of the longest, `growth` its time by that of the one before, of
twice the length in seconds. `--quick`: eight and sixteen seconds, by preset fast.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.minute_clip import make_clip
from kernels.errors import CrispcastError
from server.encoding import EncodeConfig, encode

SECONDS, QUICK_SECONDS = (30.0, 60.0), (8.0, 16.0)
CLIPS = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))


@dataclass(frozen=True)
class Timed:
    """One encode: seconds of video, wall and processor seconds, what came out."""

    seconds: float
    took: float
    processor: float
    psnr_y: float
    psnr_y_bicubic: float
    kbps: float

    @property
    def minutes_per_minute(self) -> float:
        """Of wall time for the video's."""
        return self.took / self.seconds


def timed(clips: Path, seconds: float, preset: str, target: float | None, threads: int) -> Timed:
    """Encode so many seconds of the joined clips, with an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        make_clip(clips, clip, seconds)
        used, started = os.times(), time.monotonic()
        result = encode(
            EncodeConfig(
                clip,
                Path(folder) / "clip.crisp",
                preset=preset,
                target_kbps=target,
                threads=threads,
                store=Path(folder) / "store",
            )
        )
        took, now = time.monotonic() - started, os.times()
    return Timed(
        seconds,
        took,
        sum(now[:4]) - sum(used[:4]),
        result.quality.psnr_y,
        result.quality.psnr_y_bicubic,
        8 * result.sizes.total / seconds / 1000,
    )


def main(
    clips: Annotated[Path, typer.Option(help="Folder of the test clips.")] = CLIPS,
    preset: Annotated[str, typer.Option(help="Of the encodes.")] = "balanced",
    target_kbps: Annotated[float | None, typer.Option(help="With a target and its survey.")] = None,
    seconds: Annotated[list[float] | None, typer.Option(help="Lengths, shortest first.")] = None,
    threads: Annotated[int, typer.Option(help="0: all cores.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Short clips, preset fast.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures.")] = None,
) -> None:
    """Time encodes of two lengths."""
    lengths = tuple(seconds or (QUICK_SECONDS if quick else SECONDS))
    preset = "fast" if quick else preset
    made = []
    try:
        for length in lengths:
            made.append(timed(clips, length, preset, target_kbps, threads))
            print(
                f"{length:g} s, {preset}: {made[-1].minutes_per_minute:.1f} minutes a minute, "
                f"{made[-1].psnr_y:.2f} dB at {made[-1].kbps:.0f} kb/s",
                flush=True,
            )
    except CrispcastError as error:
        Console(stderr=True).print(f"[red]{error}", highlight=False)
        raise typer.Exit(1) from None
    found = {
        "encode_minutes_per_minute": made[-1].minutes_per_minute,
        "growth": made[-1].took / made[-2].took if len(made) > 1 else None,
        "preset": preset,
        "target_kbps": target_kbps,
        "encodes": [asdict(one) for one in made],
    }
    print(json.dumps(found, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
