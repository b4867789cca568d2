"""Assets over the data channel: binary messages of at most 16 KiB. Format: `docs/control.md`.

    version u8 = 1 | sha256, 32 bytes | offset u32 | total u32 | bytes        (little-endian)

The channel is ordered and reliable, so the frames of one asset come in order; frames of several
assets may interleave. An asset counts only once its hash is right.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from kernels.errors import StreamError

FRAME_VERSION = 1
MAX_FRAME_BYTES = 16_384
_HEADER = struct.Struct("<B32sII")
MAX_CHUNK_BYTES = MAX_FRAME_BYTES - _HEADER.size


@dataclass(frozen=True, slots=True)
class AssetFrame:
    """`data` is what lies at `offset` of the asset `sha256` (hex) of `total` bytes."""

    sha256: str
    offset: int
    total: int
    data: bytes


def encode_frame(frame: AssetFrame) -> bytes:
    """The binary message of a frame."""
    digest = bytes.fromhex(frame.sha256)
    return _HEADER.pack(FRAME_VERSION, digest, frame.offset, frame.total) + frame.data


def decode_frame(message: bytes) -> AssetFrame:
    """Read a binary message. Raises StreamError where it is not an asset frame; safe on any."""
    if not _HEADER.size < len(message) <= MAX_FRAME_BYTES:
        raise StreamError(f"an asset frame of {len(message)} bytes is too short or too long")
    version, digest, offset, total = _HEADER.unpack_from(message)
    data = message[_HEADER.size :]
    if version != FRAME_VERSION:
        raise StreamError(f"an asset frame has version {version}, not {FRAME_VERSION}")
    if offset + len(data) > total:
        raise StreamError(f"an asset frame ends at {offset + len(data)} of {total} bytes")
    return AssetFrame(digest.hex(), offset, total, data)


def frames_of(sha256: str, data: bytes, offset: int = 0) -> Iterator[bytes]:
    """The messages that carry `data` from `offset` on."""
    for start in range(offset, len(data), MAX_CHUNK_BYTES):
        chunk = data[start : start + MAX_CHUNK_BYTES]
        yield encode_frame(AssetFrame(sha256, start, len(data), chunk))


def sliced(message: bytes, most: int) -> Iterator[bytes]:
    """The same as a message says, in several of at most `most` bytes of the asset each."""
    frame = decode_frame(message)
    for start in range(0, len(frame.data), most):
        part = frame.data[start : start + most]
        yield encode_frame(AssetFrame(frame.sha256, frame.offset + start, frame.total, part))


class Assembler:
    """Puts frames of wanted assets together and hands out what is whole and true.

    Only assets that were announced with `expect` are taken, and only in their announced size, so
    a lying server can neither fill the memory nor slip anything in.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._parts: dict[str, bytearray] = {}

    def expect(self, sha256: str, size: int) -> None:
        """Take the asset `sha256` of `size` bytes when its frames come."""
        self._sizes[sha256] = size

    def expects(self, sha256: str) -> bool:
        """Whether that asset is still to come."""
        return sha256 in self._sizes

    def have(self, sha256: str) -> int:
        """How many bytes of an expected asset are there: where to resume."""
        return len(self._parts.get(sha256, b""))

    def add(self, frame: AssetFrame) -> bytes | None:
        """Take a frame; the asset's bytes once it is whole, else None.

        Raises StreamError where the asset was not asked for, has another size, has a hole, or
        where its hash is wrong; it is then forgotten up to its first byte.
        """
        size = self._sizes.get(frame.sha256)
        if size is None:
            raise StreamError(f"asset {frame.sha256[:16]} was not asked for")
        if frame.total != size:
            raise StreamError(
                f"asset {frame.sha256[:16]} came with {frame.total} bytes, not {size}"
            )
        part = self._parts.setdefault(frame.sha256, bytearray())
        if frame.offset > len(part):
            raise StreamError(
                f"asset {frame.sha256[:16]} has a hole at {len(part)}...{frame.offset}"
            )
        if frame.offset + len(frame.data) > len(part):  # else it is there, by another way
            part[frame.offset :] = frame.data
        if len(part) < size:
            return None
        data = bytes(self._parts.pop(frame.sha256))
        if hashlib.sha256(data).hexdigest() != frame.sha256:
            raise StreamError(f"asset {frame.sha256[:16]} came damaged: its hash is wrong")
        del self._sizes[frame.sha256]
        return data
