"""Upscales the frames of a package that is here, as the report and the encoder's trial want it.

It is a session of the SDK core without a server: the core decides which plan is on which frame,
here as in a play, so that what is measured offline is, bit for bit, what a viewer sees.

    frame number, decoded LR planes ─► core.Session ─► HR planes
                                          ▲
    plans, plates, maps, motion ──────────┘  in any order

Invariant: a missing plan means interpolation for its patches, never another plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from client_sdk.asset_tasks import AssetTasks
from client_sdk.contract.manifest import Manifest
from client_sdk.contract.package import Package
from client_sdk.contract.rung import Rung
from client_sdk.core import Session, TaskKind
from kernels.errors import CrispcastError, PackageError

Plane: TypeAlias = NDArray[np.uint8]
Planes: TypeAlias = tuple[Plane, Plane, Plane]
"""Y [h, w], U and V [ceil(h/2), ceil(w/2)], u8."""

_UNBOUNDED = (1 << 64) - 1  # bytes: a package is held whole


@dataclass(frozen=True, slots=True)
class Upscaled:
    """An HR frame and how it came about.

    `super_resolved`: a network upscaled some of it and no plan that it wanted was missing.
    `late`: something that its segment needs (map, motion, plan or plate) was not there in time.
    """

    planes: Planes
    super_resolved: bool
    late: bool


class Upscaler:
    """Upscales the frames of one rung of a package.

    Assets come with `add_asset` in any order, from any source; `upscale` uses those of the
    frame's segment that are there. Not thread-safe: one owner calls it. `refused` says why, by
    hash, of each asset that was refused.
    """

    def __init__(
        self, manifest: Manifest, rung_index: int, threads: int = 0, isa: str = "auto"
    ) -> None:
        self.manifest = manifest
        self.rung: Rung = manifest.rungs[rung_index]
        self.refused: dict[str, str] = {}
        self._index = rung_index
        self._session = Session(threads=threads, isa=isa, offline=True, memory_limit=_UNBOUNDED)
        self._session.manifest(manifest.to_bytes(), rung_index)
        self._tasks = AssetTasks(self._session)

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
        """Check, prepare and keep a plan, a plate, a patch map or motion of this package.

        Raises PackageError where the hash is wrong, nothing needs it, or its content is refused;
        a refused asset stays missing.
        """
        try:
            self._session.asset(sha256, data)
            self._do_tasks()
        except CrispcastError as error:
            self._note_refused()
            raise PackageError(str(error)) from None
        if sha256 in self.refused:
            raise PackageError(f"asset {sha256[:16]}: {self.refused[sha256]}")

    def ready(self, segment_index: int) -> bool:
        """Whether all that the segment needs is prepared, or refused."""
        return self._session.ready(self._index, segment_index)

    def upscale(self, frame_number: int | None, lr: Planes, *, networks: bool = True) -> Upscaled:
        """The HR planes of frame `frame_number`, cropped to the source's size.

        `lr`: the decoded LR planes, u8, unit stride along x. `frame_number` None (not known), or
        without `networks`: interpolation. The previous luma is used inside a segment only, and only
        where it is really that of the frame before. Raises PackageError on planes of another size
        or a frame number outside the video.
        """
        made = self._session.upscale(lr, number=frame_number, rung=self._index, networks=networks)
        self._do_tasks()
        assert made.planes is not None  # a frame that is numbered is shown
        return Upscaled(made.planes, made.super_resolved, made.late)

    def _do_tasks(self) -> None:
        while (task := self._session.next_task(0)) is not None:
            if task.kind == TaskKind.REFUSED:
                self.refused[task.sha256] = task.text
            else:
                self._tasks.do(task)

    def _note_refused(self) -> None:
        try:
            self._do_tasks()
        except CrispcastError:
            self._note_refused()
