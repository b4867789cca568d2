"""Access units of a rung's mp4 as Annex B, with their frame numbers inside; never re-encoded.

ISO/IEC 14496-15, 5.3.3.1 (avcC) and 5.3.4.2 (length-prefixed NAL units); ITU-T H.264, Annex B
(start codes) and 7.4.1.2.3 (order: SEI before the first slice). aiortc packetises Annex B only,
and silently sends nothing for length-prefixed units.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from client_sdk.contract import Package, sei
from client_sdk.contract.sei import FrameIdentity
from kernels.errors import PackageError

START_CODE = b"\x00\x00\x00\x01"
# A package may come from anybody: its files are what they are said to be, and lead nowhere else.
LOCAL = {"protocol_whitelist": "file"}
_SLICES = range(1, 6)  # nal_unit_type of slice data; 5 is an IDR's
_IDR, _SEI, _SPS, _PPS = 5, 6, 7, 8


@dataclass(frozen=True, slots=True)
class AvcConfig:
    """What avcC says: bytes of a NAL length, and the parameter sets."""

    length_size: int
    parameter_sets: tuple[bytes, ...]


def parse_avc_config(data: bytes) -> AvcConfig:
    """Read an AVCDecoderConfigurationRecord; raises ValueError where it is damaged."""
    if len(data) < 7 or data[0] != 1:
        raise ValueError("not an avcC record")
    sets: list[bytes] = []
    position = 5
    for mask in (0x1F, 0xFF):  # SPS, then PPS
        if position >= len(data):
            raise ValueError("the avcC record ends too early")
        count = data[position] & mask
        position += 1
        for _ in range(count):
            (size,) = (
                struct.unpack_from(">H", data, position) if position + 2 <= len(data) else (0,)
            )
            nal = data[position + 2 : position + 2 + size]
            if not size or len(nal) != size:
                raise ValueError("the avcC record ends too early")
            sets.append(nal)
            position += 2 + size
    return AvcConfig((data[4] & 3) + 1, tuple(sets))


def split_length_prefixed(data: bytes, length_size: int) -> Iterator[bytes]:
    """The NAL units of a sample; raises ValueError where a length leads outside."""
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + length_size], "big")
        start = position + length_size
        if not size or start + size > len(data):
            raise ValueError("a NAL unit is longer than its sample")
        yield data[start : start + size]
        position = start + size


class RungVideo:
    """The access units of one rung, found once and shared by all viewers.

    Holds positions only; the bytes stay in the file, where the page cache keeps what is in use.
    Raises PackageError where the file is not what the manifest says.
    """

    def __init__(self, package: Package, rung_index: int) -> None:
        self._package_id = package.manifest.id
        self._rung = rung_index
        self._path = package.video_path(rung_index)
        self._index: list[tuple[int, int]] = []
        keys = self._read_index()
        frames = package.manifest.source.frames
        if len(self._index) != frames:
            raise PackageError(
                f"{self._path} has {len(self._index)} frames and the manifest says {frames}"
            )
        for segment in package.manifest.segments:
            if segment.start not in keys:
                raise PackageError(f"{self._path}: frame {segment.start} is no key frame")
        self._file = os.open(self._path, os.O_RDONLY)

    def _read_index(self) -> set[int]:
        keys: set[int] = set()
        try:
            with av.open(str(self._path), format="mp4", options=LOCAL) as container:
                stream = container.streams.video[0]
                self._config = parse_avc_config(bytes(stream.codec_context.extradata or b""))
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
            raise PackageError(f"{self._path} is not a rung's H.264 mp4: {error}") from None
        return keys

    def access_unit(self, frame_number: int, stamp: bool) -> bytes:
        """Annex B bytes of a frame; an IDR has its parameter sets and always its SEI.

        `stamp`: put the frame-number SEI into any other frame too. Raises PackageError where the
        file cannot be read any more.
        """
        position, size = self._index[frame_number]
        try:
            sample = os.pread(self._file, size, position)
            if len(sample) != size:
                raise ValueError("the file is shorter than it was")
            nals = list(split_length_prefixed(sample, self._config.length_size))
        except (OSError, ValueError) as error:
            raise PackageError(f"{self._path}: frame {frame_number}: {error}") from None
        key = any(nal[0] & 0x1F == _IDR for nal in nals)
        if key:
            # Parameter sets once, out of avcC, whether or not the sample repeats them.
            nals = [nal for nal in nals if nal[0] & 0x1F not in (_SPS, _PPS)]
            nals = [*self._config.parameter_sets, *nals]
        if key or stamp:
            slices = [i for i, nal in enumerate(nals) if nal[0] & 0x1F in _SLICES]
            nals.insert(slices[0] if slices else len(nals), self.stamp(frame_number))
        return annex_b(nals)

    def stamp(self, frame_number: int) -> bytes:
        """The SEI NAL unit of a frame."""
        return sei.build_nal(FrameIdentity(self._package_id, self._rung, frame_number))

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def annex_b(nals: list[bytes]) -> bytes:
    """NAL units with start codes between (Annex B)."""
    return b"".join(START_CODE + nal for nal in nals)


@dataclass(frozen=True)
class OpusAudio:
    """The Opus packets of the track: their times in samples at 48 kHz, and their bytes."""

    times: tuple[int, ...]
    packets: tuple[bytes, ...]

    @classmethod
    def open(cls, path: Path) -> OpusAudio:
        """Read an Ogg Opus file. Raises PackageError where it is none."""
        try:
            with av.open(str(path), format="ogg", options=LOCAL) as container:
                stream = container.streams.audio[0]
                if stream.codec_context.name not in ("opus", "libopus"):
                    raise PackageError(f"{path} holds {stream.codec_context.name}, not Opus")
                found = [
                    (round(packet.pts * packet.time_base * 48_000), bytes(packet))
                    for packet in container.demux(stream)
                    if packet.size and packet.pts is not None and packet.time_base is not None
                ]
        except (av.FFmpegError, OSError, IndexError) as error:
            raise PackageError(f"{path} is not Ogg Opus: {error}") from None
        if not found:
            raise PackageError(f"{path} holds no sound")
        return cls(tuple(time for time, _ in found), tuple(data for _, data in found))
