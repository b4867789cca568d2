"""Temporal units survive their way through RTP packets, ours and other senders'."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import obu
from client_sdk.contract.av1_rtp import PAYLOAD_BYTES, assemble, packetize
from client_sdk.contract.obu import Obu

SEQUENCE = Obu(b"\x08", b"0123456789")
DELIMITER = Obu(b"\x10", b"")
units = st.builds(
    lambda kind, size, fill: Obu(bytes([kind << 3]), bytes([fill]) * size),
    st.sampled_from([1, 3, 5, 6]),
    st.one_of(st.integers(0, 40), st.integers(1100, 4000)),
    st.integers(0, 255),
)


def stream(made: list[Obu]) -> bytes:
    return b"".join(unit.sized for unit in made)


@given(st.lists(units, min_size=1, max_size=8))
def test_what_is_packetized_is_assembled(made: list[Obu]) -> None:
    payloads = packetize(stream([DELIMITER, *made]))
    assert all(len(payload) <= PAYLOAD_BYTES for payload in payloads)
    assert assemble(payloads) == made


def test_a_sequence_begins_with_its_mark() -> None:
    first, *rest = packetize(stream([SEQUENCE, Obu(b"\x30", bytes(5000))]))
    assert first[0] & 0x08
    assert rest
    assert not any(payload[0] & 0x08 for payload in rest)
    assert not any(p[0] & 0x08 for p in packetize(stream([Obu(b"\x30", bytes(5000))])))


def test_packets_of_other_senders_are_understood() -> None:
    frame = bytes(range(200))
    # W = 2: the first element has its length, the last one has none.
    whole = bytes([0x20]) + obu.leb128(11) + SEQUENCE.bare + b"\x30" + frame
    assert assemble([whole]) == [SEQUENCE, Obu(b"\x30", frame)]
    # W = 1, in two packets.
    assert assemble([b"\x50\x30" + frame[:99], b"\x90" + frame[99:]]) == [Obu(b"\x30", frame)]


@given(st.integers(1, 6), st.data())
def test_a_packet_missing_inside_a_unit_is_seen(count: int, data: st.DataObject) -> None:
    payloads = packetize(stream([Obu(b"\x30", bytes(PAYLOAD_BYTES * count + 100))]))
    lost = data.draw(st.integers(0, len(payloads) - 1))
    left = payloads[:lost] + payloads[lost + 1 :]
    if lost in (0, len(payloads) - 1):
        with pytest.raises(ValueError):
            assemble(left)
    else:  # the element's length is its own packet's: only its content can tell
        assert assemble(left) != assemble(payloads)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_safe(payloads: list[bytes]) -> None:
    try:
        found = assemble(payloads)
    except ValueError:
        return
    assert sum(len(unit.payload) for unit in found) <= sum(map(len, payloads))


def test_a_flood_is_refused() -> None:
    with pytest.raises(ValueError, match="not an AV1 payload"):
        assemble([b"\x50" + b"\x30" + bytes(1 << 20)] + [b"\xd0" + bytes(1 << 20)] * 9)
