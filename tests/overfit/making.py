"""Makes real video files of every awkward kind, by PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph

from overfit.video.x264 import same_each_time


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Luma of a test picture, u8 [height, width]: texture that moves one pixel a frame."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    wave = 40 * np.sin((x + number) / 5) + 30 * np.cos(y / 7 + number / 9) + 118
    return np.clip(wave, 16, 235).astype(np.uint8)


def texture(seed: int, width: int = 96, height: int = 64) -> np.ndarray:
    """Luma of detail two samples wide, u8 [height, width]: networks learn it at once."""
    codes = np.random.default_rng(seed).integers(20, 230, (height // 2, width // 2))
    return codes.astype(np.uint8).repeat(2, 0).repeat(2, 1)


def settled(codec: str, options: dict[str, str]) -> dict[str, str]:
    """An encoder's options, of good quality where they say nothing, and with the same bytes always.

    Videos that differ from run to run make tests that fail now and then.
    """
    if codec != "libx264":
        return options
    params = [f"{key}={value}" for key, value in same_each_time().items()]
    made = options or {"crf": "12"}
    return {**made, "x264-params": ":".join(params)} if params else made


def write_frames(
    path: Path, lumas: Sequence[np.ndarray], chroma: tuple[np.ndarray, np.ndarray] | None = None
) -> Path:
    """Writes pictures u8 [height, width] as an H.264 video of 25 frames a second.

    `chroma`: U and V of all of them, u8 [height / 2, width / 2]; none is grey.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=settled("libx264", {}))
        stream.height, stream.width = lumas[0].shape
        for luma in lumas:
            frame = gray_frame(np.ascontiguousarray(luma), "yuv420p")
            for plane, codes in zip(frame.planes[1:], chroma or (), strict=False):
                target = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
                target.flags.writeable = True
                target[:, : plane.width] = codes
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def passed_by(still: np.ndarray, frames: int = 50) -> list[np.ndarray]:
    """Pictures of this one, u8 [height, width], while something bright passes in front of it."""
    lumas = [still.copy() for _ in range(frames)]
    for number, luma in enumerate(lumas):
        luma[20:60, 3 * number : 3 * number + 40] = 235
    return lumas


def write_video(
    path: Path,
    *,
    width: int = 96,
    height: int = 64,
    frames: int = 12,
    fps: Fraction = Fraction(25),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    full_range: bool = False,
    times: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    audio: float | None = None,
    aspect: Fraction | None = None,
    colour: tuple[int, int, int] = (1, 1, 1),
) -> Path:
    """Writes a video; `times` are timestamps in `time_base`, `audio` seconds of a late tone."""
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=fps, options=settled(codec, options or {}))
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, pix_fmt
        context.color_range = 2 if full_range else 1
        context.color_primaries, context.color_trc, context.colorspace = colour
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        base = time_base or 1 / fps
        context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        track = None
        if audio is not None:
            track = container.add_stream("aac", rate=44100)
            track.codec_context.layout = "stereo"
        stamps = list(times) if times is not None else list(range(frames))
        for number, stamp in enumerate(stamps):
            frame = gray_frame(picture(number, width, height), pix_fmt)
            frame.pts, frame.time_base = stamp, base
            frame.color_range = context.color_range
            frame.color_primaries, frame.color_trc, frame.colorspace = colour
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None and audio is not None:
            _tone(container, track, audio)
    return path


def gray_frame(luma: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """A picture of any planar YUV format with this luma (scaled to its depth) and grey chroma."""
    height, width = luma.shape
    frame = av.VideoFrame(width, height, pix_fmt)
    depth = frame.format.components[0].bits
    for index, plane in enumerate(frame.planes):
        codes = luma.astype(np.uint16) if index == 0 else np.full_like(luma, 128, np.uint16)
        target = np.frombuffer(memoryview(plane), np.uint8 if depth == 8 else np.uint16)
        target = target.reshape(plane.height, -1)[:, : plane.width]
        target.flags.writeable = True
        target[:] = (codes << (depth - 8))[: plane.height, : plane.width]
    return frame


def woven(number: int, field: str, width: int = 96, height: int = 64) -> np.ndarray:
    """Two moments of `picture`, four pixels a frame; the field that `field` names is the first."""
    luma = picture(4 * number + 2, width, height)
    first = int(field == "bff")
    luma[first::2] = picture(4 * number, width, height)[first::2]
    return luma


def flagged(frame: av.VideoFrame, field: str) -> av.VideoFrame:
    """The picture as one whose top or bottom field comes first ("tff", "bff"), or as "prog"."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
    )
    graph.link_nodes(source, graph.add("setfield", field), graph.add("buffersink")).configure()
    graph.vpush(frame)
    made = graph.vpull()
    made.pts = frame.pts
    return made


def write_interlaced(
    path: Path,
    times: Iterable[int],
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
    field: str = "tff",
) -> Path:
    """Writes a video of woven pictures, 96x64, at these milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = gray_frame(woven(number, field), "yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(flagged(frame, field)))
        container.mux(stream.encode(None))
    return path


def _tone(container: av.container.OutputContainer, track: av.AudioStream, seconds: float) -> None:
    """Half of `seconds` later than the picture: a tone of 440 Hz."""
    start = int(44100 * seconds / 2)
    samples = np.arange(int(44100 * seconds / 2))
    wave = (0.5 * np.sin(2 * np.pi * 440 * samples / 44100)).astype(np.float32)
    for offset in range(0, len(wave), 1024):
        block = np.stack([wave[offset : offset + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "stereo")
        frame.sample_rate, frame.pts = 44100, start + offset
        frame.time_base = Fraction(1, 44100)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))
