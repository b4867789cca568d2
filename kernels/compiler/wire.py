"""Wire plans: header, op table and CRC around the payload, as `docs/plan-format.md` has them."""

from __future__ import annotations

import hashlib
import struct
import zlib

from kernels import bases
from kernels.compiler.payload import decode_payload, encode_payload
from kernels.errors import PlanError
from kernels.plan import (
    MAX_BYTES,
    MAX_LAYERS,
    MAX_SOURCES,
    PLANES,
    Activation,
    Codes,
    LayerSpec,
    PlanIR,
    PlanTable,
)

MAGIC = b"CCPL"
MAJOR, MINOR = 1, 1
BASE_ID_BYTES = 16
_HEADER = struct.Struct("<4sBBHI")
_DIFFERENCE = 1
_RESIDUAL, _AFTER, _DENSE, _CODES, _SIGNED = 4, 8, 16, 32, 64


def encode_plan(plan: PlanIR, base: bytes | None = None) -> bytes:
    """The bytes of a plan; with `base`, the wire plan of a base, as the difference to it.

    Raises PlanError where they are more than a plan may have, or where the base is of another
    shape.
    """
    found = None if base is None else _base_for(plan.table, base)
    body = b"" if base is None else base_id(base)
    body += _encode_table(plan.table) + encode_payload(plan.table, plan.numbers, found)
    minor, flags = (0, 0) if base is None else (MINOR, _DIFFERENCE)
    wire = _HEADER.pack(MAGIC, MAJOR, minor, flags, zlib.crc32(body)) + body
    if len(wire) > MAX_BYTES:
        raise PlanError(f"the plan takes {len(wire)} bytes, more than {MAX_BYTES}: prune it more")
    return wire


def decode_plan(wire: bytes, base: bytes | None = None) -> PlanIR:
    """The plan in `wire`; raises PlanError for anything that the format refuses.

    `base`: the wire plan that a difference is to, where it is none of those that are shipped; a
    full plan ignores it.
    """
    wanted = base_of(wire)
    if zlib.crc32(wire[_HEADER.size :]) != _HEADER.unpack_from(wire)[4]:
        raise PlanError("the plan is damaged: its CRC-32 does not match: fetch it again")
    start = _HEADER.size + (0 if wanted is None else BASE_ID_BYTES)
    table, end = _Table(wire, start).read()
    if wanted is None:
        return PlanIR(table, decode_payload(table, wire[end:]))
    base = bases.find(wanted) if base is None else base
    if base is None or base_id(base) != wanted:
        raise PlanError(f"the plan is a difference to base {wanted.hex()}: load it with that base")
    return PlanIR(table, decode_payload(table, wire[end:], _base_for(table, base)))


def base_of(wire: bytes) -> bytes | None:
    """The id of the base that the plan in `wire` is a difference to, or None for a full plan.

    Only the header is read: raises PlanError where that is none or of another version.
    """
    if len(wire) > MAX_BYTES:
        raise PlanError(f"a plan of {len(wire)} bytes, more than {MAX_BYTES}: refused")
    if len(wire) < _HEADER.size:
        raise PlanError(f"a plan of {len(wire)} bytes has no whole header: fetch it again")
    magic, major, minor, flags, _ = _HEADER.unpack_from(wire)
    if magic != MAGIC:
        raise PlanError(f"not a plan: it begins with {magic!r}, not {MAGIC!r}")
    if major != MAJOR or minor > MINOR:
        raise PlanError(
            f"a plan of version {major}.{minor} where {MAJOR}.{MINOR} is understood: "
            "update Crispcast or encode again"
        )
    if flags != (_DIFFERENCE if minor == MINOR else 0):
        raise PlanError(
            f"a plan of version {major}.{minor} with flags {flags:#06x}: update Crispcast"
        )
    if not flags:
        return None
    if len(wire) < _HEADER.size + BASE_ID_BYTES:
        raise PlanError("the plan ends inside the id of its base: fetch it again")
    return bytes(wire[_HEADER.size : _HEADER.size + BASE_ID_BYTES])


