"""Drawn packages of a few kilobytes, in memory: what the conformance cases play.

24x16 LR frames of moving noise, three segments of eight frames, every kind of asset: plans (of
floats, of codes, a difference), a plate in two pieces with chroma, a canvas with its views.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client_sdk.contract import (
    Asset,
    Cell,
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
    encode_motion,
    encode_record,
    parse_manifest,
    rung_size,
)
from client_sdk.contract.plate import decode_plate
from kernels.compiler import encode_plan
from kernels.plan import Activation, Codes, PlanIR, PlanTable
from tests.kernels.plans import moved, plan_for, spec

WIDTH, HEIGHT = 45, 29
LENGTHS = (8, 8, 8)
FRAMES = sum(LENGTHS)
STARTS = (0, 8, 16)
CANVAS = (70, 44)
PACKAGE_ID = "00112233445566aa"

Luma = NDArray[np.uint8]


def sha(data: bytes) -> str:
    """The name of an asset."""
    return hashlib.sha256(data).hexdigest()


def plan_ir(seed: int, inputs: tuple[str, ...], scale: int, coded: bool = False) -> PlanIR:
    """Two layers; with codes between them, or floats."""
    codes = Codes(145, True) if coded else None
    first = spec(8, *range(len(inputs)), activation=Activation.RELU, codes=codes)
    table = PlanTable(scale, inputs, True, (first, spec(scale**2, len(inputs))))
    return plan_for(table, seed)


def picture(width: int, height: int, phase: float) -> bytes:
    """A monochrome AVIF."""
    rows, columns = np.mgrid[:height, :width]
    luma = 128 + 90 * np.sin(rows / 5 + phase) * np.cos(columns / 7)
    out = io.BytesIO()
    Image.fromarray(luma.astype(np.uint8)).save(
        out, "AVIF", quality=60, subsampling="4:0:0", range="full"
    )
    return out.getvalue()


def views(frames: int, size: tuple[int, int]) -> NDArray[np.int32]:
    """Where the HR frame of that size lies in the canvas, frame by frame: a slow pan, not flat."""
    width, height = size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    tilt = np.array([(0, 0), (0, 0.4), (0.3, 0), (0, 0)])
    moved_by = [corners + np.array([2.3 * n + 1, 1.1 * n]) + n * tilt for n in range(frames)]
    return np.rint(np.array(moved_by) * 16).astype(np.int32).reshape(-1, 8)


@dataclass
class Drawn:
    """A package: its manifest, its assets by hash, and its pictures as they decode."""

    manifest: Manifest
    assets: dict[str, bytes] = field(default_factory=dict)
    pictures: dict[str, Luma] = field(default_factory=dict)

    @property
    def manifest_bytes(self) -> bytes:
        """What goes over the wire."""
        return self.manifest.to_bytes()


class _Drawing:
    """Collects assets while a package is drawn."""

    def __init__(self) -> None:
        self.listed: dict[str, Asset] = {}
        self.assets: dict[str, bytes] = {}
        self.pictures: dict[str, Luma] = {}

    def plan(self, data: bytes) -> str:
        self.assets[sha(data)] = data
        self.listed[sha(data)] = Asset(kind="plan", bytes=len(data))
        return sha(data)

    def picture(
        self, kind: str, size: tuple[int, int], phase: float, *, canvas: bool = False
    ) -> str:
        data = picture(*size, phase)
        name = sha(data)
        self.assets[name] = data
        self.pictures[name] = decode_plate(data, *size)
        asset = {"kind": kind, "bytes": len(data), "canvas": size if canvas else None}
        self.listed[name] = Asset.model_validate(asset)
        return name

    def record(self, data: bytes) -> MapRef:
        self.assets[sha(data)] = data
        return MapRef(sha256=sha(data), offset=6, bytes=len(data))


def _map(width: int, height: int, first: int, experts: int, split: bool) -> bytes:
    grid = Grid(width, height, 8, 8)
    cells: list[Cell] = [(first + cell) % (experts + 1) for cell in range(grid.columns * grid.rows)]
    if split:
        cells[0] = (1, experts, 0, 1)
    return encode_record(PatchMap(grid, tuple(cells)))


def _rung(drawing: _Drawing, name: str, scale: int, seed: int) -> Rung:
    """Segment 0: two plans. 1: a difference too, a plate in pieces with chroma. 2: a canvas."""
    width, height = rung_size(WIDTH, HEIGHT, scale)
    hr = width * scale, height * scale
    half = hr[0] // 4 * 2
    shared = plan_ir(seed, ("luma", "previous"), scale)
    shared_wire = encode_plan(shared)
    coded = encode_plan(plan_ir(seed + 1, ("luma", "previous"), scale, coded=True))
    plated = encode_plan(plan_ir(seed + 2, ("luma", "plate"), scale))
    difference = encode_plan(moved(shared), shared_wire)
    shared_name, coded_name = drawing.plan(shared_wire), drawing.plan(coded)
    pieces = tuple(
        PlatePiece(
            sha256=drawing.picture("plate", (w, hr[1]), phase),
            region=(x, 0, w, hr[1]),
            chroma=drawing.picture("chroma", (w // 2, hr[1]), phase + 5),
        )
        for x, w, phase in ((0, half, 0.0), (half, hr[0] - half, 1.0))
    )
    canvas = PlatePiece(sha256=drawing.picture("plate", CANVAS, 2.0, canvas=True))
    motion = drawing.record(encode_motion(views(LENGTHS[2], hr)))
    plated_name = drawing.plan(plated)
    segments = (
        RungSegment(
            experts=(shared_name, coded_name),
            map=drawing.record(_map(width, height, 0, 2, False)),
        ),
        RungSegment(
            experts=(shared_name, drawing.plan(difference), plated_name),
            plate=0,
            map=drawing.record(_map(width, height, 1, 3, True)),
        ),
        RungSegment(
            experts=(plated_name, shared_name),
            plate=1,
            map=drawing.record(_map(width, height, 2, 2, False)),
            motion=motion,
        ),
    )
    return Rung(
        name=name,
        width=width,
        height=height,
        scale=scale,
        profile="main",
        file=f"video/{name}.mp4",
        sha256="0" * 64,
        bytes=1,
        maps_file=f"maps/{name}.maps",
        plates=(pieces, (canvas,)),
        chroma_tolerance=2295,
        segments=segments,
    )


def draw(*, rungs: Sequence[int] = (2,), fps: tuple[int, int] = (25, 1)) -> Drawn:
    """A package with rungs of these scales."""
    drawing = _Drawing()
    manifest = Manifest(
        version="1.4",
        id=PACKAGE_ID,
        name="drawn",
        source=Source(sha256="0" * 64, width=WIDTH, height=HEIGHT, frames=FRAMES, fps=fps),
        method=Method(name="stdo"),
        segments=tuple(
            Segment(start=start, frames=frames)
            for start, frames in zip(STARTS, LENGTHS, strict=True)
        ),
        rungs=tuple(_rung(drawing, f"x{scale}", scale, 100 * scale) for scale in rungs),
        assets=drawing.listed,
    )
    checked = parse_manifest(manifest.to_bytes())
    return Drawn(checked, drawing.assets, drawing.pictures)


def frame(number: int, width: int, height: int) -> bytes:
    """I420 of LR frame `number`: noise that moves, and differs in every frame."""
    rng = np.random.default_rng(7)
    noise = rng.integers(30, 226, (height + 40, width + 40), dtype=np.uint8)
    shift = number % 32
    luma = noise[shift : shift + height, shift : shift + width]
    chroma = 100 + noise[shift : shift + (height + 1) // 2, : (width + 1) // 2] // 4
    return luma.tobytes() + chroma.tobytes() + (chroma // 2 + 60).tobytes()
