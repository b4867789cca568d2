"""The one place where a decoded LR frame becomes an HR frame.

The live client and the report both come through here, so that what is measured offline is, bit
for bit, what a viewer sees.

    frame number ─► segment ─► patch map, plans, plate with its chroma, or canvas with the view
                                   │  (whatever is there and whole)
                                   │
    decoded LR planes ─────────────┴─► kernels.runtime.Engine ─► crop ─► HR planes

A plan may be a difference to a shipped base, or to a full plan among its segment's experts; it is
prepared when that is there, whichever comes first.

Invariant: a missing plan means interpolation for its patches, never another plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.manifest import Manifest, Rung
from client_sdk.contract.motion import Views, decode_motion
from client_sdk.contract.package import Package
from client_sdk.contract.patch_map import PatchMap, decode_record
from client_sdk.contract.plate import compose, compose_chroma, decode_chroma, decode_plate
from kernels import bases
from kernels.compiler import base_of
from kernels.errors import CrispcastError, PackageError
from kernels.runtime import Canvas, ChromaPlate, Engine, Plan, Plate

Plane: TypeAlias = NDArray[np.uint8]
Planes: TypeAlias = tuple[Plane, Plane, Plane]
"""Y [h, w], U and V [ceil(h/2), ceil(w/2)], u8."""


@dataclass(frozen=True, slots=True)
class Upscaled:
    """An HR frame and how it came about.

    `super_resolved`: a network upscaled some of it and no plan that it wanted was missing.
    `late`: something that its segment needs (map, motion, plan or plate) was not there in time.
    """

    planes: Planes
    super_resolved: bool
    late: bool


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What the engine needs for the frames of one segment, as far as it is there."""

    patches: NDArray[np.int32] | None
    plans: tuple[Plan | None, ...]
    plate: Plate | None
    chroma: ChromaPlate | None
    plate_there: bool  # all of it with its chroma, or of the canvas
    canvas: Canvas | None
    views: Views | None  # of the segment's frames; None without a canvas
    used: frozenset[int]  # expert indices in the map

    @property
    def networks(self) -> bool:
        return any(expert > 0 for expert in self.used)

    @property
    def plans_there(self) -> bool:
        return self.patches is not None and all(
            expert == 0 or self.plans[expert - 1] is not None for expert in self.used
        )


_NOTHING = _Recipe(None, (), None, None, False, None, None, frozenset())


