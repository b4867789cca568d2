"""Assets arrive whole and true, or not at all."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract.asset_frames import (
    MAX_CHUNK_BYTES,
    MAX_FRAME_BYTES,
    Assembler,
    AssetFrame,
    decode_frame,
    encode_frame,
    frames_of,
)
from kernels.errors import StreamError

DATA = bytes(range(256)) * 200
SHA = hashlib.sha256(DATA).hexdigest()


@given(st.binary(min_size=1, max_size=60_000), st.integers(0, 70_000))
def test_an_asset_survives_from_any_offset(data: bytes, start: int) -> None:
    sha256, start = hashlib.sha256(data).hexdigest(), min(start, len(data) - 1)
    assembler = Assembler()
    assembler.expect(sha256, len(data))
    if start:
        assert assembler.add(AssetFrame(sha256, 0, len(data), data[:start])) is None
    messages = list(frames_of(sha256, data, assembler.have(sha256)))
    assert all(len(message) <= MAX_FRAME_BYTES for message in messages)
    parts = [assembler.add(decode_frame(message)) for message in messages]
    assert parts[-1] == data
    assert all(part is None for part in parts[:-1])
    assert not assembler.expects(sha256)


@given(st.binary(max_size=300))
def test_any_message_is_a_frame_or_refused(message: bytes) -> None:
    try:
        frame = decode_frame(message)
    except StreamError:
        return
    assert frame.offset + len(frame.data) <= frame.total


def test_a_frame_survives_the_round_trip() -> None:
    frame = AssetFrame(SHA, 7, 100, b"abc")
    assert decode_frame(encode_frame(frame)) == frame


def test_a_damaged_asset_is_refused_and_can_be_asked_for_again() -> None:
    assembler = Assembler()
    assembler.expect(SHA, len(DATA))
    *most, last = [decode_frame(message) for message in frames_of(SHA, DATA)]
    for frame in most:
        assembler.add(frame)
    with pytest.raises(StreamError, match="damaged"):
        assembler.add(AssetFrame(SHA, last.offset, last.total, bytes(len(last.data))))
    assert assembler.expects(SHA)
    assert assembler.have(SHA) == 0
    assert [assembler.add(decode_frame(m)) for m in frames_of(SHA, DATA)][-1] == DATA


@pytest.mark.parametrize(
    "frame, why",
    [
        (AssetFrame("0" * 64, 0, 5, b"hello"), "not asked for"),
        (AssetFrame(SHA, 0, 5, b"hello"), "bytes, not"),
        (AssetFrame(SHA, 900, len(DATA), b"hello"), "hole"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(frame: AssetFrame, why: str) -> None:
    assembler = Assembler()
    assembler.expect(SHA, len(DATA))
    with pytest.raises(StreamError, match=why):
        assembler.add(frame)


def test_a_frame_that_ends_outside_is_refused() -> None:
    with pytest.raises(StreamError, match="ends at"):
        decode_frame(encode_frame(AssetFrame(SHA, 10, 12, b"hello")))


def test_messages_are_as_long_as_they_may_be() -> None:
    assert len(next(iter(frames_of(SHA, bytes(MAX_CHUNK_BYTES + 1))))) == MAX_FRAME_BYTES
