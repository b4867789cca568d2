"""Draws a clip for the demo with FFmpeg's own sources: no download, nothing to license.

    mandelbrot, one piece of it, bright ─────────┐
    mandelbrot, zooming in, wandering about ─► overlay ─► overlay ─► noise ─► 1280×720, 25 fps
    test card, turning, crossing the picture ───────────────┘

What stands still can be learned and what moves has to be upscaled, as in a filmed scene.
"""

import itertools
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph
from av.filter.context import FilterContext

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 25, 8

_STILL = (
    f"s={WIDTH}x{HEIGHT}:rate={FPS}:maxiter=300:start_x=-0.7435:start_y=0.1318"
    ":start_scale=0.012:end_scale=0.012"
)
_ZOOM = (
    f"s=480x270:rate={FPS}:maxiter=200:start_x=-0.16:start_y=1.0405"
    ":start_scale=0.5:end_scale=0.02:end_pts=300"
)


def _chain(graph: Graph, *filters: tuple[str, str]) -> tuple[FilterContext, FilterContext]:
    """Filters linked one after the other: (first, last)."""
    nodes = [graph.add(name, arguments) for name, arguments in filters]
    for before, after in itertools.pairwise(nodes):
        before.link_to(after)
    return nodes[0], nodes[-1]


def _graph() -> Graph:
    graph = Graph()
    _, still = _chain(
        graph,
        ("mandelbrot", _STILL),
        ("format", "yuv420p"),
        ("lutyuv", "y=40+val*0.8"),
        ("trim", "end_frame=1"),
        ("loop", "loop=-1:size=1"),
        # The loop repeats the time stamp too.
        ("setpts", f"N/{FPS}/TB"),
    )
    _, zoom = _chain(graph, ("mandelbrot", _ZOOM), ("format", "yuv420p"))
    _, card = _chain(
        graph,
        ("testsrc2", f"s=200x200:rate={FPS}"),
        ("format", "yuva420p"),
        ("rotate", "t/2:c=none"),
    )
    over = graph.add("overlay", "x=400+320*sin(t*0.9):y=220+160*cos(t*0.7)")
    first, _ = _chain(
        graph,
        ("overlay", "x=60+110*t:y=60"),
        ("noise", "alls=3:allf=t:all_seed=1"),
        ("format", "yuv420p"),
        ("buffersink", ""),
    )
    still.link_to(over, 0, 0)
    zoom.link_to(over, 0, 1)
    over.link_to(first, 0, 0)
    card.link_to(first, 0, 1)
    graph.configure()
    return graph


def make_clip(path: Path, seconds: float = SECONDS) -> None:
    """Write the clip to `path` as an MP4 of high quality (x264, CRF 14)."""
    graph = _graph()
    with av.open(str(path), "w") as container:
        options = {"crf": "14", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * FPS)):
            frame = graph.vpull()
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
