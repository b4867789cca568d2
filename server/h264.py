"""H.264 as aiortc packetises it: Annex B, parameter sets and frame number inside.

ISO/IEC 14496-15, 5.3.3.1 (avcC) and 5.3.4.2 (length-prefixed NAL units); ITU-T H.264, Annex B
(start codes) and 7.4.1.2.3 (order: SEI before the first slice). aiortc packetises Annex B only,
and silently sends nothing for length-prefixed units.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from aiortc.codecs.h264 import H264Encoder

from client_sdk.contract import sei
from client_sdk.contract.sei import FrameIdentity

START_CODE = b"\x00\x00\x00\x01"
_SLICES = range(1, 6)  # nal_unit_type of slice data; 5 is an IDR's
_SPS, _PPS = 7, 8


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
            sets.append(_whole(nal))
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
        yield _whole(data[start : start + size])
        position = start + size


def _whole(nal: bytes) -> bytes:
    """The NAL unit, where it is one: in Annex B a start code inside would make it several."""
    if b"\x00\x00\x01" in nal:
        raise ValueError("a NAL unit holds a start code")
    return nal


class H264Units:
    """Access units out of a file's samples. Raises ValueError where `avc_config` is damaged."""

    mime_type = "video/H264"

    def __init__(self, avc_config: bytes) -> None:
        self._config = parse_avc_config(avc_config)

    def unit(self, sample: bytes, key: bool, identity: FrameIdentity | None) -> bytes:
        """Annex B bytes of a sample; a key frame has its parameter sets.

        Raises ValueError where the sample is damaged.
        """
        nals = list(split_length_prefixed(sample, self._config.length_size))
        if key:
            # Parameter sets once, out of avcC, whether or not the sample repeats them.
            nals = [nal for nal in nals if nal[0] & 0x1F not in (_SPS, _PPS)]
            nals = [*self._config.parameter_sets, *nals]
        if identity is not None:
            slices = [i for i, nal in enumerate(nals) if nal[0] & 0x1F in _SLICES]
            nals.insert(slices[0] if slices else len(nals), sei.build_nal(identity))
        return annex_b(nals)

    def empty(self, identity: FrameIdentity) -> bytes:
        """A unit that shows nothing."""
        return annex_b([sei.build_nal(identity)])

    def packetize(self, unit: bytes) -> list[bytes]:
        """RTP payloads of Annex B bytes (RFC 6184, packetization-mode 1)."""
        # aiortc's packetiser has both halves, and no door to them.
        payloads: list[bytes] = H264Encoder._packetize(H264Encoder._split_bitstream(unit))
        return payloads


def annex_b(nals: list[bytes]) -> bytes:
    """NAL units with start codes between (Annex B)."""
    return b"".join(START_CODE + nal for nal in nals)
