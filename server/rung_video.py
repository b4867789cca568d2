"""The coded pictures of a rung's mp4, with their frame numbers inside; never re-encoded.

mp4 sample --> H264Units | Av1Units --> unit, as the packetiser takes it
"""

from __future__ import annotations

import os
from typing import Protocol

import av

from client_sdk.contract import Package
from client_sdk.contract.sei import FrameIdentity
from kernels.errors import PackageError
from server.av1 import Av1Units
from server.h264 import H264Units

# A package may come from anybody: its files are what they are said to be, and lead nowhere else.
LOCAL = {"protocol_whitelist": "file"}


class Units(Protocol):
    """What is different from codec to codec."""

    mime_type: str

    def __init__(self, config: bytes, /) -> None: ...

    def unit(self, sample: bytes, key: bool, identity: FrameIdentity | None) -> bytes:
        """What is sent for a sample. Raises ValueError where it is damaged."""

    def empty(self, identity: FrameIdentity) -> bytes:
        """A unit that shows nothing."""


_UNITS: dict[str, type[Units]] = {"h264": H264Units, "av1": Av1Units}
_DECODERS = {"h264": ("h264",), "av1": ("libdav1d", "av1")}
"""What FFmpeg calls what reads them."""


class RungVideo:
    """The units of one rung, found once and shared by all viewers.

    Holds positions only; the bytes stay in the file, where the page cache keeps what is in use.
    Raises PackageError where the file is not what the manifest says.
    """

    def __init__(self, package: Package, rung_index: int) -> None:
        self._package_id = package.manifest.id
        self._rung = rung_index
        self._codec = package.manifest.rungs[rung_index].codec
        self._path = package.video_path(rung_index)
        self._index: list[tuple[int, int]] = []
        self._keys = self._read_index()
        frames = package.manifest.source.frames
        if len(self._index) != frames:
            raise PackageError(
                f"{self._path} has {len(self._index)} frames and the manifest says {frames}"
            )
        for segment in package.manifest.segments:
            if segment.start not in self._keys:
                raise PackageError(f"{self._path}: frame {segment.start} is no key frame")
        self._file = os.open(self._path, os.O_RDONLY)

    def _read_index(self) -> set[int]:
        keys: set[int] = set()
        try:
            with av.open(str(self._path), format="mp4", options=LOCAL) as container:
                stream = container.streams.video[0]
                if stream.codec_context.name not in _DECODERS[self._codec]:
                    raise PackageError(f"{self._path} is not {self._codec}, as the manifest says")
                self._units = _UNITS[self._codec](bytes(stream.codec_context.extradata or b""))
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
                        keys.add(len(self._index))
                    self._index.append((packet.pos, packet.size))
        except (av.FFmpegError, OSError, IndexError, ValueError) as error:
            raise PackageError(f"{self._path} is not a rung's mp4: {error}") from None
        return keys

    @property
    def mime_type(self) -> str:
        """What SDP calls the codec."""
        return self._units.mime_type

    def size(self, frame_number: int) -> int:
        """Bytes of a frame as it lies in the file: about what is sent for it."""
        return self._index[frame_number][1]

    def unit(self, frame_number: int, stamp: bool) -> bytes:
        """What is sent for a frame; a key frame can be joined at, and always has its identity.

        `stamp`: put the identity into any other frame too. Raises PackageError where the file
        cannot be read any more.
        """
        position, size = self._index[frame_number]
        key = frame_number in self._keys
        identity = self._identity(frame_number) if key or stamp else None
        try:
            sample = os.pread(self._file, size, position)
            if len(sample) != size:
                raise ValueError("the file is shorter than it was")
            return self._units.unit(sample, key, identity)
        except (OSError, ValueError) as error:
            raise PackageError(f"{self._path}: frame {frame_number}: {error}") from None

    def empty(self, frame_number: int) -> bytes:
        """A unit that shows nothing, and names the frame."""
        return self._units.empty(self._identity(frame_number))

    def _identity(self, frame_number: int) -> FrameIdentity:
        return FrameIdentity(self._package_id, self._rung, frame_number)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)
