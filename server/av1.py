"""AV1 as `client_sdk.contract.av1_rtp` packetises it: temporal units, frame number inside.

"AV1 Codec ISO Media File Format Binding", 2.3 (av1C) and 2.4 (samples are temporal units in
low-overhead format, without their delimiters).
"""

from __future__ import annotations

from client_sdk.contract.av1_codec import MIME_TYPE
from client_sdk.contract.av1_rtp import packetize
from client_sdk.contract.obu import SEQUENCE_HEADER, build_identity, parse_identity, split
from client_sdk.contract.sei import FrameIdentity

_CONFIG_BYTES = 4  # of av1C before its OBUs


class Av1Units:
    """Temporal units out of a file's samples. Raises ValueError where `av1_config` is damaged."""

    mime_type = MIME_TYPE

    def __init__(self, av1_config: bytes) -> None:
        if len(av1_config) < _CONFIG_BYTES or av1_config[0] != 0x81:
            raise ValueError("not an av1C record")
        units = split(av1_config[_CONFIG_BYTES:])
        self._headers = [unit for unit in units if unit.kind == SEQUENCE_HEADER]
        if not self._headers:
            raise ValueError("the av1C record has no sequence header")

    def unit(self, sample: bytes, key: bool, identity: FrameIdentity | None) -> bytes:
        """The temporal unit of a sample; a key frame has its sequence header.

        Raises ValueError where the sample is damaged.
        """
        # Whoever made the file names no frames in it.
        units = [unit for unit in split(sample) if parse_identity(unit) is None]
        # The one in the sample counts: SVT-AV1 writes av1C before it has settled everything.
        if key and all(unit.kind != SEQUENCE_HEADER for unit in units):
            units = [*self._headers, *units]
        if identity is not None:
            headers = [i for i, unit in enumerate(units) if unit.kind == SEQUENCE_HEADER]
            units.insert(headers[-1] + 1 if headers else 0, build_identity(identity))
        return b"".join(unit.sized for unit in units)

    def empty(self, identity: FrameIdentity) -> bytes:
        """A unit that shows nothing."""
        return build_identity(identity).sized

    def packetize(self, unit: bytes) -> list[bytes]:
        """RTP payloads of a temporal unit."""
        return packetize(unit)
