"""Packages to serve for `benchmarks.serving`: coded in seconds, played for as long as is wanted.

Some seconds are coded once and their closed segments repeated; what travels is as varied as a video
of that bit rate is. Networks have random weights: time depends on their shape alone, and a wrong
plan shows in the picture all the same.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.filter import Graph

from benchmarks.networks import SHAPES, network
from client_sdk.contract import Colour, PatchMap, Segment, Source
from kernels.compiler.wire import encode_plan
from overfit.package import PackageParts, RungParts, SegmentParts, write_package


@dataclass(frozen=True)
class Video:
    """What is coded: size and rate of the LR video, and how it is cut into segments."""

    width: int = 640
    height: int = 360
    fps: int = 30
    kbps: int = 450
    segment_frames: int = 60
    segments: int = 10


def _source(video: Video) -> Graph:
    graph = Graph()
    size = f"s={video.width}x{video.height}:rate={video.fps}"
    nodes = [
        graph.add("testsrc2", size),
        graph.add("noise", "alls=6:allf=t:all_seed=1"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    for before, after in itertools.pairwise(nodes):
        before.link_to(after)
    graph.configure()
    return graph


def _coded(video: Video, path: Path) -> None:
    """Each segment a closed group of pictures, no B-frames, at a constant bit rate."""
    graph = _source(video)
    rate = str(video.kbps * 1000)
    options = {
        "preset": "veryfast",
        "b": rate,
        "maxrate": rate,
        "bufsize": rate,
        "bf": "0",
        "g": str(video.segment_frames),
        "x264-params": "scenecut=0:open-gop=0:threads=1",
    }
    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=video.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for number in range(video.segments * video.segment_frames):
            frame: Any = graph.vpull()
            frame.pts, frame.time_base = number, Fraction(1, video.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _repeated(source: Path, target: Path, fps: int, times: int) -> int:
    """Write the coded pictures `times` one after the other; how many there are then."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="mp4") as out:
        stream = given.streams.video[0]
        copy: Any = out.add_stream_from_template(stream)
        packets = [
            (bytes(packet), packet.is_keyframe) for packet in given.demux(stream) if packet.size
        ]
        for number in range(len(packets) * times):
            data, key = packets[number % len(packets)]
            packet: Any = av.Packet(data)
            packet.stream, packet.is_keyframe = copy, key
            packet.time_base = Fraction(1, fps)
            packet.pts = packet.dts = number
            packet.duration = 1
            out.mux(packet)
    return len(packets) * times


def write_serving_package(
    folder: Path, name: str, video: Video, *, times: int, scale: int, plans: Sequence[bytes] = ()
) -> Path:
    """Write `folder/NAME.crisp`: the video repeated; segment i has plan i modulo their number.

    Without plans all is interpolated.
    """
    once, whole = folder / f"{name}-once.mp4", folder / f"{name}.mp4"
    _coded(video, once)
    frames = _repeated(once, whole, video.fps, times)
    data = whole.read_bytes()
    count = frames // video.segment_frames
    patch_map = PatchMap.uniform(video.width, video.height, 1 if plans else 0)
    parts = tuple(
        SegmentParts(patch_map, (plans[index % len(plans)],) if plans else ())
        for index in range(count)
    )
    digest = hashlib.sha256(data).hexdigest()
    rung = RungParts(
        name="lr",
        width=video.width,
        height=video.height,
        scale=scale,
        codec="h264",
        profile="high",
        video=whole,
        sha256=digest,
        bytes=len(data),
        segments=parts,
    )
    size = (video.width * scale, video.height * scale)
    source = Source(
        sha256=digest,
        width=size[0],
        height=size[1],
        frames=frames,
        fps=(video.fps, 1),
        colour=Colour(),
        audio=False,
    )
    package = PackageParts(
        name=name,
        source=source,
        config={"name": name},
        method="stdo" if plans else "none",
        segments=tuple(
            Segment(start=index * video.segment_frames, frames=video.segment_frames)
            for index in range(count)
        ),
        rungs=(rung,),
    )
    target = folder / f"{name}.crisp"
    write_package(target, package)
    for path in (once, whole):
        path.unlink()
    return target


def plain_package(folder: Path, seconds: int) -> Path:
    """360p30 at 450 kb/s, without networks: what the capacity is measured with."""
    video = Video()
    times = -(-seconds * video.fps // (video.segments * video.segment_frames))
    return write_serving_package(folder, "plain", video, times=times, scale=2)


def networked_package(folder: Path, seconds: int, *, width: int = 480, scale: int = 4) -> Path:
    """270p30 x4 by the default network at a quarter of its taps, another one every segment."""
    height = width * 9 // 16
    video = Video(width=width, height=height - height % 2, kbps=300, segment_frames=30, segments=10)
    plans = [
        encode_plan(network(SHAPES[1], scale, 0.25, seed=seed, coded=True)) for seed in range(5)
    ]
    times = -(-seconds * video.fps // (video.segments * video.segment_frames))
    return write_serving_package(folder, "network", video, times=times, scale=scale, plans=plans)
