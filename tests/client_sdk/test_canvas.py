"""A canvas is shown to each frame through its own view, and its lack costs nothing but quality."""

from __future__ import annotations

import json
from typing import Any

import av
import numpy as np
import pytest

from client_sdk.contract import Manifest, Package, encode_motion, parse_manifest
from client_sdk.contract.plate import decode_plate
from client_sdk.picture import planes_of
from client_sdk.upscaler import Upscaler
from kernels.canvas import UNITS, render
from kernels.errors import PackageError
from kernels.runtime import Engine, Plan, Plate
from tests.client_sdk.tiny import LR_HEIGHT, LR_WIDTH, SCALE, SEGMENTS, make_plate, sha

SIZE = (LR_WIDTH * SCALE + 90, LR_HEIGHT * SCALE + 30)
CANVAS = make_plate(*SIZE)
PLATED = 1
"""The segment of the tiny package whose plate becomes a canvas."""


def views() -> np.ndarray:
    width, height = LR_WIDTH * SCALE, LR_HEIGHT * SCALE
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    shifts = [corners + np.array([7.3 * n, 1.7 * n]) for n in range(SEGMENTS[PLATED])]
    return np.rint(np.array(shifts) * UNITS).astype(np.int32).reshape(-1, 8)


MOTION = encode_motion(views())


def tree_of(package: Package) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(package.manifest.to_bytes())
    tree["assets"][sha(CANVAS)] = {"kind": "plate", "bytes": len(CANVAS), "canvas": list(SIZE)}
    segment = tree["rungs"][0]["segments"][PLATED]
    tree["rungs"][0]["plates"].append([{"sha256": sha(CANVAS), "region": None}])
    segment["plate"] = len(tree["rungs"][0]["plates"]) - 1
    segment["motion"] = {"sha256": sha(MOTION), "offset": 6, "bytes": len(MOTION)}
    return tree


def manifest_of(tree: dict[str, Any]) -> Manifest:
    return parse_manifest(json.dumps(tree).encode())


@pytest.fixture
def manifest(tiny: Package) -> Manifest:
    return manifest_of(tree_of(tiny))


@pytest.fixture
def decoded(tiny: Package) -> list[av.VideoFrame]:
    with av.open(str(tiny.video_path(0))) as container:
        return list(container.decode(video=0))


def filled(manifest: Manifest, tiny: Package, without: set[str]) -> Upscaler:
    upscaler = Upscaler(manifest, 0, 1)
    own = {sha(CANVAS): CANVAS, sha(MOTION): MOTION}
    for sha256 in manifest.rungs[0].assets_of(PLATED):
        if sha256 not in without:
            upscaler.add_asset(sha256, own.get(sha256) or tiny.asset(sha256))
    return upscaler


def test_each_frame_sees_the_canvas_through_its_own_view(
    manifest: Manifest, tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    upscaler = filled(manifest, tiny, without=set())
    assert upscaler.ready(PLATED)
    segment, start = manifest.rungs[0].segments[PLATED], SEGMENTS[0]
    plans = [Plan(tiny.asset(sha256)) for sha256 in segment.experts]
    patches = tiny.patch_map(0, PLATED).patches()
    luma = decode_plate(CANVAS, *SIZE)
    engine, before = Engine(1), None
    for n in range(SEGMENTS[PLATED]):
        lr = planes_of(decoded[start + n])
        shown = render(luma, views()[n], LR_WIDTH * SCALE, LR_HEIGHT * SCALE)
        plate = Plate(shown, SCALE)
        wanted = engine.upscale(
            lr, SCALE, previous=before, patches=patches, plans=plans, plate=plate
        )
        seen = upscaler.upscale(start + n, lr)
        assert not seen.late
        height, width = seen.planes[0].shape
        assert np.array_equal(seen.planes[0], wanted[0][:height, :width])
        before = lr[0]


@pytest.mark.parametrize("late", [sha(CANVAS), sha(MOTION)])
def test_a_late_canvas_or_motion_costs_quality_and_not_the_plans(
    manifest: Manifest, tiny: Package, decoded: list[av.VideoFrame], late: str
) -> None:
    upscaler = filled(manifest, tiny, without={late})
    assert not upscaler.ready(PLATED)
    frame = upscaler.upscale(SEGMENTS[0], planes_of(decoded[SEGMENTS[0]]))
    assert frame.super_resolved
    assert frame.late
    upscaler.add_asset(late, CANVAS if late == sha(CANVAS) else MOTION)
    assert not upscaler.upscale(SEGMENTS[0], planes_of(decoded[SEGMENTS[0]])).late


def test_motion_of_other_frames_is_refused(tiny: Package) -> None:
    short = encode_motion(views()[:-1])
    tree = tree_of(tiny)
    motion = {"sha256": sha(short), "offset": 6, "bytes": len(short)}
    tree["rungs"][0]["segments"][PLATED]["motion"] = motion
    upscaler = Upscaler(manifest_of(tree), 0, 1)
    with pytest.raises(PackageError, match="motion record is damaged or of other frames"):
        upscaler.add_asset(sha(short), short)
    assert sha(short) in upscaler.refused


def test_a_canvas_of_another_size_than_said_is_refused(tiny: Package) -> None:
    tree = tree_of(tiny)
    tree["assets"][sha(CANVAS)]["canvas"] = [SIZE[0] - 1, SIZE[1]]
    upscaler = Upscaler(manifest_of(tree), 0, 1)
    with pytest.raises(PackageError, match="not"):
        upscaler.add_asset(sha(CANVAS), CANVAS)


def test_a_canvas_and_its_motion_come_together(tiny: Package) -> None:
    tree = tree_of(tiny)
    tree["rungs"][0]["segments"][PLATED]["motion"] = None
    with pytest.raises(PackageError, match="a canvas needs motion"):
        manifest_of(tree)
    tree = tree_of(tiny)
    tree["assets"][sha(CANVAS)]["canvas"] = None
    with pytest.raises(PackageError, match="motion a canvas"):
        manifest_of(tree)


@pytest.mark.parametrize("size", [[16384, 16384], [0, 100], [100], [100, 16385]])
def test_canvases_out_of_bounds_are_refused(tiny: Package, size: list[int]) -> None:
    tree = tree_of(tiny)
    tree["assets"][sha(CANVAS)]["canvas"] = size
    with pytest.raises(PackageError, match="canvas"):
        manifest_of(tree)


def test_manifests_from_before_canvases_and_with_null_are_read_alike(tiny: Package) -> None:
    tree = json.loads(tiny.manifest.to_bytes())
    tree["version"] = "1.0"
    parts = [*tree["rungs"][0]["segments"], *tree["assets"].values()]
    assert not any({"motion", "canvas"} & part.keys() for part in parts)
    assert manifest_of(tree).rungs == tiny.manifest.rungs
    for part in parts:
        part["canvas" if "kind" in part else "motion"] = None  # as they were written once
    assert manifest_of(tree) == tiny.manifest.model_copy(update={"version": "1.0"})
