"""The player's readers of formats agree with those of Python, on good bytes and on bad ones."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_sdk.contract import MANIFEST_FILE, Cell, Grid, PatchMap, encode_record, parse_manifest
from client_sdk.contract.control import decode_server_message
from client_sdk.contract.motion import decode_motion, encode_motion
from client_sdk.contract.obu import TEMPORAL_DELIMITER, Obu, build_identity
from client_sdk.contract.patch_map import decode_record
from client_sdk.contract.sei import FrameIdentity, build_nal, build_payload
from client_sdk.core import Session
from client_sdk.pace import Pace
from kernels.errors import PackageError, StreamError
from tests.client_sdk.tiny import write_tiny
from tests.client_sdk.web.conftest import WEB

Read = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
START = b"\0\0\0\1"
RNG = np.random.default_rng(3)


@pytest.fixture
def read(node: list[str], tmp_path: Path) -> Read:
    """Reads cases with the player's modules, in Node."""

    def run(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        given, taken = tmp_path / "cases.json", tmp_path / "results.json"
        given.write_text(json.dumps(cases))
        script = Path(__file__).parent / "formats.mjs"
        command = [*node, str(script), f"{WEB.as_uri()}/", str(given), str(taken)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        answers: list[dict[str, Any]] = json.loads(taken.read_text())
        return answers

    return run


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def random_map(experts: int) -> PatchMap:
    width, height, patch = (
        int(RNG.integers(low, high)) for low, high in ((16, 200),) * 2 + ((8, 40),)
    )
    grid = Grid(width, height, patch, patch + 3)

    def one() -> int:
        return int(RNG.integers(0, experts + 1)) if RNG.random() < 0.4 else 0

    cells: list[Cell] = [
        (one(), one(), one(), one()) if RNG.random() < 0.2 else one()
        for _ in range(grid.columns * grid.rows)
    ]
    return PatchMap(grid, tuple(cells))


def case_of(record: bytes, patch_map: PatchMap, experts: int) -> dict[str, Any]:
    grid = patch_map.grid
    size = {"width": grid.width, "height": grid.height, "experts": experts}
    return {"kind": "map", "bytes": text(record), **size}


def test_patch_maps_are_read_alike(read: Read) -> None:
    maps = [random_map(experts) for experts in (1, 3, 64) for _ in range(12)]
    bounds = [64] * len(maps)
    answers = read([case_of(encode_record(m), m, b) for m, b in zip(maps, bounds, strict=True)])
    for patch_map, answer in zip(maps, answers, strict=True):
        assert answer["value"] == patch_map.patches().ravel().tolist()


def test_damaged_patch_maps_are_refused_alike(read: Read) -> None:
    cases: list[dict[str, Any]] = []
    expected: list[list[int] | None] = []
    for _ in range(150):
        patch_map = random_map(3)
        record = bytearray(encode_record(patch_map))
        record[RNG.integers(0, len(record))] ^= int(RNG.integers(1, 256))
        record = record[: RNG.integers(1, len(record) + 1)] if RNG.random() < 0.3 else record
        grid = patch_map.grid
        try:
            value = decode_record(bytes(record), grid.width, grid.height, 3).patches().ravel()
            expected.append(value.tolist())
        except PackageError:
            expected.append(None)
        cases.append(case_of(bytes(record), patch_map, 3))
    answers = read(cases)
    assert None in expected
    assert [answer.get("value") for answer in answers] == expected


def test_a_cut_map_still_tiles_the_frame(read: Read) -> None:
    patch_map = random_map(5)
    patches, width = patch_map.patches(), patch_map.grid.width
    columns = [0, 1, width // 2, width - 1, width]
    cases = [{"kind": "cut", "patches": patches.ravel().tolist(), "column": c} for c in columns]
    for column, answer in zip(columns, read(cases), strict=True):
        shown = np.full((patch_map.grid.height, width), -1)
        for x, y, w, h, expert in np.array(answer["value"]).reshape(-1, 5):
            assert np.all(shown[y : y + h, x : x + w] == -1)
            shown[y : y + h, x : x + w] = expert
        whole = np.full_like(shown, -1)
        for x, y, w, h, expert in patches:
            whole[y : y + h, x : x + w] = expert
        whole[:, :column] = 0
        assert np.array_equal(shown, whole)


def test_motion_is_read_and_refused_alike(read: Read) -> None:
    corners = np.array([0, 0, 3000, 0, 3000, 2000, 0, 2000])
    moves = np.cumsum(RNG.integers(-40, 90, (20, 8)), 0) + np.arange(20)[:, None] * 300
    record = encode_motion((corners + moves).astype(np.int32))
    cases = [{"kind": "motion", "bytes": text(record), "frames": frames} for frames in (20, 19)]
    expected: list[list[list[int]] | None] = [(corners + moves).tolist(), None]
    for _ in range(150):
        damaged = bytearray(record)
        damaged[RNG.integers(0, len(record))] ^= int(RNG.integers(1, 256))
        try:
            expected.append(decode_motion(bytes(damaged), 20).tolist())
        except PackageError:
            expected.append(None)
        cases.append({"kind": "motion", "bytes": text(bytes(damaged)), "frames": 20})
    assert [answer.get("value") for answer in read(cases)] == expected


def test_identities_are_found_in_coded_frames(read: Read) -> None:
    cases: list[dict[str, Any]] = []
    expected: list[dict[str, Any] | None] = []
    for number in (0, 1, 3, 255, 0x0000_0300, 0xFFFF_FFFF):
        identity = FrameIdentity("00000000000003ab", number % 256, number)
        value = {"package": identity.package, "rung": identity.rung, "frame": identity.frame}
        slices = START + b"\x65" + RNG.bytes(40)
        for unit in (START + b"\x09\xf0" + START + b"\x67" + RNG.bytes(9), b""):
            sei = unit + START + build_nal(identity)
            cases.append({"kind": "identity", "codec": "h264", "bytes": text(sei + slices)})
            expected.append(value)
        delimiter = Obu(bytes([TEMPORAL_DELIMITER << 3]), b"").sized
        unit = (
            delimiter + build_identity(identity).sized + Obu(bytes([6 << 3]), RNG.bytes(30)).sized
        )
        cases.append({"kind": "identity", "codec": "av1", "bytes": text(unit)})
        expected.append(value)
    for codec in ("h264", "av1"):
        for size in range(60):
            cases.append({"kind": "identity", "codec": codec, "bytes": text(RNG.bytes(size))})
            expected.append(None)
    assert [answer["value"] for answer in read(cases)] == expected


def test_manifests_are_read_or_refused_in_a_sentence(read: Read, tmp_path: Path) -> None:
    data = (write_tiny(tmp_path, segments=(12, 10)) / MANIFEST_FILE).read_bytes()
    manifest = parse_manifest(data)
    wanted = [[list(rung.assets_of(at)) for at in range(2)] for rung in manifest.rungs]
    [answer] = read([{"kind": "manifest", "bytes": text(data)}])
    assert answer["value"] == wanted
    damaged = [data[:-3], b"[]", b"null", data.replace(b'"version":"1.', b'"version":"2.')]
    for field in (b'"frames":12', b'"width":96', b'"scale":2', b'"plate":0', b'"start":12'):
        assert field in data
        for value in (b"-1", b"1e9", b'"x"', b"null", b"{}", b"1.5"):
            damaged.append(data.replace(field, field.split(b":")[0] + b":" + value, 1))
    digest = wanted[0][0][1].encode()
    damaged.append(data.replace(digest, b"f" * 64, 1))
    damaged.append(data.replace(digest, b"__proto__", 1))
    refused = read([{"kind": "manifest", "bytes": text(d)} for d in damaged])
    passed = [d for d, a in zip(damaged, refused, strict=True) if "error" not in a]
    # No plate is a plate that a segment may have.
    assert [b'"plate":null' in d for d in passed] == [True] * len(passed)


SIGNATURE = "ed25519:" + "0123456789abcdef" * 8
MANIFEST_HEAD: dict[str, Any] = {
    "type": "manifest",
    "version": "1.1",
    "package": "0123456789abcdef",
    "rung": 0,
    "sha256": "ab" * 32,
    "bytes": 900,
}
ANCHOR: dict[str, Any] = {"type": "anchor", "rtp_time": 90_000, "rung": 1, "frame": 30}
GOOD_MESSAGES: list[dict[str, Any]] = [
    MANIFEST_HEAD,
    {**MANIFEST_HEAD, "live": 7},
    {**MANIFEST_HEAD, "live": None},
    {**MANIFEST_HEAD, "signature": SIGNATURE},
    {**MANIFEST_HEAD, "signature": None},
    ANCHOR,
    {**ANCHOR, "type": "sought"},
    {"type": "switch", "rung": 15, "frame": 0xFFFF_FFFF},
    {"type": "refused", "what": "seek"},
    {"type": "refused", "what": "seek", "message": "é" * 300},
    {"type": "bye", "reason": "end", "frames": 36},
    {"type": "bye", "reason": "shutdown", "message": "the server stops", "frames": None},
]
BAD_MESSAGES: list[Any] = [
    *({**message, "more": 1} for message in GOOD_MESSAGES),
    *({**message, "toString": 1} for message in GOOD_MESSAGES),
    {**ANCHOR, "type": "switch"},
    {**ANCHOR, "type": "toString"},
    {**ANCHOR, "type": ["anchor"]},
    {**ANCHOR, "frame": -1},
    {**ANCHOR, "rung": 16},
    {**ANCHOR, "frame": 1.5},
    {**ANCHOR, "frame": None},
    {key: value for key, value in ANCHOR.items() if key != "rung"},
    {**MANIFEST_HEAD, "version": "2.0"},
    {**MANIFEST_HEAD, "package": 1234567890123456},
    {**MANIFEST_HEAD, "bytes": 0},
    {**MANIFEST_HEAD, "signature": ""},
    {**MANIFEST_HEAD, "signature": SIGNATURE.upper()},
    {**MANIFEST_HEAD, "signature": SIGNATURE[8:]},
    {**MANIFEST_HEAD, "signature": SIGNATURE + "0"},
    {**MANIFEST_HEAD, "signature": SIGNATURE + "\n"},
    {**MANIFEST_HEAD, "signature": 5},
    {**ANCHOR, "signature": SIGNATURE},
    {"type": "refused", "what": "Seek"},
    {"type": "refused", "what": "seek", "message": "é" * 301},
    {"type": "bye", "reason": "tired"},
    {"type": "bye", "reason": "end", "message": 7},
    {"type": "pause"},
    {"type": "bye", "reason": "end", "message": "é" * 9000},
    None,
    [],
    "bye",
]


def is_read(text: str) -> bool:
    try:
        decode_server_message(text)
    except StreamError:
        return False
    return True


def test_messages_are_read_and_refused_alike(read: Read) -> None:
    texts = [json.dumps(each, ensure_ascii=False) for each in GOOD_MESSAGES + BAD_MESSAGES]
    texts += ["", "{", '{"type": "bye", "reason": "end"} ']
    cases: list[dict[str, Any]] = [{"kind": "message", "text": each} for each in texts]
    told = ["value" in answer for answer in read(cases)]
    assert told == [is_read(each) for each in texts]
    good = len(GOOD_MESSAGES)
    assert all(told[:good])
    assert not any(told[good : good + len(BAD_MESSAGES)])


def test_frames_are_counted_alike(read: Read, tmp_path: Path) -> None:
    data = (write_tiny(tmp_path) / MANIFEST_FILE).read_bytes()
    manifest = parse_manifest(data)
    session = Session(threads=1, plain=True)
    session.manifest(data)
    anchors: list[tuple[int, dict[str, Any]]] = []
    for time, frame in ((90_000, 0), (90_000 + 12 * 3600, 12), (400_000, 22)):
        session.identify(time, build_payload(FrameIdentity(manifest.id, 0, frame)))
        identity = {"package": manifest.id, "rung": 0, "frame": frame}
        anchors.append((time, identity))
    foreign = {"package": "0" * 16, "rung": 0, "frame": 5}
    anchors.append((500_000, foreign))
    times = list(range(80_001, 520_000, 1700))
    wrap = 0xFFFF_FFFF - 200_000  # RTP time goes round on its way
    moved = [[(time + wrap) % 2**32, identity] for time, identity in anchors]
    cases: list[dict[str, Any]] = [
        {"kind": "clock", "bytes": text(data), "anchors": anchors, "times": times},
        {
            "kind": "clock",
            "bytes": text(data),
            "anchors": moved,
            "times": [(time + wrap) % 2**32 for time in times],
        },
    ]
    rung = manifest.rungs[0]
    half = np.zeros((rung.height // 2, rung.width // 2), np.uint8)
    lr = np.zeros((rung.height, rung.width), np.uint8), half, half
    found = [session.upscale(lr, rtp_time=time).frame for time in times]
    expected = [None if number < 0 else number for number in found]
    assert None in expected
    assert 30 in expected
    assert [answer["value"] for answer in read(cases)] == [expected, expected]


def test_both_clients_rest_and_try_again_alike(read: Read) -> None:
    # Too slow for a while, just so at the end. The time between frames is exact in binary.
    spent = [20.0] * 40 + [70.0] * 200 + [31.0] * 400
    pace = Pace(31.25)
    answers = []
    now = 0.0
    for each in spent:
        runs = pace.may_run(now)
        if runs:
            pace.took(now, each)
        answers.append([runs, pace.resting, pace.networks_ms])
        now += 0.03125
    assert any(not runs for runs, _, _ in answers)
    assert answers[-1][0]
    given = read([{"kind": "pace", "frameMs": 31.25, "spent": spent}])[0]["value"]
    assert [row[:2] for row in given] == [row[:2] for row in answers]
