"""The whole way of a video, once, for people to see: encode, serve, play, report.

    python -m benchmarks.demo [--video PATH] [--folder demo] [--steps 1000] [--crf 32]

The server is a process of its own and the player gets everything from it over WebRTC.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import crispcast
from benchmarks.demo_clip import make_clip
from benchmarks.y4m import frame_hashes
from overfit.report import Report, report
from server.encoding.display import EncodeDisplay, FrameDisplay


@contextmanager
def served(package: Path) -> Iterator[str]:
    """Serve a package on a free port while the block runs; gives its WHEP URL."""
    command = [sys.executable, "-m", "crispcast", "serve", str(package), "--port", "0"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise crispcast.CrispcastError(f"the server of {package} did not start")
        yield url
    finally:
        server.terminate()
        server.wait()


def table(encoded: dict[str, Any], reported: Report, played: dict[str, Any], exact: str) -> str:
    """What was gained and what it cost, as lines of text."""
    document = reported.document
    methods = document["methods"]
    lines = [
        f"{'':22}{'network':>10}{'bicubic':>10}{'Lanczos':>10}",
        *(
            f"{title:22}" + "".join(_cell(methods[m][metric]) for m in methods)
            for title, metric in (
                ("PSNR-Y, dB", "psnr_y"),
                ("PSNR-RGB, dB", "psnr_rgb"),
                ("SSIM", "ssim"),
                ("VMAF-NEG", "vmaf_neg"),
            )
        ),
        "",
        *(f"{name:22}{size:>10} bytes" for name, size in document["bytes"].items()),
        f"{'rate':22}{document['kbps_total']:>10.1f} kb/s, video alone "
        f"{document['kbps_video']:.1f}",
        f"{'encoded in':22}{encoded['seconds']:>10.1f} s",
        "",
        f"{'played':22}{played['frames']:>10} frames, {played['frames_sr']} super-resolved, "
        f"{played['frames_interpolated']} interpolated, {played['frames_lost']} lost",
        f"{'speed':22}{played['fps']:>10.1f} fps, {played['upscale_ms_median']:.1f} ms to upscale "
        f"a frame ({played['isa']})",
        f"{'first frame':22}{played['first_frame_ms'] or 0:>10.0f} ms, late plans "
        f"{played['late_plans']}",
        f"{'as reported':22}{exact:>10}",
        f"{'report':22}{reported.page_file}",
    ]
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.3f}"


def main() -> int:
    """Run the demo; 0 if every frame played was the one that the report measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--video", type=Path, help="a video of yours; drawn here if unset")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where all is written")
    parser.add_argument("--steps", type=int, default=1000, help="training steps")
    parser.add_argument("--crf", type=float, default=32.0, help="x264 CRF of the rung")
    options = parser.parse_args()
    begun = time.monotonic()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    video: Path = options.video or folder / "drawn.mp4"
    if options.video is None and not video.exists():
        print("drawing a clip", file=sys.stderr)
        make_clip(video)
    package = folder / f"{video.stem}.crisp"
    try:
        with EncodeDisplay() as display:
            encoded = crispcast.encode(
                video,
                package,
                on_progress=display,
                preset="fast",
                steps=options.steps,
                lr_crf=options.crf,
                force=True,
            )
        with FrameDisplay("measuring") as shown:
            reported = report(package, video, on_progress=shown)
        screen = folder / "played.y4m"
        with served(package) as url:
            print(f"playing {url}", file=sys.stderr)
            played = json.loads(crispcast.play(url, out=screen).to_json())
    except crispcast.CrispcastError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    expected = reported.document["frame_sha256"]
    seen = list(frame_hashes(screen))
    equal = sum(a == b for a, b in zip(expected, seen, strict=False))
    screen.unlink()
    exact = f"{equal} of {len(expected)} frames played equal the report's bit for bit"
    print(table(encoded.to_json(), reported, played, exact))
    print(f"all of it took {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 0 if equal == len(expected) == len(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
