"""The manifest says what it means, survives a round trip, and refuses every lie."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract import (
    Asset,
    Manifest,
    MapRef,
    Method,
    Package,
    PlatePiece,
    Rung,
    RungSegment,
    Segment,
    Source,
    package_id,
    parse_manifest,
    rung_size,
)
from kernels.errors import PackageError


def digest(seed: object) -> str:
    return hashlib.sha256(repr(seed).encode()).hexdigest()


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    frames = draw(st.lists(st.integers(1, 200), min_size=1, max_size=6))
    width, height = draw(st.integers(16, 16384)), draw(st.integers(16, 16384))
    scale = draw(st.integers(2, 4))
    plans = draw(st.integers(0, 5))
    sizes = st.integers(1, 4 << 20)
    assets = {digest(i): Asset(kind="plan", bytes=draw(sizes)) for i in range(plans)}
    plate = digest("plate")
    assets[plate] = Asset(kind="plate", bytes=draw(sizes))
    assets[digest("piece")] = Asset(kind="plate", bytes=draw(sizes))
    lr = rung_size(width, height, scale)
    segments = tuple(
        RungSegment(
            experts=tuple(draw(st.lists(st.sampled_from([digest(i) for i in range(plans)]))))
            if plans
            else (),
            plate=draw(st.sampled_from([None, 0, 1])),
            map=MapRef(sha256=digest(("map", i)), offset=6 + i, bytes=draw(st.integers(1, 900))),
        )
        for i in range(len(frames))
    )
    rung = Rung(
        name="low",
        width=lr[0],
        height=lr[1],
        scale=scale,
        profile="high",
        file="video/low.mp4",
        sha256=digest("video"),
        bytes=draw(sizes),
        maps_file="maps/low.maps",
        plates=(
            (PlatePiece(sha256=plate),),
            (PlatePiece(sha256=digest("piece"), region=(0, 0, 8, 8)),) * 2,
        ),
        segments=segments,
    )
    name = draw(st.text(min_size=1, max_size=40).filter(str.isprintable))
    config = {"name": draw(st.sampled_from(["stdo", "none"])), "chunks": draw(st.integers(1, 9))}
    return Manifest(
        id=package_id(digest("source"), config),
        name=name,
        source=Source(
            sha256=digest("source"),
            width=width,
            height=height,
            frames=sum(frames),
            fps=draw(st.sampled_from([(24, 1), (30000, 1001), (25, 2)])),
        ),
        method=Method.model_validate(config),
        segments=tuple(
            Segment(start=sum(frames[:i]), frames=count) for i, count in enumerate(frames)
        ),
        rungs=(rung,),
        assets=assets,
    )


@given(manifests())
@settings(max_examples=50, deadline=None)
def test_a_manifest_survives_the_round_trip(manifest: Manifest) -> None:
    assert parse_manifest(manifest.to_bytes()) == manifest


@given(manifests(), st.data())
@settings(max_examples=30, deadline=None)
def test_every_frame_is_in_the_segment_that_covers_it(manifest: Manifest, data: Any) -> None:
    frame = data.draw(st.integers(0, manifest.source.frames - 1))
    segment = manifest.segments[manifest.segment_of(frame)]
    assert segment.start <= frame < segment.end


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(PackageError):
        parse_manifest(data)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(PackageError):
        parse_manifest(b"[" * 1_000_000)


def test_another_major_version_is_named(tiny: Package) -> None:
    tree = json.loads(tiny.manifest_bytes)
    tree["version"] = "2.7"
    with pytest.raises(PackageError, match=r"2\.7"):
        parse_manifest(json.dumps(tree).encode())


def _set(tree: dict[str, Any], path: str, value: Any) -> None:
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = tree
    for part in way:
        place = place[part]
    place[last] = value


@pytest.mark.parametrize(
    "path, value",
    [
        ("segments.1.start", 13),
        ("segments.2.frames", 15),
        ("segments.0.frames", 0),
        ("source.frames", 99999999999),
        ("source.fps", [0, 1]),
        ("source.width", 188888),
        ("rungs.0.width", 98),
        ("rungs.0.scale", 5),
        ("rungs.0.file", "video/../../etc/passwd"),
        ("rungs.0.file", "/etc/passwd"),
        ("rungs.0.file", "video/.hidden"),
        ("rungs.0.file", "maps/lr.mp4"),
        ("rungs.0.file", "video\\lr.mp4"),
        ("rungs.0.file", "video/lr.mp4\n"),
        ("rungs.0.segments", []),
        ("rungs.0.segments.0.experts.0", "0" * 64),
        ("rungs.0.segments.0.experts.0", "A" * 64),
        ("rungs.0.segments.0.plate", 2),
        ("rungs.0.segments.0.map.offset", -1),
        ("rungs.0.segments.0.map.bytes", 1 << 30),
        ("name", "two\nlines"),
        ("id", "xyz"),
        ("surprise", 1),
        ("source.audio", False),
        ("quality", []),
        ("rungs.0.quality", []),
        ("rungs.0.quality", [{"psnr_y": 30.0, "psnr_y_bicubic": 29.0}]),
        ("rungs.0.compute", -1),
        ("format", "other"),
    ],
)
def test_a_lie_is_refused(tiny: Package, path: str, value: Any) -> None:
    tree = json.loads(tiny.manifest_bytes)
    _set(tree, path, value)
    with pytest.raises(PackageError):
        parse_manifest(json.dumps(tree).encode())


def test_a_plate_cannot_pass_as_a_plan(tiny: Package) -> None:
    tree = json.loads(tiny.manifest_bytes)
    plate = tree["rungs"][0]["plates"][0][0]["sha256"]
    tree["rungs"][0]["segments"][0]["experts"][0] = plate
    with pytest.raises(PackageError, match="not a plan"):
        parse_manifest(json.dumps(tree).encode())


def test_a_manifest_cannot_be_changed(tiny: Package) -> None:
    with pytest.raises(ValueError):
        tiny.manifest.name = "other"


def test_the_package_id_depends_on_source_and_settings_but_not_on_their_order() -> None:
    one = package_id("a" * 64, {"scale": 2, "chunks": 3})
    assert one == package_id("a" * 64, {"chunks": 3, "scale": 2})
    assert one != package_id("b" * 64, {"scale": 2, "chunks": 3})
    assert one != package_id("a" * 64, {"scale": 3, "chunks": 3})


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], "at least 1"),
        ([None, [5000, 0, 40, 20]], "outside of the frame"),
        ([[0, 0, 0, 20]], "greater than or equal to 1"),
        ([[-2, 0, 20, 20]], "greater than or equal to 0"),
        ([[0, 0, 20, 20], [20, 0, 10, 20]], "two sizes"),
        ([[0, 0, 20, 20]] * 65, "at most 64"),
    ],
)
def test_pieces_that_are_none_are_refused(
    tiny: Package, pieces: list[list[int] | None], message: str
) -> None:
    tree = json.loads(tiny.manifest_bytes)
    sha256 = tree["rungs"][0]["plates"][0][0]["sha256"]
    tree["rungs"][0]["plates"] = [[{"sha256": sha256, "region": region} for region in pieces]]
    with pytest.raises(PackageError, match=message):
        parse_manifest(json.dumps(tree).encode())
