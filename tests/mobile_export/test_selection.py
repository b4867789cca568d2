"""Which shapes models have, and that windows of patches give what whole frames give."""

from __future__ import annotations

import numpy as np
import pytest

from client_sdk.contract import Grid, PatchMap, open_package
from kernels.errors import CrispcastError
from kernels.reference import convolve, enlarge, run_plan, shuffle
from mobile_export.base import REACH, base_kernel
from mobile_export.selection import experts_of, reach, runs, window_at, window_sizes
from tests.kernels.plans import every_branch


def test_the_base_is_a_convolution_of_the_padded_plane() -> None:
    plane = np.random.default_rng(0).random((1, 11, 13), np.float32)
    padded = np.pad(plane, ((0, 0), (REACH, REACH), (REACH, REACH)), mode="edge")
    for scale in (1, 2, 3, 4):
        sums = convolve(padded, base_kernel(scale))[:, REACH:-REACH, REACH:-REACH]
        assert np.abs(shuffle(sums, scale) - enlarge(plane, scale)).max() < 1e-6


@pytest.mark.parametrize("frame", [(70, 53), (41, 90)])
def test_windows_of_patches_give_what_the_whole_frame_gives(frame: tuple[int, int]) -> None:
    width, height = frame
    plan = every_branch()
    rng = np.random.default_rng(1)
    luma, previous = (rng.integers(0, 256, (height, width), dtype=np.uint8) for _ in "ab")
    plate = rng.integers(0, 256, (2 * height, 2 * width), dtype=np.uint8)
    grid = Grid(width, height, 16, 16)
    cells = [(1, 1, 0, 1) if n == 2 else 1 for n in range(grid.columns * grid.rows)]
    patches = PatchMap(grid, tuple(cells))
    sizes = window_sizes(patches, 1, reach(plan))
    assert len(sizes) == 2  # of whole patches and of quarters
    whole = run_plan(plan, luma, previous, plate)
    for x, y, w, h, number in patches.patches().tolist():
        if not number:
            continue
        across, down = min(s for s in sizes if s[0] >= min(w + reach(plan), width))
        left = window_at(x, across, reach(plan), width)
        top = window_at(y, down, reach(plan), height)
        at = np.s_[top : top + down, left : left + across]
        large = np.s_[2 * top : 2 * (top + down), 2 * left : 2 * (left + across)]
        out = run_plan(plan, luma[at], previous[at], plate[large])
        mine = out[2 * (y - top) :, 2 * (x - left) :][: 2 * h, : 2 * w]
        wanted = whole[2 * y : 2 * (y + h), 2 * x : 2 * (x + w)]
        assert np.abs(mine.astype(int) - wanted).max() <= 1
        assert (mine == wanted).mean() > 0.999


def test_a_windows_edge_is_the_frames_where_the_patch_is_at_it() -> None:
    assert window_at(0, 40, 8, 100) == 0
    assert window_at(30, 40, 8, 100) == 22
    assert window_at(90, 40, 8, 100) == 60


def test_segments_are_told_as_runs() -> None:
    assert runs([0, 1, 2, 5, 7, 8]) == ((0, 2), (5, 5), (7, 8))
    assert runs([]) == ()


def test_every_plan_of_a_package_is_there_once_with_its_uses(tiny_path) -> None:
    package = open_package(tiny_path)
    experts = experts_of(package)
    rung = package.manifest.rungs[0]
    assert {e.sha256 for e in experts} == {s for seg in rung.segments for s in seg.experts}
    shared = next(e for e in experts if e.sha256 == rung.segments[0].experts[0])
    assert shared.uses[0].segments == ((0, 2),)
    for one in experts:
        assert one.shapes[0] == (rung.width, rung.height)
        assert len(one.shapes) > 1


def test_a_difference_is_decoded_with_its_base(small_package, tmp_path) -> None:
    """As a package has it whose experts begin at a shipped base."""
    from kernels import bases
    from kernels.compiler import base_id, base_of, decode_plan, encode_plan
    from mobile_export.selection import _plan
    from tests.kernels.plans import moved, same

    base = next(p for p in bases.shipped() if p.stem == "x2").read_bytes()
    plan = moved(decode_plan(base))
    wire = encode_plan(plan, base)
    assert base_of(wire) == base_id(base)

    class Holding:
        def asset(self, sha256: str) -> bytes:
            return wire

    assert same(_plan(Holding(), "x"), plan)  # type: ignore[arg-type]


def test_a_package_without_networks_has_nothing_to_export(tmp_path) -> None:
    from tests.client_sdk.tiny import write_tiny

    package = open_package(write_tiny(tmp_path, networks=False))
    # As an encode's --method that is not "none" leaves it too, where networks would not pay.
    with pytest.raises(CrispcastError, match=r"no networks to export: they were not worth .* or"):
        experts_of(package)
