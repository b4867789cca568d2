"""What the tests ask of a 64-bit ELF file: its segments' alignment and the symbols it exports."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_LOAD, _DYNSYM = 1, 11
_AARCH64 = 183


@dataclass(frozen=True)
class Elf:
    """`alignments` of the loaded segments, names of `exported` symbols, `machine` as e_machine."""

    machine: int
    alignments: tuple[int, ...]
    congruent: bool
    exported: tuple[str, ...]

    @property
    def arm64(self) -> bool:
        """Whether it is for AArch64."""
        return self.machine == _AARCH64


def read_elf(path: Path) -> Elf:
    """Read the headers (System V ABI, chapters 4 and 5)."""
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01", "a 64-bit little-endian ELF file"
    machine = struct.unpack_from("<H", data, 18)[0]
    programs, sections = struct.unpack_from("<QQ", data, 32)
    size, count, section_size, section_count, _ = struct.unpack_from("<HHHHH", data, 54)
    loads = []
    for i in range(count):
        kind, _, offset, address, _, _, _, align = struct.unpack_from(
            "<IIQQQQQQ", data, programs + i * size
        )
        if kind == _LOAD:
            loads.append((offset, address, align))
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", data, sections + i * section_size)
        for i in range(section_count)
    ]
    names = []
    for _, kind, _, _, offset, length, link, _, _, entry in headers:
        if kind != _DYNSYM:
            continue
        strings = headers[link][4]
        for at in range(offset, offset + length, entry):
            name, info, _, section = struct.unpack_from("<IBBH", data, at)
            if section != 0 and info >> 4 in (1, 2):  # defined; global or weak
                end = data.index(b"\0", strings + name)
                names.append(data[strings + name : end].decode())
    return Elf(
        machine,
        tuple(align for _, _, align in loads),
        all(offset % align == address % align for offset, address, align in loads),
        tuple(sorted(names)),
    )