class Upscaler:
    """Upscales the frames of one rung of a package.

    Assets come with `add_asset` in any order, from any source; `upscale` uses those of the
    frame's segment that are there. Not thread-safe: one owner calls it.
    """

    def __init__(
        self, manifest: Manifest, rung_index: int, threads: int = 0, isa: str = "auto"
    ) -> None:
        self.manifest = manifest
        self.rung: Rung = manifest.rungs[rung_index]
        self.engine = Engine(threads, isa)
        self._plans: dict[str, Plan] = {}
        self._wires: dict[str, bytes] = {}  # of plans, which others may be differences to
        self._waiting: dict[str, bytes] = {}  # differences whose base is still to come
        self._plates: dict[str, Plane] = {}
        self._chromas: dict[str, Plane] = {}  # U and V, [2, h, w]
        self._composed: tuple[object, Plate | None] = ((), None)
        self._coloured: tuple[object, ChromaPlate | None] = ((), None)
        self._canvases: dict[str, Canvas] = {}
        self._maps: dict[str, PatchMap] = {}
        self._motion: dict[str, Views] = {}
        self._refused: dict[str, str] = {}
        self._users = _users(self.rung)
        self._recipe: tuple[int, _Recipe] = (-1, _NOTHING)
        self._last: tuple[int, Plane] | None = None

    @classmethod
    def of_package(cls, package: Package, rung_index: int = 0, threads: int = 0) -> Self:
        """An upscaler with every asset of the rung in it. Raises PackageError."""
        upscaler = cls(package.manifest, rung_index, threads)
        for sha256 in package.manifest.size_of(rung_index):
            data = package.asset(sha256)
            try:
                upscaler.add_asset(sha256, data)
            except CrispcastError as error:
                raise PackageError(f"{package.places[sha256].path}: {error}") from None
        return upscaler

    def add_asset(self, sha256: str, data: bytes) -> None:
        """Check, prepare and keep a plan, a plate, a patch map or motion of this rung.

        Raises PackageError or PlanError where the hash is wrong, nothing here needs it, or its
        content is refused; a refused asset stays missing and is not asked for again.
        """
        user = self._users.get(sha256)
        if user is None:
            raise PackageError(f"asset {sha256[:16]} belongs to no segment of {self.rung.name}")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise PackageError(f"asset {sha256[:16]} is damaged: its SHA-256 is another")
        try:
            self._prepare(sha256, data, user)
        except CrispcastError as error:
            self._refused[sha256] = str(error)
            raise
        self._recipe = (-1, _NOTHING)

    def _prepare(self, sha256: str, data: bytes, segment_index: int) -> None:
        rung, segment = self.rung, self.rung.segments[segment_index]
        if sha256 == segment.map.sha256:
            self._maps[sha256] = decode_record(data, rung.width, rung.height, len(segment.experts))
        elif segment.motion is not None and sha256 == segment.motion.sha256:
            self._motion[sha256] = decode_motion(data, self.manifest.segments[segment_index].frames)
        elif sha256 in segment.experts:
            self._prepare_plan(sha256, data)
        else:
            self._prepare_plate(sha256, data, segment_index)

    def _prepare_plate(self, sha256: str, data: bytes, segment_index: int) -> None:
        asset = self.manifest.assets[sha256]
        pieces = self.rung.pieces_of(segment_index)
        region = next(p.region for p in pieces if sha256 in (p.sha256, p.chroma))
        size = self._hr_size if region is None else region[2:]
        if asset.kind == "chroma":
            self._chromas[sha256] = decode_chroma(data, *size)
        elif asset.canvas is not None:
            self._canvases[sha256] = Canvas(decode_plate(data, *asset.canvas))
        else:
            self._plates[sha256] = decode_plate(data, *size)

    def _prepare_plan(self, sha256: str, data: bytes) -> None:
        """Prepare a plan, or keep it until its base is there; then those that waited for it."""
        base, identity = None, base_of(data)
        if identity is not None:
            base = bases.find(identity) or self._wire_of(identity.hex())
            if base is None and any(user.startswith(identity.hex()) for user in self._users):
                self._waiting[sha256] = data
                return
        plan = Plan(data, base)
        if plan.scale != self.rung.scale:
            raise PackageError(
                f"plan {sha256[:16]} is for scale {plan.scale}, rung {self.rung.name} for "
                f"{self.rung.scale}"
            )
        self._plans[sha256], self._wires[sha256] = plan, data
        for waiting, wire in list(self._waiting.items()):
            wanted = base_of(wire)
            if wanted is not None and sha256.startswith(wanted.hex()):
                del self._waiting[waiting]
                try:
                    self._prepare_plan(waiting, wire)
                except CrispcastError as error:
                    self._refused[waiting] = str(error)

    def _wire_of(self, prefix: str) -> bytes | None:
        """The plan whose SHA-256 begins so, which is what a difference calls its base."""
        return next((w for sha256, w in self._wires.items() if sha256.startswith(prefix)), None)

    def needs(self, sha256: str) -> bool:
        """Whether any segment of the rung needs this asset."""
        return sha256 in self._users

    def missing(self, segment_index: int) -> list[str]:
        """Hashes of what the segment still needs, the map first; refused assets not among them."""
        there = self._refused.keys() | set().union(*self._kept())
        assets = self.rung.assets_of(segment_index)
        return [sha256 for sha256 in assets if sha256 not in there]

    @property
    def refused(self) -> dict[str, str]:
        """Why assets were refused, by hash."""
        return dict(self._refused)

    def forget_before(self, segment_index: int, but: Iterable[int] = ()) -> None:
        """Let go of what was prepared and no segment from here on needs, nor those of `but`."""
        rung = self.rung
        left = {*range(segment_index, len(rung.segments)), *but}
        needed = {sha256 for index in left for sha256 in rung.assets_of(index)}
        for kept in self._kept():
            for sha256 in [sha256 for sha256 in kept if sha256 not in needed]:
                del kept[sha256]

    def pass_over(self, frame_number: int, lr: Planes) -> None:
        """Take note of an LR frame that is not shown: the next one may look back at it."""
        self._last = (frame_number, lr[0])

    def upscale(self, frame_number: int | None, lr: Planes, *, networks: bool = True) -> Upscaled:
        """The HR planes of frame `frame_number`, cropped to the source's size.

        `lr`: the decoded LR planes, u8, unit stride along x. `frame_number` None (not known), or
        without `networks`: interpolation. The previous luma is used inside a segment only, and only
        where it is really that of the frame before. Planes of `lr` are kept until the next call.
        Raises PackageError on planes of another size or a frame number outside the video.
        """
        rung, luma = self.rung, lr[0]
        if luma.shape != (rung.height, rung.width):
            raise PackageError(
                f"an LR frame of {luma.shape[1]}x{luma.shape[0]} for rung {rung.name} of "
                f"{rung.width}x{rung.height}"
            )
        if frame_number is None or not networks:
            self._last = None if frame_number is None else (frame_number, luma)
            return Upscaled(self._crop(self.engine.upscale(lr, rung.scale)), False, True)
        segment_index = self.manifest.segment_of(frame_number)
        recipe = self._recipe_of(segment_index)
        previous = None
        start = self.manifest.segments[segment_index].start
        if self._last is not None and self._last[0] == frame_number - 1 and frame_number != start:
            previous = self._last[1]
        planes = self.engine.upscale(
            lr,
            rung.scale,
            previous=previous,
            patches=recipe.patches,
            plans=recipe.plans,
            plate=recipe.plate,
            chroma=recipe.chroma,
            canvas=recipe.canvas,
            view=None if recipe.views is None else recipe.views[frame_number - start],
        )
        self._last = (frame_number, luma)
        segment = rung.segments[segment_index]
        late = not recipe.plans_there or (segment.plate is not None and not recipe.plate_there)
        return Upscaled(self._crop(planes), recipe.plans_there and recipe.networks, late)

    def _recipe_of(self, segment_index: int) -> _Recipe:
        if self._recipe[0] != segment_index:
            segment = self.rung.segments[segment_index]
            patch_map = self._maps.get(segment.map.sha256)
            if patch_map is None or patch_map.highest > len(segment.experts):
                recipe = _NOTHING
            else:
                patches = patch_map.patches()
                plans = tuple(self._plans.get(sha256) for sha256 in segment.experts)
                plate = self._plate_of(segment_index)
                used = frozenset(int(expert) for expert in np.unique(patches[:, 4]))
                canvas, views = self._canvas_of(segment_index)
                pieces = self.rung.pieces_of(segment_index)
                wanted = {p.chroma for p in pieces if p.chroma is not None}
                whole = canvas is not None or (
                    all(p.sha256 in self._plates for p in pieces) and wanted <= self._chromas.keys()
                )
                chroma = self._chroma_of(segment_index)
                recipe = _Recipe(patches, plans, plate, chroma, whole, canvas, views, used)
            self._recipe = (segment_index, recipe)
        return self._recipe[1]

    @property
    def _hr_size(self) -> tuple[int, int]:
        return self.rung.width * self.rung.scale, self.rung.height * self.rung.scale

    def _plate_of(self, segment_index: int) -> Plate | None:
        """What is there of a segment's plate; None where nothing is."""
        pieces = self.rung.pieces_of(segment_index)
        there = tuple(piece for piece in pieces if piece.sha256 in self._plates)
        if self._composed[0] != there:
            lumas = ((piece.region, self._plates[piece.sha256]) for piece in there)
            luma = compose(lumas, *self._hr_size)
            self._composed = (there, Plate(luma, self.rung.scale) if there else None)
        return self._composed[1]

    def _chroma_of(self, segment_index: int) -> ChromaPlate | None:
        """What is there of the chroma of a segment's plate; None where nothing is."""
        pieces = self.rung.pieces_of(segment_index)
        there = tuple(piece for piece in pieces if piece.chroma in self._chromas)
        if self._coloured[0] != there:
            tolerance, chroma = self.rung.chroma_tolerance, None
            if there and tolerance is not None:
                planes = ((p.region, self._chromas[p.chroma]) for p in there if p.chroma)
                u, v = compose_chroma(planes, *self._hr_size)
                chroma = ChromaPlate(u, v, self.rung.scale, tolerance)
            self._coloured = (there, chroma)
        return self._coloured[1]

    def _canvas_of(self, segment_index: int) -> tuple[Canvas, Views] | tuple[None, None]:
        """A segment's canvas and its frames' views of it, where both are there."""
        segment = self.rung.segments[segment_index]
        if segment.plate is None or segment.motion is None:
            return None, None
        canvas = self._canvases.get(self.rung.plates[segment.plate][0].sha256)
        views = self._motion.get(segment.motion.sha256)
        # A record that another segment shares may be of another length.
        if canvas is None or views is None:
            return None, None
        if len(views) != self.manifest.segments[segment_index].frames:
            return None, None
        return canvas, views

    def _kept(self) -> tuple[dict[str, Any], ...]:
        plans = (self._plans, self._wires, self._waiting)
        return *plans, self._plates, self._chromas, self._canvases, self._maps, self._motion

    def _crop(self, planes: Planes) -> Planes:
        source = self.manifest.source
        half = (source.height + 1) // 2, (source.width + 1) // 2
        y, u, v = planes
        return (
            y[: source.height, : source.width],
            u[: half[0], : half[1]],
            v[: half[0], : half[1]],
        )


def _users(rung: Rung) -> dict[str, int]:
    """The first segment that needs each asset: it is checked as what that says it is."""
    users: dict[str, int] = {}
    for index in range(len(rung.segments)):
        for sha256 in rung.assets_of(index):
            users.setdefault(sha256, index)
    return users
