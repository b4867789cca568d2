"""Joins the test clips to a video of any length in 720p: shots of many kinds, as in a programme.

    juggle, cups, coffee: whole │ bbb, from its first shot on, at 720p │ … and over again

Every picture is shown for a twenty-fifth of a second, whatever its clip's own rate.
"""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from kernels.errors import CrispcastError
from overfit.video import Planes, probe, read_frames
from overfit.video.frames import picture_of

WIDTH, HEIGHT, FPS = 1280, 720, 25
CLIPS = ("juggle", "cups", "coffee", "bbb")
_TITLE = 300
"""Frames of bbb's title card, which are passed over."""
_CRF = "10"


def make_clip(clips: Path, path: Path, seconds: float = 60) -> None:
    """Write the first `seconds` to `path`, an MP4 by x264 at a CRF of 10.

    `clips` is the folder of the test clips. Raises CrispcastError where one of them is missing.
    """
    found = []
    for name in CLIPS:
        one = next((file for file in sorted(clips.glob("*")) if name in file.name), None)
        if one is None:
            raise CrispcastError(f"{clips} has no clip with {name} in its name; set --clips")
        found.append(one)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=FPS, options={"crf": _CRF, "preset": "veryfast"}
        )
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        shown = itertools.islice(_over_and_over(found), round(seconds * FPS))
        for number, planes in enumerate(shown):
            frame = picture_of(planes).reformat(WIDTH, HEIGHT, "yuv420p", interpolation="AREA")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _over_and_over(clips: list[Path]) -> Iterator[Planes]:
    while True:
        for clip in clips:
            skipped = _TITLE if "bbb" in clip.name else 0
            for frame in itertools.islice(read_frames(clip, probe(clip)), skipped, None):
                yield frame.planes
