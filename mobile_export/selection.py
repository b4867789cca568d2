"""What of a package a phone's backend needs: each plan once, with the shapes it is asked for.

A model has fixed shapes, or a few enumerated ones: whole frames of each rung that uses the plan,
and *windows*. A window holds a patch with the true pixels around it that the network reads. All
patches of a rung have windows of one size (those that are split in four have a smaller one): at the
frame's border the window is moved inwards, so that its edge is the frame's and the network's zero
padding falls where it falls in a whole frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from client_sdk.contract import Package, PatchMap
from kernels import bases
from kernels.compiler import base_of, decode_plan
from kernels.errors import CrispcastError, PackageError
from kernels.plan import PlanIR
from mobile_export.base import REACH

Size = tuple[int, int]
"""Width and height in LR samples."""


@dataclass(frozen=True)
class Use:
    """What of a package runs a plan: a rung by name, its frame, the windows of its patches.

    `segments`: first and last index of each run of segments.
    """

    rung: str
    segments: tuple[tuple[int, int], ...]
    frame: Size
    windows: tuple[Size, ...]


@dataclass(frozen=True, eq=False)
class Expert:
    """A plan to export, by the SHA-256 of its bytes, and where it is used."""

    sha256: str
    plan: PlanIR
    uses: tuple[Use, ...]

    @property
    def short(self) -> str:
        """The beginning of the hash: enough for names of files and functions."""
        return self.sha256[:16]

    @property
    def shapes(self) -> tuple[Size, ...]:
        """All sizes it is asked for, the largest first."""
        sizes = {size for use in self.uses for size in (use.frame, *use.windows)}
        return tuple(sorted(sizes, key=lambda size: (-size[0] * size[1], size)))


def experts_of(package: Package) -> tuple[Expert, ...]:
    """The plans of all rungs, in the order of their first use.

    Raises PackageError or PlanError where an asset is damaged or of another version, or a plan is
    of another scale than its rung; CrispcastError where there is no plan at all.
    """
    uses: dict[str, list[Use]] = {}
    plans: dict[str, PlanIR] = {}
    for rung_index, rung in enumerate(package.manifest.rungs):
        found: dict[str, list[int]] = {}
        for index, segment in enumerate(rung.segments):
            for sha256 in segment.experts:
                found.setdefault(sha256, []).append(index)
        for sha256, segments in found.items():
            plan = plans.get(sha256) or _plan(package, sha256)
            if plan.scale != rung.scale:
                raise PackageError(
                    f"plan {sha256[:16]} is for scale {plan.scale}, rung {rung.name} for "
                    f"{rung.scale}: encode again"
                )
            plans[sha256] = plan
            windows: set[Size] = set()
            for index in segments:
                patches = package.patch_map(rung_index, index)
                expert = rung.segments[index].experts.index(sha256) + 1
                windows |= window_sizes(patches, expert, reach(plan))
            frame = (rung.width, rung.height)
            uses.setdefault(sha256, []).append(
                Use(rung.name, runs(segments), frame, tuple(sorted(windows - {frame})))
            )
    if not plans:
        raise CrispcastError(
            f"{package.path} has no networks to export: they were not worth their bytes in this "
            "video, or it was encoded with --method none; clients interpolate it"
        )
    return tuple(Expert(sha256, plan, tuple(uses[sha256])) for sha256, plan in plans.items())


def _plan(package: Package, sha256: str) -> PlanIR:
    """A plan; where it is a difference, to a shipped base or to a plan of the package."""
    wire = package.asset(sha256)
    identity = base_of(wire)
    if identity is None:
        return decode_plan(wire)
    base = bases.find(identity)
    if base is None:
        plans = (sha for sha, asset in package.manifest.assets.items() if asset.kind == "plan")
        wanted = next((sha for sha in plans if sha.startswith(identity.hex())), None)
        base = None if wanted is None else package.asset(wanted)
    return decode_plan(wire, base)


def reach(plan: PlanIR) -> int:
    """True neighbours that a window needs on each side of its patch, the base's with them."""
    return max(plan.radius, REACH if plan.table.bicubic else 0)


def window_sizes(patch_map: PatchMap, expert: int, reach: int) -> set[Size]:
    """Sizes of the windows of the patches that `expert` upscales: of whole ones, of quarters."""
    grid = patch_map.grid
    whole = {rectangle[2:] for rectangle in grid.rectangles()}
    sizes: dict[bool, Size] = {}
    for x, y, width, height, number in patch_map.patches().tolist():
        if number == expert:
            quarter = (width, height) not in whole
            across = _extent(x, width, reach, grid.width)
            down = _extent(y, height, reach, grid.height)
            before = sizes.get(quarter, (0, 0))
            sizes[quarter] = (max(before[0], across), max(before[1], down))
    return set(sizes.values())


def _extent(start: int, length: int, reach: int, frame: int) -> int:
    return min(start + length + reach, frame) - max(start - reach, 0)


def window_at(start: int, size: int, reach: int, frame: int) -> int:
    """Where along an axis the window of a patch at `start` begins; `size` is the window's."""
    return int(np.clip(start - reach, 0, frame - size))


def runs(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Rising numbers as first and last of each run."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)
