"""A plate's chroma: on the wire, checked before it is used, shown where it agrees."""

from __future__ import annotations

import io
import json
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from client_sdk.contract import Manifest, Package, parse_manifest
from client_sdk.contract.bounds import MAX_TOLERANCE
from client_sdk.contract.manifest import PLAIN_VERSION
from client_sdk.contract.plate import compose_chroma, decode_chroma
from client_sdk.picture import planes_of
from client_sdk.upscaler import Upscaler
from kernels.errors import PackageError
from tests.client_sdk.tiny import (
    HEIGHT,
    LR_HEIGHT,
    LR_WIDTH,
    SCALE,
    SEGMENTS,
    WIDTH,
    coloured,
    make_chroma,
    sha,
)

HR = (LR_WIDTH * SCALE, LR_HEIGHT * SCALE)
HALF = (HEIGHT + 1) // 2, (WIDTH + 1) // 2


def parsed(tree: dict[str, Any]) -> Manifest:
    return parse_manifest(json.dumps(tree).encode())


def with_assets(manifest: Manifest, package: Package, *left_out: str) -> Upscaler:
    upscaler = Upscaler(manifest, 0, 1)
    for sha256 in manifest.size_of(0):
        if sha256 in package.places and sha256 not in left_out:
            upscaler.add_asset(sha256, package.asset(sha256))
    return upscaler


@pytest.fixture(scope="module")
def lows(tiny: Package) -> list[av.VideoFrame]:
    with av.open(str(tiny.video_path(0))) as container:
        return list(container.decode(video=0))


def test_a_manifest_without_chroma_is_written_as_before(tiny: Package) -> None:
    assert b"chroma" not in tiny.manifest.to_bytes()
    assert tiny.manifest.version == PLAIN_VERSION == "1.2"


def test_a_manifest_with_chroma_survives_a_round_trip(tiny: Package) -> None:
    data = make_chroma(*HR)
    manifest = parsed(coloured(tiny.manifest_bytes, data))
    assert parse_manifest(manifest.to_bytes()) == manifest
    assert manifest.rungs[0].plates[0][0].chroma == sha(data)
    assert manifest.rungs[0].assets_of(1)[-1] == sha(data)  # after what networks need
    assert manifest.size_of(0)[sha(data)] == len(data)


def test_chroma_is_shown_and_a_late_one_costs_the_luma_nothing(
    tiny: Package, lows: list[av.VideoFrame]
) -> None:
    data, number = make_chroma(*HR), SEGMENTS[0]
    manifest = parsed(coloured(tiny.manifest_bytes, data))
    upscaler = with_assets(manifest, tiny)
    lr = planes_of(lows[number])
    assert not upscaler.ready(1)
    before = upscaler.upscale(number, lr)
    assert before.late
    assert before.super_resolved
    upscaler.add_asset(sha(data), data)
    after = upscaler.upscale(number, lr)
    assert not after.late
    assert np.array_equal(before.planes[0], after.planes[0])
    wanted = decode_chroma(data, *HR)[:, : HALF[0], : HALF[1]]
    for made, interpolated, plate in zip(after.planes[1:], before.planes[1:], wanted, strict=True):
        assert np.array_equal(made, plate)
        assert not np.array_equal(interpolated, plate)


def test_a_piece_colours_its_region_only(tiny: Package, lows: list[av.VideoFrame]) -> None:
    region = (8, 4, 24, 20)
    colour, number = make_chroma(24, 20), SEGMENTS[0]
    tree = coloured(tiny.manifest_bytes, colour)
    plate = tree["rungs"][0]["plates"][0]
    # A region wants a luma of its size; the whole one of before stays beside it.
    luma = io.BytesIO()
    Image.new("L", (24, 20), 99).save(luma, "AVIF", subsampling="4:0:0", range="full")
    tree["assets"][sha(luma.getvalue())] = {"kind": "plate", "bytes": len(luma.getvalue())}
    del plate[0]["chroma"]
    plate.append({"sha256": sha(luma.getvalue()), "region": region, "chroma": sha(colour)})
    upscaler = with_assets(parsed(tree), tiny)
    lr = planes_of(lows[number])
    plain = upscaler.upscale(number, lr).planes
    upscaler.add_asset(sha(colour), colour)
    made = upscaler.upscale(number, lr).planes
    u, v = decode_chroma(colour, 24, 20)
    # One LR sample at its edges has neighbours without colour, and weights fade over another half.
    for before, after, there in zip(plain[1:], made[1:], (u, v), strict=True):
        changed = before != after
        changed[2:12, 4:16] = False
        assert not changed.any()
        assert np.array_equal(after[6:8, 8:12], there[4:6, 4:8])


def test_pieces_lie_over_one_another() -> None:
    below, above = np.full((2, 10, 12), 9, np.uint8), np.full((2, 3, 4), 7, np.uint8)
    chroma = compose_chroma([(None, below), ((4, 2, 8, 6), above)], 24, 20)
    assert chroma.shape == (2, 10, 12)
    assert np.all(chroma[:, 1:4, 2:6] == 7)
    assert np.count_nonzero(chroma == 7) == 2 * 12
    assert not compose_chroma([], 24, 20).any()


@pytest.mark.parametrize(
    "data", [make_chroma(HR[0] - 2, HR[1]), b"no AVIF", make_chroma(2 * HR[0], HR[1])]
)
def test_a_wrong_picture_is_refused_and_the_rest_is_shown(
    tiny: Package, lows: list[av.VideoFrame], data: bytes
) -> None:
    upscaler = with_assets(parsed(coloured(tiny.manifest_bytes, data)), tiny)
    with pytest.raises(PackageError, match="plate is"):
        upscaler.add_asset(sha(data), data)
    assert upscaler.ready(1)
    assert upscaler.upscale(SEGMENTS[0], planes_of(lows[SEGMENTS[0]])).super_resolved


def _untold(tree: dict[str, Any]) -> None:
    del tree["rungs"][0]["chroma_tolerance"]


def _endless(tree: dict[str, Any]) -> None:
    tree["rungs"][0]["chroma_tolerance"] = MAX_TOLERANCE + 1


def _luma(tree: dict[str, Any]) -> None:
    piece = tree["rungs"][0]["plates"][0][0]
    piece["chroma"] = piece["sha256"]


def _odd(tree: dict[str, Any]) -> None:
    tree["rungs"][0]["plates"][0][0]["region"] = [1, 0, 8, 8]


def _canvas(tree: dict[str, Any]) -> None:
    tree["assets"][tree["rungs"][0]["plates"][0][0]["sha256"]]["canvas"] = [64, 64]


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        (_untold, "needs a tolerance"),
        (_endless, "chroma_tolerance"),
        (_luma, "is not a chroma of this package"),
        (_odd, "odd sides"),
        (_canvas, "no canvas"),
    ],
)
def test_lies_about_chroma_are_refused(tiny: Package, lie: Any, sentence: str) -> None:
    tree = coloured(tiny.manifest_bytes, make_chroma(*HR))
    lie(tree)
    with pytest.raises(PackageError, match=sentence):
        parsed(tree)
