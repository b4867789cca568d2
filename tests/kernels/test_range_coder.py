"""The range coder gives every bit back and notices a stream that is too short or too long."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.errors import PlanError
from kernels.range_coder import Contexts, Decoder, Encoder

# One symbol: (kind, value); kind 0..3 a context, 4 bypass, 5 an 8-bit tree.
SYMBOLS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 4), st.integers(0, 1)),
        st.tuples(st.just(5), st.integers(0, 255)),
    ),
    max_size=400,
)


def _encode(symbols: list[tuple[int, int]]) -> bytes:
    encoder, contexts, tree = Encoder(), Contexts(4), Contexts(256)
    for kind, value in symbols:
        if kind < 4:
            encoder.encode(value, contexts, kind)
        elif kind == 4:
            encoder.bypass(value)
        else:
            encoder.bit_tree(value, tree, 8)
    return encoder.finish()


def _decode(data: bytes, symbols: list[tuple[int, int]]) -> list[tuple[int, int]]:
    decoder, contexts, tree = Decoder(data), Contexts(4), Contexts(256)
    found = []
    for kind, _ in symbols:
        if kind < 4:
            found.append((kind, decoder.decode(contexts, kind)))
        elif kind == 4:
            found.append((kind, decoder.bypass()))
        else:
            found.append((kind, decoder.bit_tree(tree, 8)))
    decoder.finish()
    return found


@given(SYMBOLS)
def test_every_symbol_comes_back(symbols: list[tuple[int, int]]) -> None:
    assert _decode(_encode(symbols), symbols) == symbols


@pytest.mark.parametrize("ones", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_long_runs_come_back_and_rare_bits_are_cheap(ones: float) -> None:
    rng = random.Random(7)
    symbols = [(0, int(rng.random() < ones)) for _ in range(20_000)]
    data = _encode(symbols)
    assert _decode(data, symbols) == symbols
    if ones in (0.0, 1.0):
        assert len(data) < 20_000 / 8 * 0.01
    elif ones != 0.5:
        assert len(data) < 20_000 / 8 * 0.12  # the entropy is 0.081 bits


def test_carries_run_through_bytes_of_ff() -> None:
    # A 1 coded where a 0 is nearly certain adds almost all of the range: low stays near its top.
    symbols = [(0, 0)] * 3000 + [(4, 1)] * 64 + [(0, 1)] * 40 + [(4, 1)] * 64 + [(0, 0)] * 3000
    assert _decode(_encode(symbols), symbols) == symbols


@given(SYMBOLS.filter(lambda symbols: len(symbols) > 0))
def test_a_stream_with_bytes_left_over_is_refused(symbols: list[tuple[int, int]]) -> None:
    with pytest.raises(PlanError, match="1 bytes before"):
        _decode(_encode(symbols) + b"\0", symbols)


@given(SYMBOLS)
def test_a_stream_without_its_last_byte_is_refused(symbols: list[tuple[int, int]]) -> None:
    with pytest.raises(PlanError):
        _decode(_encode(symbols)[:-1], symbols)


def test_a_value_too_large_for_its_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Encoder().bit_tree(256, Contexts(256), 8)


def test_the_coder_has_not_drifted() -> None:
    symbols = [(i % 4, int(i * 7 % 5 < 2)) for i in range(60)] + [(4, 1), (5, 200), (5, 3), (4, 0)]
    assert _encode(symbols).hex() == "9499b675003fab874d5e370000"
