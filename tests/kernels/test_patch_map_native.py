"""Patch maps in the C++ core: the same patches, and the same refusals, as the Python contract."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.patch_map import Cell, Grid, PatchMap, decode_record, encode_record
from kernels.errors import PackageError, PlanError
from kernels.runtime import decode_patch_map


@st.composite
def patch_maps(draw: st.DrawFn) -> PatchMap:
    """Any map of up to some hundred patches."""
    patch_width, patch_height = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    grid = Grid(draw(st.integers(1, 300)), draw(st.integers(1, 300)), patch_width, patch_height)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    experts, changes, splits = (
        draw(st.integers(0, 64)),
        draw(st.floats(0, 1)),
        draw(st.floats(0, 1)),
    )
    cells: list[Cell] = []
    before = 0
    for _, _, width, height in grid.rectangles():
        if rng.random() < changes:
            before = int(rng.integers(0, experts + 1))
        if rng.random() < splits and min(width, height) >= 2:
            a, b, c, d = (int(expert) for expert in rng.integers(0, experts + 1, 4))
            cells.append((a, b, c, d))
        else:
            cells.append(before)
    return PatchMap(grid, tuple(cells))


def both(record: bytes, width: int, height: int, experts: int) -> tuple[str, str]:
    """What Python's decoder and the core's make of a record: the patches, or "refused"."""
    try:
        ours = decode_record(record, width, height, experts).patches().tolist()
    except PackageError:
        ours = "refused"
    try:
        native = decode_patch_map(record, width, height, experts).tolist()
    except PlanError:
        native = "refused"
    return str(ours), str(native)


@given(patch_maps())
def test_the_core_reads_what_the_encoder_writes(patch_map: PatchMap) -> None:
    grid = patch_map.grid
    record = encode_record(patch_map)
    patches = decode_patch_map(record, grid.width, grid.height, patch_map.highest)
    assert patches.dtype == np.int32
    np.testing.assert_array_equal(patches, patch_map.patches())


@given(patch_maps(), st.data())
def test_damaged_records_are_read_alike(patch_map: PatchMap, data: st.DataObject) -> None:
    grid = patch_map.grid
    record = bytearray(encode_record(patch_map))
    for _ in range(data.draw(st.integers(1, 3))):
        record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(record) + 1))
    damaged = bytes(record[:end]) + bytes(max(0, end - len(record)))
    ours, native = both(damaged, grid.width, grid.height, patch_map.highest)
    assert ours == native


@given(st.binary(max_size=60), st.integers(1, 200), st.integers(1, 200), st.integers(0, 64))
def test_garbage_is_read_alike(stream: bytes, width: int, height: int, experts: int) -> None:
    for record in (stream, struct.pack("<BHH", 1, 16, 16) + stream):
        ours, native = both(record, width, height, experts)
        assert ours == native


@pytest.mark.parametrize(
    "record, sentence",
    [
        (b"", "ends too early"),
        (b"\2\x10\0\x10\0\0\0\0\0\0", "version"),
        (b"\1\x07\0\x10\0\0\0\0\0\0", "8 to 16384"),
        (b"\1\x10\0\x10\0\0\0\0", "ends too early"),
        (b"\1\x10\0\x10\0" + bytes(1 << 20), "larger than 1 MiB"),
        (encode_record(PatchMap.uniform(64, 48, 3)), "an expert that its segment lacks"),
        (encode_record(PatchMap.uniform(64, 48, 1)) + b"\0", "after its end"),
    ],
)
def test_a_refusal_says_what_is_wrong(record: bytes, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        decode_patch_map(record, 64, 48, 2)


@pytest.mark.parametrize(
    "width, height, experts, sentence",
    [(0, 48, 1, "16384"), (64, 16385, 1, "16384"), (64, 48, 65, "range"), (64, 48, -1, "range")],
)
def test_impossible_frames_are_refused(
    width: int, height: int, experts: int, sentence: str
) -> None:
    record = encode_record(PatchMap.uniform(64, 48, 1))
    with pytest.raises(PlanError, match=sentence):
        decode_patch_map(record, width, height, experts)


def test_more_patches_than_the_format_allows_are_refused() -> None:
    record = struct.pack("<BHH", 1, 8, 8) + bytes(100)
    with pytest.raises(PlanError, match="at most 65536"):
        decode_patch_map(record, 16384, 16384, 1)
