"""The upscaler uses the right plans or interpolates: nothing between."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator

import av
import numpy as np
import pytest

from client_sdk.contract import Manifest, Package, parse_manifest
from client_sdk.contract.plate import decode_plate
from client_sdk.picture import planes_of
from client_sdk.upscaler import Planes, Upscaler
from kernels import bases
from kernels.compiler import base_id, decode_plan, encode_plan
from kernels.errors import CrispcastError, PackageError
from kernels.runtime import Engine, Plan, Plate
from tests.client_sdk.tiny import (
    HEIGHT,
    LR_HEIGHT,
    LR_WIDTH,
    SCALE,
    SEGMENTS,
    WIDTH,
    make_plan,
    make_plate,
    sha,
)


@pytest.fixture(scope="module")
def decoded(tiny: Package) -> list[av.VideoFrame]:
    with av.open(str(tiny.video_path(0))) as container:
        return list(container.decode(video=0))


@pytest.fixture
def upscaler(tiny: Package) -> Upscaler:
    return Upscaler.of_package(tiny, threads=1)


def same(left: Planes, right: Planes) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def bicubic(lr: Planes) -> Planes:
    return crop(Engine(1).upscale(lr, 2))


def crop(planes: Planes) -> Planes:
    y, u, v = planes
    half = (HEIGHT + 1) // 2, (WIDTH + 1) // 2
    return y[:HEIGHT, :WIDTH], u[: half[0], : half[1]], v[: half[0], : half[1]]


def test_frames_come_out_in_the_sources_size(
    upscaler: Upscaler, decoded: list[av.VideoFrame]
) -> None:
    y, u, v = upscaler.upscale(0, planes_of(decoded[0])).planes
    assert y.shape == (HEIGHT, WIDTH)
    assert u.shape == v.shape == ((HEIGHT + 1) // 2, (WIDTH + 1) // 2)


def test_every_frame_is_super_resolved_when_all_is_there(
    upscaler: Upscaler, decoded: list[av.VideoFrame]
) -> None:
    for number, frame in enumerate(decoded):
        upscaled = upscaler.upscale(number, planes_of(frame))
        assert upscaled.super_resolved
        assert not upscaled.late
        assert not same(upscaled.planes, bicubic(planes_of(frame)))


def test_an_unknown_frame_is_interpolated(upscaler: Upscaler, decoded: list[av.VideoFrame]) -> None:
    upscaled = upscaler.upscale(None, planes_of(decoded[3]))
    assert not upscaled.super_resolved
    assert same(upscaled.planes, bicubic(planes_of(decoded[3])))


def test_without_assets_all_is_interpolated(tiny: Package, decoded: list[av.VideoFrame]) -> None:
    upscaled = Upscaler(tiny.manifest, 0, 1).upscale(0, planes_of(decoded[0]))
    assert upscaled.late
    assert not upscaled.super_resolved
    assert same(upscaled.planes, bicubic(planes_of(decoded[0])))


def test_a_missing_plan_leaves_its_patches_interpolated_and_a_late_one_is_used(
    tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    whole, partial = Upscaler.of_package(tiny, threads=1), Upscaler(tiny.manifest, 0, 1)
    record, shared, own = tiny.manifest.rungs[0].assets_of(0)
    for sha256 in (record, own):
        partial.add_asset(sha256, tiny.asset(sha256))
    assert not partial.ready(0)
    lr = planes_of(decoded[0])
    upscaled = partial.upscale(0, lr)
    assert upscaled.late
    assert not upscaled.super_resolved
    right, plain = whole.upscale(0, lr).planes, bicubic(lr)
    for x, y, w, h, expert in tiny.patch_map(0, 0).patches() * [2, 2, 2, 2, 1]:
        part = np.s_[y : min(y + h, HEIGHT), x : min(x + w, WIDTH)]
        expected = right if expert == 2 else plain
        assert np.array_equal(upscaled.planes[0][part], expected[0][part])
    partial.add_asset(shared, tiny.asset(shared))
    assert same(partial.upscale(0, lr).planes, right)


def test_a_late_plate_costs_quality_and_not_the_plans(
    tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    upscaler = Upscaler(tiny.manifest, 0, 1)
    rung = tiny.manifest.rungs[0]
    for sha256 in rung.assets_of(1):
        if sha256 not in {piece.sha256 for piece in rung.pieces_of(1)}:
            upscaler.add_asset(sha256, tiny.asset(sha256))
    number = SEGMENTS[0]
    upscaled = upscaler.upscale(number, planes_of(decoded[number]))
    assert upscaled.super_resolved
    assert upscaled.late


def test_the_frame_before_counts_inside_a_segment_only(
    tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    # A segment decoded by itself gives the same frames as one that others came before.
    through, alone = Upscaler.of_package(tiny, threads=1), Upscaler.of_package(tiny, threads=1)
    start, end = SEGMENTS[0], SEGMENTS[0] + SEGMENTS[1]
    for number in range(start):
        through.upscale(number, planes_of(decoded[number]))
    for number in range(start, end):
        lr = planes_of(decoded[number])
        assert same(through.upscale(number, lr).planes, alone.upscale(number, lr).planes)


def test_after_a_lost_frame_the_frame_is_its_own_previous(
    tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    gap, fresh = Upscaler.of_package(tiny, threads=1), Upscaler.of_package(tiny, threads=1)
    gap.upscale(3, planes_of(decoded[3]))
    lr = planes_of(decoded[5])
    assert same(gap.upscale(5, lr).planes, fresh.upscale(5, lr).planes)


def test_the_number_of_threads_changes_nothing(tiny: Package, decoded: list[av.VideoFrame]) -> None:
    one, two = Upscaler.of_package(tiny, threads=1), Upscaler.of_package(tiny, threads=2)
    for number, frame in enumerate(decoded[:14]):
        lr = planes_of(frame)
        assert same(one.upscale(number, lr).planes, two.upscale(number, lr).planes)


def test_a_plan_under_anothers_hash_is_refused(tiny: Package) -> None:
    first, second = tiny.manifest.rungs[0].segments[0].experts
    with pytest.raises(PackageError, match="damaged"):
        Upscaler(tiny.manifest, 0, 1).add_asset(first, tiny.asset(second))


def test_an_asset_that_nobody_needs_is_refused(tiny: Package) -> None:
    with pytest.raises(PackageError, match="no segment"):
        Upscaler(tiny.manifest, 0, 1).add_asset("0" * 64, b"")


def bad_contents() -> Iterator[bytes]:
    yield b"not a plan"
    yield make_plan(3, ("luma",), scale=3)


@pytest.mark.parametrize("content", bad_contents())
def test_a_refused_plan_stays_missing(
    tiny: Package, decoded: list[av.VideoFrame], content: bytes
) -> None:
    manifest = _with_plan(tiny, content)
    upscaler = Upscaler(manifest, 0, 1)
    with pytest.raises(CrispcastError):
        upscaler.add_asset(sha(content), content)
    assert sha(content) in upscaler.refused
    record = manifest.rungs[0].segments[0].map.sha256
    upscaler.add_asset(record, tiny.asset(record))
    assert not upscaler.upscale(0, planes_of(decoded[0])).super_resolved


def _with_plan(tiny: Package, content: bytes) -> Manifest:
    """The manifest with those bytes as the only plan of the first segment."""
    tree = json.loads(tiny.manifest_bytes)
    tree["assets"][sha(content)] = {"kind": "plan", "bytes": len(content)}
    tree["rungs"][0]["segments"][0]["experts"] = [sha(content), sha(content)]
    return parse_manifest(json.dumps(tree).encode())


def test_a_frame_of_another_size_is_refused(upscaler: Upscaler) -> None:
    plane = np.zeros((10, 10), np.uint8)
    with pytest.raises(PackageError, match="10x10"):
        upscaler.upscale(0, (plane, plane[:5, :5], plane[:5, :5]))


def test_plans_are_the_runtimes(tiny: Package) -> None:
    assert Plan(tiny.asset(tiny.manifest.rungs[0].segments[0].experts[0])).inputs == (
        "luma",
        "previous",
    )


def difference_in(tiny: Package) -> tuple[Manifest, str, bytes, bytes]:
    """The manifest with its shared expert as a difference, that expert's hash, bytes and base."""
    whole = tiny.asset(tiny.manifest.rungs[0].segments[0].experts[0])
    base = make_plan(2, ("luma", "previous"))
    wire = encode_plan(decode_plan(whole), base)
    text = tiny.manifest.to_bytes().decode().replace(sha(whole), sha(wire))
    text = text.replace(
        f'"{sha(wire)}":{{"kind":"plan","bytes":{len(whole)}}}',
        f'"{sha(wire)}":{{"kind":"plan","bytes":{len(wire)}}}',
    )
    return parse_manifest(text.encode()), sha(wire), wire, base


