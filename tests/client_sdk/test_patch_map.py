"""Patch maps tile the frame, survive the round trip, cost little, and refuse any damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_sdk.contract import Cell, Grid, PatchMap, decode_record, encode_record
from kernels.errors import PackageError

EXPERTS = 5


@st.composite
def patch_maps(draw: st.DrawFn) -> PatchMap:
    grid = Grid(
        draw(st.integers(2, 300)),
        draw(st.integers(2, 300)),
        draw(st.integers(8, 120)),
        draw(st.integers(8, 120)),
    )
    expert = st.integers(0, EXPERTS)
    cell = st.one_of(expert, st.tuples(expert, expert, expert, expert))
    count = grid.columns * grid.rows
    cells = tuple(draw(st.lists(cell, min_size=count, max_size=count)))
    return PatchMap(grid, cells)


@given(patch_maps())
@settings(deadline=None)
def test_a_map_survives_the_round_trip(patch_map: PatchMap) -> None:
    grid = patch_map.grid
    assert decode_record(encode_record(patch_map), grid.width, grid.height, EXPERTS) == patch_map


@given(patch_maps())
@settings(deadline=None)
def test_patches_cover_every_sample_once(patch_map: PatchMap) -> None:
    cover = np.zeros((patch_map.grid.height, patch_map.grid.width), np.int32)
    for x, y, width, height, _ in patch_map.patches():
        assert width > 0
        assert height > 0
        cover[y : y + height, x : x + width] += 1
    assert (cover == 1).all()


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_a_map_or_refused(data: bytes) -> None:
    try:
        patch_map = decode_record(data, 96, 64, EXPERTS)
    except PackageError:
        return
    assert patch_map.highest <= EXPERTS


@given(patch_maps(), st.data())
@settings(deadline=None)
def test_a_map_for_fewer_experts_is_refused(patch_map: PatchMap, data: st.DataObject) -> None:
    grid, record = patch_map.grid, encode_record(patch_map)
    if patch_map.highest > 0:
        with pytest.raises(PackageError, match="expert"):
            decode_record(record, grid.width, grid.height, patch_map.highest - 1)


def test_a_record_for_a_huge_grid_is_refused_before_any_work() -> None:
    with pytest.raises(PackageError, match="patches pass"):
        decode_record(b"\x01\x08\x00\x08\x00" + bytes(8), 16384, 16384, 1)


def test_another_version_is_named() -> None:
    record = bytearray(encode_record(PatchMap.uniform(64, 64, 0)))
    record[0] = 9
    with pytest.raises(PackageError, match="version 9"):
        decode_record(bytes(record), 64, 64, 0)


@pytest.mark.parametrize("change", [b"\x00", b"\x00" * 40])
def test_bytes_left_over_are_refused(change: bytes) -> None:
    record = encode_record(PatchMap.uniform(64, 64, 1)) + change
    with pytest.raises(PackageError, match="damaged"):
        decode_record(record, 64, 64, 1)


def test_one_expert_for_all_costs_ten_bytes() -> None:
    assert len(encode_record(PatchMap.uniform(640, 360, 1))) <= 10


def test_two_regions_cost_far_less_than_a_byte_a_patch() -> None:
    grid = Grid(640, 360, 32, 32)
    cells: tuple[Cell, ...] = tuple(
        int(index % grid.columns > grid.columns // 2) for index in range(grid.columns * grid.rows)
    )
    assert len(encode_record(PatchMap(grid, cells))) < grid.columns * grid.rows / 4


@pytest.mark.parametrize("patch", [(7, 32), (32, 0), (-5, 9), (20000, 32)])
def test_a_patch_of_an_odd_size_is_refused(patch: tuple[int, int]) -> None:
    with pytest.raises(PackageError):
        Grid(640, 360, *patch)


def test_a_map_with_too_few_experts_is_refused() -> None:
    with pytest.raises(PackageError, match="grid of"):
        PatchMap(Grid(64, 64, 32, 32), (1, 2, 3))
