"""The coded pictures of a rung's mp4, with their frame numbers inside; never re-encoded.

mp4 sample --> H264Units | Av1Units --> unit --> RTP payloads, shared by all viewers
"""

from __future__ import annotations

import os
from array import array
from typing import Any, Protocol

import av

from client_sdk.contract import Package
from client_sdk.contract.rung_mp4 import open_rung
from client_sdk.contract.sei import FrameIdentity
from kernels.errors import PackageError
from server.av1 import Av1Units
from server.h264 import H264Units

# A package may come from anybody: its files are what they are said to be, and lead nowhere else.
LOCAL = {"protocol_whitelist": "file"}

MOST_HELD = 96 << 20
"""Bytes of payloads that are kept ready, of all rungs together. The page cache has the rest."""


class Units(Protocol):
    """What is different from codec to codec."""

    mime_type: str

    def __init__(self, config: bytes, /) -> None: ...

    def unit(self, sample: bytes, key: bool, identity: FrameIdentity | None) -> bytes:
        """What is sent for a sample. Raises ValueError where it is damaged."""

    def empty(self, identity: FrameIdentity) -> bytes:
        """A unit that shows nothing."""

    def packetize(self, unit: bytes) -> list[bytes]:
        """RTP payloads of a unit."""


_UNITS: dict[str, type[Units]] = {"h264": H264Units, "av1": Av1Units}
_DECODERS = {"h264": ("h264",), "av1": ("libdav1d", "av1")}
"""What FFmpeg calls what reads them."""


class HeldPayloads:
    """Payloads that are ready to be sent: up to `limit` bytes of all rungs, the oldest go first."""

    def __init__(self, limit: int = MOST_HELD) -> None:
        self._limit = limit
        self._held: dict[tuple[RungVideo, int, bool], tuple[bytes, ...]] = {}
        self.bytes = 0

    def get(self, rung: RungVideo, frame_number: int, stamp: bool) -> tuple[bytes, ...] | None:
        """Those of a frame, where they are held."""
        return self._held.get((rung, frame_number, stamp))

    def keep(
        self, rung: RungVideo, frame_number: int, stamp: bool, payloads: tuple[bytes, ...]
    ) -> None:
        """Hold them for as long as there is room."""
        self._held[rung, frame_number, stamp] = payloads
        self.bytes += sum(map(len, payloads))
        while self.bytes > self._limit:
            self._drop(next(iter(self._held)))

    def drop(self, rung: RungVideo) -> None:
        """Hold none of that rung's."""
        for key in [key for key in self._held if key[0] is rung]:
            self._drop(key)

    def _drop(self, key: tuple[RungVideo, int, bool]) -> None:
        self.bytes -= sum(map(len, self._held.pop(key)))


class RungVideo:
    """The units of one rung, found once and shared by all viewers.

    The bytes stay in the file, where the page cache keeps what is in use; of what viewers watch
    now, the payloads are held ready.
    Raises PackageError where the file is not what the manifest says.
    """

    def __init__(
        self, package: Package, rung_index: int, payloads: HeldPayloads | None = None
    ) -> None:
        self._package_id = package.manifest.id
        self._rung = rung_index
        self._codec = package.manifest.rungs[rung_index].codec
        self._path = package.video_path(rung_index)
        self._frames = package.manifest.source.frames
        # A film has hundreds of thousands of frames: twelve bytes for each, not 128.
        self._positions, self._sizes = array("Q"), array("I")
        self._payloads = payloads or HeldPayloads()
        rung = package.manifest.rungs[rung_index]
        self._keys = self._read_index((rung.width, rung.height))
        if len(self._sizes) != self._frames:
            few = len(self._sizes) < self._frames
            raise PackageError(
                f"{self._path} has {'fewer' if few else 'more'} frames than the manifest's "
                f"{self._frames}"
            )
        for segment in package.manifest.segments:
            if segment.start not in self._keys:
                raise PackageError(f"{self._path}: frame {segment.start} is no key frame")
        try:
            self._file = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise PackageError(f"{self._path} cannot be read: {error.strerror}") from None

    def _read_index(self, size: tuple[int, int]) -> set[int]:
        keys: set[int] = set()
        try:
            with open_rung(self._path, size) as (container, stream):
                # PyAV gives none for what FFmpeg has no decoder for, whatever its stubs say.
                context: Any = stream.codec_context
                if context is None or context.name not in _DECODERS[self._codec]:
                    raise PackageError(f"{self._path} is not {self._codec}, as the manifest says")
                self._units = _UNITS[self._codec](bytes(context.extradata or b""))
                last = None
                for packet in container.demux(stream):
                    if packet.size == 0:
                        continue
                    if packet.pos is None or packet.pts is None or packet.pts != packet.dts:
                        # B-frames break browsers, and frame numbers count decoding order here.
                        raise PackageError(f"{self._path} has B-frames or no time stamps")
                    if last is not None and packet.pts <= last:
                        raise PackageError(f"{self._path}: time goes backwards")
                    last = packet.pts
                    if packet.is_keyframe:
                        keys.add(len(self._sizes))
                    self._positions.append(packet.pos)
                    self._sizes.append(packet.size)
                    if len(self._sizes) > self._frames:
                        break  # what is too long is refused, however long it is
        except (av.FFmpegError, OSError, IndexError, OverflowError, ValueError) as error:
            raise PackageError(f"{self._path} is not a rung's mp4: {error}") from None
        return keys

    @property
    def mime_type(self) -> str:
        """What SDP calls the codec."""
        return self._units.mime_type

    def size(self, frame_number: int) -> int:
        """Bytes of a frame as it lies in the file: about what is sent for it."""
        return self._sizes[frame_number]

    def payloads(self, frame_number: int, stamp: bool) -> tuple[bytes, ...]:
        """The RTP payloads of `unit`; made once for all viewers, as far as memory allows."""
        stamp = stamp or frame_number in self._keys
        found = self._payloads.get(self, frame_number, stamp)
        if found is None:
            found = tuple(self._packetized(frame_number, self.unit(frame_number, stamp)))
            self._payloads.keep(self, frame_number, stamp, found)
        return found

    def _packetized(self, frame_number: int, unit: bytes) -> list[bytes]:
        try:
            return self._units.packetize(unit)
        except ValueError as error:
            raise PackageError(f"{self._path}: frame {frame_number}: {error}") from None

    def unit(self, frame_number: int, stamp: bool) -> bytes:
        """What is sent for a frame; a key frame can be joined at, and always has its identity.

        `stamp`: put the identity into any other frame too. Raises PackageError where the file
        cannot be read any more.
        """
        position, size = self._positions[frame_number], self._sizes[frame_number]
        key = frame_number in self._keys
        identity = self._identity(frame_number) if key or stamp else None
        try:
            sample = os.pread(self._file, size, position)
            if len(sample) != size:
                raise ValueError("the file is shorter than it was")
            return self._units.unit(sample, key, identity)
        except (OSError, ValueError) as error:
            raise PackageError(f"{self._path}: frame {frame_number}: {error}") from None

    def empty(self, frame_number: int) -> list[bytes]:
        """The payloads of a unit that shows nothing, and names the frame."""
        return self._units.packetize(self._units.empty(self._identity(frame_number)))

    def _identity(self, frame_number: int) -> FrameIdentity:
        return FrameIdentity(self._package_id, self._rung, frame_number)

    def close(self) -> None:
        """Give the file back, and what is held of it."""
        self._payloads.drop(self)
        os.close(self._file)
