"""The core's readers agree with those of Python: on good bytes, and on every kind of bad ones."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract import Manifest, decode_motion, decode_record, parse_manifest
from client_sdk.contract.control import decode_server_message
from client_sdk.core import Session
from kernels.errors import PackageError, StreamError
from tests.client_sdk.test_manifest import manifests
from tests.conformance.package import LENGTHS, Drawn, draw, sha

DRAWN = draw(rungs=(2, 4))
TREE: dict[str, Any] = json.loads(DRAWN.manifest_bytes)
# Python reads "1", 1.0 and true as 1, the core does not: no such values here.
VALUES = [-1, 0, 1, 7, 1 << 40, 1.5, "x", "f" * 64, "../x", "", None, [], {}, [1, 2], {"a": []}]


def paths(tree: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON tree."""
    if way:
        yield way
    if isinstance(tree, dict | list):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in items:
            yield from paths(value, (*way, key))


PATHS = list(paths(TREE))


def changed(way: tuple[Any, ...], change: Any) -> bytes:
    """The drawn manifest with one place set; `...`: taken away."""
    tree = json.loads(json.dumps(TREE))
    place = tree
    for part in way[:-1]:
        place = place[part]
    if change is ...:
        del place[way[-1]]
    else:
        place[way[-1]] = change
    return json.dumps(tree).encode()


def python_takes(data: bytes) -> bool:
    try:
        parse_manifest(data)
    except PackageError:
        return False
    return True


def core_takes(data: bytes) -> bool:
    session = Session(threads=1, offline=True)
    try:
        session.manifest(data)
    except PackageError:
        return False
    finally:
        session.close()
    return True


@given(manifests())
@settings(max_examples=50, deadline=None)
def test_the_core_takes_every_good_manifest(manifest: Manifest) -> None:
    assert core_takes(manifest.to_bytes())


@given(st.sampled_from(PATHS), st.sampled_from([*VALUES, ...]))
@settings(max_examples=400, deadline=None)
def test_both_refuse_the_same_manifests(way: tuple[Any, ...], change: Any) -> None:
    if way[-1] == "audio" and way[0] == "source" and change in (0, 1):
        return  # a number is no truth to the core
    if way[-2:] == ("motion", "bytes"):
        return  # both rungs name this record; to the core one hash has one size
    data = changed(way, change)
    assert core_takes(data) == python_takes(data), (way, change)


@given(st.sampled_from([way for way in PATHS if way[0] != "method"]))
@settings(max_examples=60, deadline=None)
def test_both_refuse_fields_that_they_do_not_know(way: tuple[Any, ...]) -> None:
    data = changed((*way[:-1], "more"), 1) if isinstance(way[-1], str) else DRAWN.manifest_bytes
    assert core_takes(data) == python_takes(data), way


@pytest.mark.parametrize("kind", ["plan", "chroma"])
@pytest.mark.parametrize("last", ["kind", "canvas"])
def test_nothing_but_a_plate_is_a_canvas(kind: str, last: str) -> None:
    name = next(name for name, asset in TREE["assets"].items() if asset["kind"] == kind)
    told = {**TREE["assets"][name], "canvas": [12, 32]}
    moved = told.pop(last)
    data = changed(("assets", name), {**told, last: moved})
    with pytest.raises(PackageError, match=f"{name}.*a {kind} is no canvas"):
        parse_manifest(data)
    with pytest.raises(PackageError, match="no plate, and so no canvas"):
        Session(threads=1, offline=True).manifest(data)


@pytest.mark.parametrize("text", [b'{"format":"crispcast","version":"2.7"}', b"[" * 1_000_000])
def test_what_is_no_manifest_of_this_version_is_refused(text: bytes) -> None:
    assert not core_takes(text)
    session = Session(threads=1)
    if b"2.7" in text:
        with pytest.raises(PackageError, match=r"version 2\.7; this program reads 1\.x"):
            session.manifest(text)


