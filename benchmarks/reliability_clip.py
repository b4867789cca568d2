"""The short clip that the encodes of `benchmarks.reliability` are of: real footage, made small."""

from __future__ import annotations

import itertools
import os
from fractions import Fraction
from pathlib import Path

import av

from benchmarks import demo_clip

SECONDS, FPS = 1, 24


def clips_folder() -> Path:
    """The folder of the test clips (CRISPCAST_CLIPS), which need not be there."""
    return Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))


def write_clip(path: Path, width: int, height: int) -> str:
    """Write a second as an MP4 of high quality; the name of what they are from.

    That is the juggler of the test clips, or, where that is not there, the demo's drawn clip.
    """
    found = sorted(clips_folder().glob("*juggle*"))
    source = found[0] if found else path.with_name("drawn.mp4")
    if not found:
        demo_clip.make_clip(source, SECONDS + 1)
    with av.open(str(source)) as whole, av.open(str(path), "w") as container:
        options = {"crf": "10", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frames = itertools.islice(whole.decode(video=0), SECONDS * FPS)
        for number, frame in enumerate(frames):
            small = frame.reformat(width, height, "yuv420p", interpolation="AREA")
            small.pts, small.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(small))
        container.mux(stream.encode(None))
    return source.name
