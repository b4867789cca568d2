"""A tiny whole package, made by hand in a second: moving noise, three segments, every asset kind.

`write_tiny(folder)` gives the package's path. Nothing here is trained: plans with random numbers
show a wrong plan or a lost `previous` as well as trained ones do.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from PIL import Image

from client_sdk.contract import (
    FILE_HEADER,
    MANIFEST_FILE,
    Asset,
    Audio,
    Cell,
    Colour,
    Grid,
    Manifest,
    MapRef,
    Method,
    PatchMap,
    PlatePiece,
    Rung,
    RungSegment,
    Segment,
    Source,
    asset_file,
    encode_record,
    package_id,
    rung_size,
)
from client_sdk.contract.bounds import MAX_TOLERANCE
from client_sdk.picture import plane_view
from kernels.compiler import encode_plan
from kernels.plan import Activation, PlanTable
from tests.kernels.plans import plan_for, spec

WIDTH, HEIGHT, SCALE = 189, 121, 2
FPS = Fraction(25)
SEGMENTS = (12, 10, 14)
LR_WIDTH, LR_HEIGHT = rung_size(WIDTH, HEIGHT, SCALE)
os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 tells the terminal what it does
OPTIONS = {
    "h264": {
        "bf": "0",
        "g": "1000",
        "preset": "ultrafast",
        "forced-idr": "1",
        "x264-params": "scenecut=0:open-gop=0",
    },
    "av1": {"preset": "10", "svtav1-params": "keyint=-1:scd=0:lp=1"},
}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_plan(seed: int, inputs: tuple[str, ...], scale: int = SCALE) -> bytes:
    """A small plan that makes a visible difference to interpolation."""
    sources = tuple(range(len(inputs)))
    first = len(inputs)
    table = PlanTable(
        scale,
        inputs,
        True,
        (
            spec(8, *sources, activation=Activation.RELU),
            spec(scale * scale, first),
        ),
    )
    return encode_plan(plan_for(table, seed))


def make_plate(width: int, height: int, phase: float = 0) -> bytes:
    rows, columns = np.mgrid[:height, :width]
    luma = (128 + 90 * np.sin(rows / 5 + phase) * np.cos(columns / 7)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(luma).save(out, "AVIF", quality=70, subsampling="4:0:0", range="full")
    return out.getvalue()


def make_chroma(width: int, height: int) -> bytes:
    """The chroma of a plate of this size: a colourful pattern."""
    rows, columns = np.mgrid[:height, : width // 2]
    stacked = (128 + 60 * np.sin(rows / 3) * np.cos(columns / 2)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(stacked).save(out, "AVIF", quality=80, subsampling="4:0:0", range="full")
    return out.getvalue()


def coloured(manifest: bytes, data: bytes) -> dict[str, Any]:
    """A tiny package's manifest as JSON, with this chroma beside its plate, which always agrees."""
    tree: dict[str, Any] = json.loads(manifest)
    tree["version"] = "1.3"
    tree["assets"][sha(data)] = {"kind": "chroma", "bytes": len(data)}
    rung = tree["rungs"][0]
    rung["chroma_tolerance"] = MAX_TOLERANCE
    rung["plates"][0][0]["chroma"] = sha(data)
    return tree


def add_chroma(path: Path) -> str:
    """Gives the plate of the tiny package at `path` chroma; the hash of that."""
    data = make_chroma(LR_WIDTH * SCALE, LR_HEIGHT * SCALE)
    (path / asset_file(sha(data), "chroma")).write_bytes(data)
    file = path / MANIFEST_FILE
    file.write_text(json.dumps(coloured(file.read_bytes(), data)))
    return sha(data)