def test_a_difference_to_a_shipped_base_is_the_plan_it_stands_for(
    tiny: Package, decoded: list[av.VideoFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, sha256, wire, base = difference_in(tiny)
    monkeypatch.setattr(bases, "find", {base_id(base): base}.get)
    upscaler = Upscaler(manifest, 0, 1)
    for asset in manifest.rungs[0].assets_of(0):
        upscaler.add_asset(asset, wire if asset == sha256 else tiny.asset(asset))
    lr = planes_of(decoded[0])
    whole = Upscaler.of_package(tiny, threads=1).upscale(0, lr)
    assert same(upscaler.upscale(0, lr).planes, whole.planes)


def test_a_difference_to_an_unknown_base_is_a_missing_plan(
    tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    manifest, sha256, wire, _ = difference_in(tiny)
    upscaler = Upscaler(manifest, 0, 1)
    with pytest.raises(CrispcastError, match="a base that was not given"):
        upscaler.add_asset(sha256, wire)
    assert sha256 in upscaler.refused
    assert upscaler.upscale(0, planes_of(decoded[0])).late


def with_base(tiny: Package) -> tuple[Manifest, str, dict[str, bytes]]:
    """Segment 0's shared expert as a difference to one that is listed and used by no patch.

    The manifest, the hash of the base, and the bytes of both plans by hash.
    """
    _, sha256, wire, base = difference_in(tiny)
    tree = json.loads(tiny.manifest_bytes)
    old = tree["rungs"][0]["segments"][0]["experts"][0]
    for segment in tree["rungs"][0]["segments"]:
        if old in segment["experts"]:
            segment["experts"] = [sha256 if e == old else e for e in segment["experts"]]
            segment["experts"].append(sha(base))
    for plan in (wire, base):
        tree["assets"][sha(plan)] = {"kind": "plan", "bytes": len(plan)}
    return parse_manifest(json.dumps(tree).encode()), sha(base), {sha256: wire, sha(base): base}


@pytest.mark.parametrize("base_first", [True, False])
def test_a_difference_to_a_plan_of_its_segment_waits_for_it(
    tiny: Package, decoded: list[av.VideoFrame], base_first: bool
) -> None:
    manifest, base, plans = with_base(tiny)
    upscaler = Upscaler(manifest, 0, 1)
    assets = sorted(manifest.rungs[0].assets_of(0), key=lambda asset: asset == base)
    lr = planes_of(decoded[0])
    for asset in reversed(assets) if base_first else assets:
        if asset == base and not base_first:
            assert not upscaler.ready(0)
            assert upscaler.upscale(0, lr).late
        upscaler.add_asset(asset, plans.get(asset) or tiny.asset(asset))
    assert upscaler.ready(0)
    upscaled = upscaler.upscale(0, lr)
    assert not upscaled.late
    assert same(upscaled.planes, Upscaler.of_package(tiny, threads=1).upscale(0, lr).planes)


def test_a_difference_to_a_difference_is_refused(tiny: Package) -> None:
    manifest, base, plans = with_base(tiny)
    (sha256,) = set(plans) - {base}
    chained = encode_plan(decode_plan(plans[base]), tiny.asset(_first_plan(tiny)))
    text = manifest.to_bytes().decode().replace(base, sha(chained))
    wire = encode_plan(decode_plan(plans[base]), make_plan(9, ("luma", "previous")))
    forged = wire[:12] + base_id(chained) + wire[28:]
    forged = forged[:8] + struct.pack("<I", zlib.crc32(forged[12:])) + forged[12:]
    tree = json.loads(text.replace(sha256, sha(forged)))
    for plan in (chained, forged):
        tree["assets"][sha(plan)]["bytes"] = len(plan)
    upscaler = Upscaler(parse_manifest(json.dumps(tree).encode()), 0, 1)
    upscaler.add_asset(sha(forged), forged)
    with pytest.raises(CrispcastError):
        upscaler.add_asset(sha(chained), chained)
    assert not upscaler.upscale(0, _grey()).super_resolved


def _first_plan(tiny: Package) -> str:
    return tiny.manifest.rungs[0].segments[0].experts[0]


def _grey() -> Planes:
    luma = np.full((LR_HEIGHT, LR_WIDTH), 90, np.uint8)
    chroma = np.full((LR_HEIGHT // 2, LR_WIDTH // 2), 128, np.uint8)
    return luma, chroma, chroma


def test_a_plate_sharpens_the_picture_piece_by_piece(
    tiny: Package, decoded: list[av.VideoFrame]
) -> None:
    width, height = LR_WIDTH * SCALE, LR_HEIGHT * SCALE
    tree = json.loads(tiny.manifest_bytes)
    halves = [(0, 0, width // 2, height), (width // 2, 0, width // 2, height)]
    data = [make_plate(w, h, seed) for seed, (_, _, w, h) in enumerate(halves)]
    for content in data:
        tree["assets"][sha(content)] = {"kind": "plate", "bytes": len(content)}
    tree["rungs"][0]["plates"] = [
        [
            {"sha256": sha(content), "region": region}
            for content, region in zip(data, halves, strict=True)
        ]
    ]
    manifest = parse_manifest(json.dumps(tree).encode())
    number = SEGMENTS[0]
    lr = planes_of(decoded[number])
    lumas = [decode_plate(c, w, h) for c, (_, _, w, h) in zip(data, halves, strict=True)]
    upscaler = Upscaler(manifest, 0, 1)
    for sha256 in manifest.rungs[0].assets_of(1):
        if sha256 not in map(sha, data):
            upscaler.add_asset(sha256, tiny.asset(sha256))
    patches = tiny.patch_map(0, 1).patches()
    plans = [Plan(tiny.asset(sha256)) for sha256 in manifest.rungs[0].segments[1].experts]

    def expected(*there: int) -> Planes:
        luma = np.full((height, width), 128, np.uint8)
        for index in there:
            x, y, w, h = halves[index]
            luma[y : y + h, x : x + w] = lumas[index]
        plate = Plate(luma, SCALE) if there else None
        return Engine(1).upscale(lr, SCALE, patches=patches, plans=plans, plate=plate)

    seen = [upscaler.upscale(number, lr)]
    for content in reversed(data):
        upscaler.add_asset(sha(content), content)
        seen.append(upscaler.upscale(number, lr))
    for upscaled, there in zip(seen, ((), (1,), (0, 1)), strict=True):
        assert same(upscaled.planes, crop(expected(*there)))
    assert [upscaled.late for upscaled in seen] == [True, True, False]
    assert not same(seen[0].planes, seen[1].planes)