def base_id(base: bytes) -> bytes:
    """What differences call a base: the first 16 bytes of the SHA-256 of its wire plan."""
    return hashlib.sha256(base).digest()[:BASE_ID_BYTES]


def _base_for(table: PlanTable, base: bytes) -> PlanIR:
    """The base, which must be a full plan whose layers have the shapes of `table`'s."""
    if base_of(base) is not None:
        raise PlanError("the plan's base is itself a difference: a base must be a full plan")
    found = decode_plan(base)
    if _shapes(found.table) != _shapes(table):
        raise PlanError("the plan's base has layers of other shapes: compile it without a base")
    return found


def _shapes(table: PlanTable) -> list[tuple[int, int, int]]:
    return [
        (layer.cout, table.input_channels(index), layer.kernel)
        for index, layer in enumerate(table.layers)
    ]


def _encode_table(table: PlanTable) -> bytes:
    out = bytearray([table.scale, sum(1 << PLANES.index(name) for name in table.inputs)])
    out += bytes([int(table.bicubic)]) + _varint(len(table.layers))
    for layer in table.layers:
        flags = int(layer.activation)
        flags |= 0 if layer.residual is None else _RESIDUAL
        flags |= _AFTER * layer.residual_after | _DENSE * layer.dense
        if layer.codes is not None:
            flags |= _CODES | _SIGNED * layer.codes.signed
        out += bytes([layer.kernel, len(layer.sources)])
        out += b"".join(_varint(value) for value in layer.sources)
        out += _varint(layer.cout) + bytes([layer.block, flags])
        out += b"" if layer.residual is None else _varint(layer.residual)
        out.append(layer.bits)
        out += b"" if layer.codes is None else bytes([layer.codes.step])
    return bytes(out)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Table:
    """Reads the op table; counts are checked before anything is read for them."""

    def __init__(self, wire: bytes, start: int) -> None:
        self._wire = wire
        self._next = start

    def read(self) -> tuple[PlanTable, int]:
        """The table and the offset of the first byte after it."""
        scale, planes, base = self._byte(), self._byte(), self._byte()
        if not planes & 1 or planes > 7:
            raise PlanError(f"input planes {planes:#04x} in the plan's op table: not understood")
        if base > 1:
            raise PlanError(f"base {base} in the plan's op table: neither none nor bicubic")
        layers = self._count(self._varint(), MAX_LAYERS, "layers")
        inputs = tuple(name for bit, name in enumerate(PLANES) if planes >> bit & 1)
        table = PlanTable(scale, inputs, base == 1, tuple(self._layer() for _ in range(layers)))
        return table, self._next

    def _layer(self) -> LayerSpec:
        kernel = self._byte()
        sources = self._count(self._byte(), MAX_SOURCES, "sources of a layer")
        values = tuple(self._varint() for _ in range(sources))
        cout = self._varint()
        block, flags = self._byte(), self._byte()
        after_nothing = flags & _AFTER and not flags & _RESIDUAL
        if flags > 127 or after_nothing or (flags & _SIGNED and not flags & _CODES):
            raise PlanError(f"flags {flags:#04x} of a layer in the plan's op table: not understood")
        return LayerSpec(
            kernel=kernel,
            sources=values,
            cout=cout,
            block=block,
            activation=Activation(flags & 3),
            residual=self._varint() if flags & _RESIDUAL else None,
            residual_after=bool(flags & _AFTER),
            dense=bool(flags & _DENSE),
            bits=self._byte(),
            codes=Codes(self._byte(), bool(flags & _SIGNED)) if flags & _CODES else None,
        )

    def _byte(self) -> int:
        if self._next == len(self._wire):
            raise PlanError("the plan ends inside its op table: fetch it again")
        self._next += 1
        return self._wire[self._next - 1]

    def _varint(self) -> int:
        value = 0
        for place in range(5):
            byte = self._byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if value > 0xFFFF_FFFF:
                    break
                return value
        raise PlanError("a number beyond 32 bits in the plan's op table: refused")

    def _count(self, count: int, highest: int, what: str) -> int:
        if not 1 <= count <= highest:
            raise PlanError(f"{count} {what} in the plan's op table, not 1 to {highest}")
        return count