MESSAGES: list[dict[str, Any]] = [
    {"type": "anchor", "rtp_time": 4294967295, "rung": 0, "frame": 3},
    {"type": "sought", "rtp_time": 5, "rung": 0, "frame": 3},
    {"type": "switch", "rung": 1, "frame": 8},
    {"type": "refused", "what": "seek", "message": "not here"},
    {"type": "bye", "reason": "end", "message": "", "frames": 24},
    {"type": "bye", "reason": "shutdown"},
]
NAMES = ["type", "rtp_time", "rung", "frame", "what", "message", "reason", "frames", "version"]


@given(
    st.sampled_from(MESSAGES),
    st.sampled_from(NAMES),
    st.sampled_from([*VALUES, ..., "y" * 301, "end", "é" * 300, 4294967295, 15, 16]),
)
@settings(max_examples=400, deadline=None)
def test_both_refuse_the_same_messages(message: dict[str, Any], name: str, change: Any) -> None:
    fields = {**message, name: change}
    if change is ...:
        del fields[name]
    text = json.dumps(fields)
    try:
        decode_server_message(text)
        good = True
    except StreamError:
        good = False
    session = Session(threads=1)
    session.manifest(DRAWN.manifest_bytes)
    said = fields.get("type")
    within = said != "switch" or not good or (fields["rung"] < 2 and fields["frame"] < 24)
    try:
        session.message(text.encode())
        taken = True
    except StreamError:
        taken = False
    assert taken == (good and within), text


SIGNATURE = "ed25519:" + "0123456789abcdef" * 8


@pytest.mark.parametrize(
    "signature",
    [SIGNATURE, None, ..., SIGNATURE[:-1], SIGNATURE + "0", SIGNATURE.upper(), SIGNATURE[8:],
     "ed25519:", "", "x" * 2000, "ed448:00" + SIGNATURE[10:], SIGNATURE[:-1] + "g", 5, [], {}],
)  # fmt: skip
def test_both_refuse_the_same_signatures(signature: Any) -> None:
    head = {"type": "manifest", "version": "1.2", "package": "0" * 16, "rung": 0}
    fields = {**head, "sha256": "0" * 64, "bytes": 1, "signature": signature}
    if signature is ...:
        del fields["signature"]
    text = json.dumps(fields)
    good = signature in (SIGNATURE, None, ...)
    with contextlib.nullcontext() if good else pytest.raises(StreamError):
        decode_server_message(text)
    with contextlib.nullcontext() if good else pytest.raises(StreamError):
        Session(threads=1).message(text.encode())


def with_record(kind: str, record: bytes) -> Drawn:
    """The drawn package whose last segment's map or motion is this record."""
    tree = json.loads(json.dumps(TREE))
    tree["rungs"][0]["segments"][2][kind] |= {"sha256": sha(record), "bytes": len(record)}
    return Drawn(parse_manifest(json.dumps(tree).encode()))


def takes_record(kind: str, record: bytes) -> bool:
    session = Session(threads=1, offline=True)
    session.manifest(with_record(kind, record).manifest_bytes)
    try:
        session.asset(sha(record), record)
    except StreamError:
        return False
    return True


@pytest.mark.parametrize("kind", ["map", "motion"])
def test_both_refuse_the_same_records(kind: str) -> None:
    rung = DRAWN.manifest.rungs[0]
    segment = rung.segments[2]
    ref = segment.map if kind == "map" else segment.motion
    assert ref is not None
    good = DRAWN.assets[ref.sha256]
    rng = np.random.default_rng(5)
    taken = 0
    for round_ in range(150):
        bad = bytearray(good)
        if round_ % 3 == 0:
            bad = bad[: int(rng.integers(1, len(bad) + 1))]
        if round_ % 3 == 1:
            bad += rng.integers(0, 256, 1, np.uint8).tobytes()
        if round_:
            bad[int(rng.integers(0, len(bad)))] = int(rng.integers(0, 256))
        record = bytes(bad) if round_ else good
        try:
            if kind == "map":
                decode_record(record, rung.width, rung.height, len(segment.experts))
            else:
                decode_motion(record, LENGTHS[2])
            expected = True
        except PackageError:
            expected = False
        assert takes_record(kind, record) == expected, record.hex()
        taken += expected
    assert 0 < taken < 150
