"""Frame identity: a user_data_unregistered SEI with {package, rung, frame number}.

ITU-T H.264 (08/2021): NAL units 7.3.1 and 7.4.1 (emulation prevention), SEI messages 7.3.2.3,
the message itself D.1.7 and D.2.7. Layout: `docs/frame-identity.md`.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

SEI_UUID = uuid.UUID("c7a1d35e-9b02-4f6b-8e4c-1f0d6a52b93e")
"""Names this payload, version 1; another layout would get another UUID."""

_NAL_SEI = 6
_USER_DATA_UNREGISTERED = 5
_BODY = struct.Struct(">8sBI")
PAYLOAD_BYTES = 16 + _BODY.size


@dataclass(frozen=True, slots=True)
class FrameIdentity:
    """Which frame an access unit is: package id (16 hex), rung index (0-255), frame number."""

    package: str
    rung: int
    frame: int


def build_payload(identity: FrameIdentity) -> bytes:
    """uuid_iso_iec_11578 and user_data_payload_byte of D.1.7: 29 bytes."""
    body = _BODY.pack(bytes.fromhex(identity.package), identity.rung, identity.frame)
    return SEI_UUID.bytes + body


def parse_payload(payload: bytes) -> FrameIdentity | None:
    """The identity in such a payload, or None where it is somebody else's or damaged."""
    if len(payload) != PAYLOAD_BYTES or payload[:16] != SEI_UUID.bytes:
        return None
    package, rung, frame = _BODY.unpack_from(payload, 16)
    return FrameIdentity(package.hex(), rung, frame)


def build_nal(identity: FrameIdentity) -> bytes:
    """The SEI NAL unit, without a start code."""
    payload = build_payload(identity)
    # One size byte is enough (payload_size < 255); 0x80 is rbsp_trailing_bits of 7.3.2.11.
    rbsp = bytes([_USER_DATA_UNREGISTERED, len(payload)]) + payload + b"\x80"
    return bytes([_NAL_SEI]) + add_emulation_prevention(rbsp)


def parse_nal(nal: bytes) -> FrameIdentity | None:
    """The identity in a NAL unit (without start code), or None. Safe on any bytes."""
    if not nal or nal[0] & 0x1F != _NAL_SEI:
        return None
    for kind, payload in _messages(remove_emulation_prevention(nal[1:])):
        if kind == _USER_DATA_UNREGISTERED:
            identity = parse_payload(payload)
            if identity is not None:
                return identity
    return None


def _messages(rbsp: bytes) -> Iterator[tuple[int, bytes]]:
    """The sei_message()s of 7.3.2.3.1, up to the first that does not fit."""
    position, end = 0, len(rbsp)
    while position + 2 < end:
        values = []
        for _ in range(2):
            value = 0
            while position < end and rbsp[position] == 0xFF:
                value += 255
                position += 1
            if position == end:
                return
            values.append(value + rbsp[position])
            position += 1
        kind, size = values
        if position + size > end:
            return
        yield kind, rbsp[position : position + size]
        position += size


def add_emulation_prevention(rbsp: bytes) -> bytes:
    """Insert emulation_prevention_three_byte, so that no start code appears inside (7.4.1)."""
    out = bytearray()
    zeros = 0
    for byte in rbsp:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def remove_emulation_prevention(data: bytes) -> bytes:
    """The reverse of `add_emulation_prevention` (7.3.1)."""
    out = bytearray()
    zeros = 0
    for byte in data:
        if zeros == 2 and byte == 3:
            zeros = 0
            continue
        out.append(byte)
        zeros = min(zeros + 1, 2) if byte == 0 else 0
    return bytes(out)
