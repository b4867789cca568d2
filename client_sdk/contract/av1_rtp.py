"""AV1 in RTP packets: "RTP Payload Format For AV1" (AOMedia, v1.0.0), sections 4.3 to 4.5.

A packet begins with an aggregation header; here every OBU element in it has its length (W = 0).
"""

from __future__ import annotations

from collections.abc import Iterable

from client_sdk.contract.obu import (
    PADDING,
    SEQUENCE_HEADER,
    TEMPORAL_DELIMITER,
    TILE_LIST,
    Obu,
    leb128,
    parse_bare,
    read_leb128,
    split,
)

PAYLOAD_BYTES = 1200
"""Of a packet, at most: what gets through any path."""
MAX_UNIT_BYTES = 8 << 20
_CONTINUES, _TO_BE_CONTINUED, _COUNT, _SEQUENCE_STARTS = 0x80, 0x40, 0x30, 0x08
_NOT_SENT = (TEMPORAL_DELIMITER, TILE_LIST, PADDING)
_LEAST_PIECE = 16  # bytes of an OBU that are worth beginning in what is left of a packet


def packetize(unit: bytes) -> list[bytes]:
    """The RTP payloads of a temporal unit in low-overhead format.

    Raises ValueError where `unit` is not one.
    """
    units = [obu for obu in split(unit) if obu.kind not in _NOT_SENT]
    starts = any(obu.kind == SEQUENCE_HEADER for obu in units)
    payloads: list[bytearray] = []
    for obu in units:
        left, begun = obu.bare, False
        while left:
            room = PAYLOAD_BYTES - len(payloads[-1]) if payloads else 0
            if room < min(len(left), _LEAST_PIECE) + 2:
                payloads.append(bytearray([_CONTINUES if begun else 0]))
                room = PAYLOAD_BYTES - 1
            piece = left[: room - 2]  # a length of two bytes reaches 16383
            payloads[-1] += leb128(len(piece)) + piece
            left, begun = left[len(piece) :], True
            if left:
                payloads[-1][0] |= _TO_BE_CONTINUED
    if payloads and starts:
        payloads[0][0] |= _SEQUENCE_STARTS
    return [bytes(payload) for payload in payloads]


def assemble(payloads: Iterable[bytes]) -> list[Obu]:
    """The OBUs that the payloads of one temporal unit hold; safe on any bytes.

    Raises ValueError where they are damaged, or one is missing inside an OBU.
    """
    units: list[Obu] = []
    part: bytearray | None = None
    total = 0
    for payload in payloads:
        total += len(payload)
        if not payload or total > MAX_UNIT_BYTES:
            raise ValueError("not an AV1 payload")
        if bool(payload[0] & _CONTINUES) != (part is not None):
            raise ValueError("a packet inside an OBU is missing")
        elements = _elements(payload)
        for index, element in enumerate(elements):
            if part is None:
                part = bytearray()
            part += element
            if index + 1 < len(elements) or not payload[0] & _TO_BE_CONTINUED:
                obu = parse_bare(bytes(part))
                if obu.kind not in _NOT_SENT:
                    units.append(obu)
                part = None
    if part is not None:
        raise ValueError("the last packet of an OBU is missing")
    return units


def _elements(payload: bytes) -> list[bytes]:
    """OBU elements of a packet: W of them, the last without a length, or all with one (W = 0)."""
    count = (payload[0] & _COUNT) >> 4
    elements: list[bytes] = []
    position = 1
    while position < len(payload):
        if count and len(elements) + 1 == count:
            size, begin = len(payload) - position, position
        else:
            size, begin = read_leb128(payload, position)
        if size == 0 or begin + size > len(payload):
            raise ValueError("an OBU element leads outside of its packet")
        elements.append(payload[begin : begin + size])
        position = begin + size
    if not elements or (count and len(elements) != count):
        raise ValueError("a packet has not the OBU elements it says")
    return elements