def write_video(
    path: Path, segments: tuple[int, ...], width: int, height: int, crf: int, codec: str
) -> None:
    rng = np.random.default_rng(7)
    canvas = rng.integers(30, 226, (height + 64, width + 64), dtype=np.uint8)
    starts = {sum(segments[:index]) for index in range(len(segments))}
    with av.open(str(path), "w", format="mp4") as container:
        encoder: Any = {"h264": "libx264", "av1": "libsvtav1"}[codec]
        stream: Any = container.add_stream(encoder, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": str(crf), **OPTIONS[codec]}
        for number in range(sum(segments)):
            frame = av.VideoFrame(width, height, "yuv420p")
            shift = number % 32
            for index, plane in enumerate(frame.planes):
                part = canvas[shift : shift + plane.height, shift : shift + plane.width]
                plane_view(plane)[:] = part if index == 0 else 128 + part // 16
            frame.pts = number
            if number in starts:
                frame.pict_type = av.video.frame.PictureType.I
            container.mux(stream.encode(frame))
            if number == 0 and codec == "av1":
                # Else the tests, and all that they start, would keep the machine to themselves.
                from overfit.video.svt_av1 import step_back

                step_back()
        container.mux(stream.encode(None))


def write_audio(path: Path, seconds: float) -> None:
    with av.open(str(path), "w", format="ogg") as container:
        stream: Any = container.add_stream("libopus", rate=48_000)
        stream.layout = "stereo"
        stream.options = {"frame_duration": "20"}
        total = int(seconds * 48_000)
        time = np.arange(total) / 48_000
        tone = (np.sin(2 * np.pi * 440 * time) * 9000).astype(np.int16)
        for start in range(0, total, 960):
            part = tone[start : start + 960]
            samples = np.repeat(part, 2)[None, :]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, start
            frame.time_base = Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def maps_of(segments: tuple[int, ...], width: int, height: int) -> list[PatchMap]:
    grid = Grid(width, height, 24, 20)
    count = grid.columns * grid.rows
    maps = []
    for index in range(len(segments)):
        cells: list[Cell] = [(index + cell) % 3 for cell in range(count)]
        if index == 1:
            cells[0] = (1, 2, 0, 1)
        maps.append(PatchMap(grid, tuple(cells)))
    return maps


def write_tiny(
    folder: Path,
    *,
    name: str = "tiny",
    segments: tuple[int, ...] = SEGMENTS,
    audio: bool = True,
    networks: bool = True,
    plan_padding: int = 0,
    crf: int = 30,
    codec: Literal["h264", "av1"] = "h264",
) -> Path:
    """Write `folder/NAME.crisp`. `plan_padding` adds that many experts nobody's patch uses."""
    root = folder / f"{name}.crisp"
    for part in ("video", "plans", "plates", "maps", "audio"):
        (root / part).mkdir(parents=True)
    video = root / "video" / "lr.mp4"
    write_video(video, segments, LR_WIDTH, LR_HEIGHT, crf, codec)
    assets: dict[str, Asset] = {}

    def keep(data: bytes, kind: Any) -> str:
        assets[sha(data)] = Asset(kind=kind, bytes=len(data))
        (root / asset_file(sha(data), kind)).write_bytes(data)
        return sha(data)

    plate = make_plate(LR_WIDTH * SCALE, LR_HEIGHT * SCALE)
    shared = make_plan(1, ("luma", "previous"))
    rung_segments, records = [], b""
    for index, patch_map in enumerate(maps_of(segments, LR_WIDTH, LR_HEIGHT)):
        plated = index == 1
        if not networks:
            patch_map = PatchMap.uniform(LR_WIDTH, LR_HEIGHT, 0)
        record = encode_record(patch_map)
        inputs = ("luma", "previous", "plate") if plated else ("luma",)
        own = [make_plan(10 + index, inputs)]
        own += [make_plan(1000 + 50 * index + extra, ("luma",)) for extra in range(plan_padding)]
        rung_segments.append(
            RungSegment(
                experts=tuple(keep(p, "plan") for p in [shared, *own]) if networks else (),
                plate=0 if plated and networks else None,
                map=MapRef(
                    sha256=sha(record), offset=len(FILE_HEADER) + len(records), bytes=len(record)
                ),
            )
        )
        records += record
    (root / "maps" / "lr.maps").write_bytes(FILE_HEADER + records)
    sound = None
    if audio:
        path = root / "audio" / "track.ogg"
        write_audio(path, sum(segments) / float(FPS))
        data = path.read_bytes()
        sound = Audio(file="audio/track.ogg", sha256=sha(data), bytes=len(data), channels=2)
    data = video.read_bytes()
    starts = [sum(segments[:index]) for index in range(len(segments))]
    manifest = Manifest(
        id=package_id("0" * 64, {"name": name}),
        name=name,
        source=Source(
            sha256="0" * 64,
            width=WIDTH,
            height=HEIGHT,
            frames=sum(segments),
            fps=(FPS.numerator, FPS.denominator),
            colour=Colour(),
            audio=audio,
        ),
        method=Method(name="none" if not networks else "stdo"),
        segments=tuple(
            Segment(start=start, frames=frames)
            for start, frames in zip(starts, segments, strict=True)
        ),
        rungs=(
            Rung(
                name="lr",
                width=LR_WIDTH,
                height=LR_HEIGHT,
                scale=SCALE,
                codec=codec,
                profile="baseline" if codec == "h264" else "main",
                file="video/lr.mp4",
                sha256=sha(data),
                bytes=len(data),
                maps_file="maps/lr.maps",
                plates=((PlatePiece(sha256=keep(plate, "plate")),),) if networks else (),
                segments=tuple(rung_segments),
            ),
        ),
        assets=assets,
        audio=sound,
    )
    (root / MANIFEST_FILE).write_bytes(manifest.to_bytes())
    return root
