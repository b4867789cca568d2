"""AV1's open bitstream units, and the one that names a frame.

AV1 Bitstream & Decoding Process Specification: leb128 4.10.5, OBU header 5.3.2 and 5.3.3, metadata
5.8.1 and 6.7.1 (types 6 to 31 are "unregistered user private": decoders skip them). The payload of
ours is that of the H.264 message: `docs/frame-identity.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from client_sdk.contract.sei import FrameIdentity, build_payload, parse_payload

SEQUENCE_HEADER, TEMPORAL_DELIMITER, METADATA, TILE_LIST, PADDING = 1, 2, 5, 8, 15
IDENTITY_METADATA = 19
"""metadata_type of a frame's identity."""

_EXTENSION, _HAS_SIZE = 0x04, 0x02
_MOST_LEB128 = 8  # bytes


@dataclass(frozen=True, slots=True)
class Obu:
    """A unit: its header (one byte or two) without a size field, and its payload."""

    header: bytes
    payload: bytes

    @property
    def kind(self) -> int:
        """obu_type."""
        return self.header[0] >> 3 & 15

    @property
    def bare(self) -> bytes:
        """Without a size: as RTP carries it."""
        return self.header + self.payload

    @property
    def sized(self) -> bytes:
        """With a size: the low-overhead format (5.2), as files and decoders have it."""
        header = bytes([self.header[0] | _HAS_SIZE]) + self.header[1:]
        return header + leb128(len(self.payload)) + self.payload


def leb128(value: int) -> bytes:
    """Little-endian base 128 in the fewest bytes."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and where it ends; raises ValueError where it does not fit."""
    value = 0
    for index in range(_MOST_LEB128):
        if position + index >= len(data):
            raise ValueError("a leb128 is cut off")
        byte = data[position + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, position + index + 1
    raise ValueError("a leb128 is too long")


def parse_bare(data: bytes) -> Obu:
    """One unit, with or without a size field; raises ValueError where it is damaged."""
    if not data or data[0] & 0x81:  # forbidden bit, reserved bit
        raise ValueError("not an OBU")
    start = 2 if data[0] & _EXTENSION else 1
    if len(data) < start:
        raise ValueError("an OBU is cut off")
    header = bytes([data[0] & ~_HAS_SIZE]) + data[1:start]
    if not data[0] & _HAS_SIZE:
        return Obu(header, data[start:])
    size, begin = read_leb128(data, start)
    if begin + size != len(data):
        raise ValueError("an OBU's size is not its size")
    return Obu(header, data[begin:])


def split(data: bytes) -> Iterator[Obu]:
    """The units of a low-overhead bitstream; raises ValueError where a size leads outside."""
    position = 0
    while position < len(data):
        start = position + (2 if data[position] & _EXTENSION else 1)
        if not data[position] & _HAS_SIZE:
            raise ValueError("an OBU has no size")
        size, begin = read_leb128(data, start)
        if begin + size > len(data):
            raise ValueError("an OBU is longer than its sample")
        yield parse_bare(data[position : begin + size])
        position = begin + size


def build_identity(identity: FrameIdentity) -> Obu:
    """The metadata unit that names a frame: 31 bytes of payload."""
    # 0x80 is trailing_bits of 5.3.4.
    payload = leb128(IDENTITY_METADATA) + build_payload(identity) + b"\x80"
    return Obu(bytes([METADATA << 3]), payload)


def parse_identity(unit: Obu) -> FrameIdentity | None:
    """The identity in a unit, or None where it has none. Safe on any bytes."""
    if unit.kind != METADATA or unit.payload[:1] != bytes([IDENTITY_METADATA]):
        return None
    return parse_payload(unit.payload[1:-1])
