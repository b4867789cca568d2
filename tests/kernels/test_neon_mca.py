"""NEON's inner loops by static analysis: no register spilled, hardly an issue slot unused."""

from __future__ import annotations

import functools
import importlib.util

import pytest

from benchmarks.neon import (
    DOTS,
    ISSUE,
    Loop,
    analyse,
    assembly,
    code_loops,
    find_mca,
    full_width,
    tile_loops,
)


@functools.cache
def loops() -> tuple[Loop, ...]:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is missing: pip install ziglang")
    return tuple(tile_loops(assembly()))


@functools.cache
def dot_loops(isa: str) -> tuple[Loop, ...]:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is missing: pip install ziglang")
    return tuple(code_loops(isa))


def test_blocks_of_4_and_8_have_inner_loops() -> None:
    assert {loop.block for loop in loops()} == {4, 8}
    for loop in loops():
        assert loop.work >= loop.channels * loop.vectors


def test_no_register_is_spilled_in_an_inner_loop() -> None:
    assert [loop.name for loop in loops() if loop.spills] == []


def test_a_spill_is_seen() -> None:
    assert Loop(1, 4, 1, ("ldr q0, [sp, #16]", "fmla v1.4s, v0.4s, v2.s[0]")).spills == 1


@pytest.mark.parametrize("core", ISSUE)
def test_full_width_tiles_fill_the_multipliers(core: str) -> None:
    if find_mca() is None:
        pytest.skip("llvm-mca is missing: apt-get install llvm-19")
    for loop in full_width(list(loops())):
        analysis = analyse(loop, core)
        assert analysis.fraction >= 0.9, f"{loop.name}: {analysis.fraction:.1%} of {core}"


TILES = {
    "neondot": [(channels, 4 * channels) for channels in (6, 5, 4, 3, 2, 1)],
    # A product of matrices is of two columns and two channels; more than four share eight columns.
    "neoni8mm": [(8, 16), (6, 12), (4, 16), (2, 8)],
}
"""Of the tiles of a set, widest first: channels, and what multiplies bytes in one iteration."""


@pytest.mark.parametrize("isa", DOTS.values())
def test_no_register_is_spilled_among_products_of_bytes(isa: str) -> None:
    assert [(loop.channels, loop.work) for loop in dot_loops(isa)] == TILES[isa]
    assert [loop.name for loop in dot_loops(isa) if loop.spills] == []


# Of the widest tile, products of bytes beside the instructions that weave them.
WOVEN = {"neondot": (24, 8), "neoni8mm": (16, 12)}


@pytest.mark.parametrize(("core", "isa"), DOTS.items())
def test_products_of_bytes_fill_what_weaving_leaves(core: str, isa: str) -> None:
    if find_mca() is None:
        pytest.skip("llvm-mca is missing: apt-get install llvm-19")
    products, weaving = WOVEN[isa]
    fraction = analyse(dot_loops(isa)[0], core).fraction
    assert fraction >= 0.9 * products / (products + weaving)
