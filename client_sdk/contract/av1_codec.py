"""AV1 for aiortc, which knows VP8 and H.264: offered and decoded.

`register` adds it to aiortc's tables. The receiving side decodes by dav1d and hangs a frame's
identity on its `opaque`; what is sent is made by `server.rtp_sender`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import av
from aiortc import codecs, rtcrtpreceiver, rtp
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import VIDEO_TIME_BASE
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters
from av.frame import Frame

from client_sdk.contract.av1_rtp import assemble
from client_sdk.contract.obu import SEQUENCE_HEADER, TEMPORAL_DELIMITER, Obu, parse_identity
from client_sdk.contract.sei import FrameIdentity

MIME_TYPE = "video/AV1"
_PAYLOAD_TYPE = 45  # aiortc's others are 0, 8, 9 and 96 to 102
_CLOCK_RATE = 90_000
_LENGTH = struct.Struct(">I")
_DELIMITER = Obu(bytes([TEMPORAL_DELIMITER << 3]), b"").sized


class Av1Decoder(Decoder):
    """Decodes what `keep_apart` made of the payloads of a temporal unit."""

    def __init__(self) -> None:
        self._context: Any = av.CodecContext.create("libdav1d", "r")
        # Each unit gives its picture at once.
        self._context.options = {"max_frame_delay": "1"}
        self._waits = True
        self._last: int | None = None
        self._interval: int | None = None

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        """The picture of a unit; none from a damaged or lost one to the next key frame.

        dav1d would decode what refers to a lost picture, with another picture in its place. Raises
        av.FFmpegError where it cannot decode a unit.
        """
        try:
            units = assemble(split_apart(encoded_frame.data))
        except ValueError:
            units = []
        identity = identity_in(units)
        passed = 0 if self._last is None else encoded_frame.timestamp - self._last
        self._last = encoded_frame.timestamp
        # After a jump or a pause more time has passed, or less: then units carry their identity.
        if not units or (identity is None and self._lost_before(passed)):
            self._waits = True
        if any(unit.kind == SEQUENCE_HEADER for unit in units):
            self._waits = False
        if self._waits:
            return []
        packet = av.Packet(_DELIMITER + b"".join(unit.sized for unit in units))
        packet.pts = encoded_frame.timestamp
        packet.time_base = VIDEO_TIME_BASE
        pictures: list[Frame] = []
        for picture in self._context.decode(packet):
            picture.opaque = identity
            pictures.append(picture)
        return pictures

    def _lost_before(self, passed: int) -> bool:
        """Whether more time has passed than from one picture to the next (the rate is constant)."""
        if passed <= 0:
            return False
        self._interval = min(passed, self._interval or passed)
        return 2 * passed > 3 * self._interval


def identity_in(units: list[Obu]) -> FrameIdentity | None:
    """The identity that one of the units holds."""
    found = (parse_identity(unit) for unit in units)
    return next((identity for identity in found if identity is not None), None)


def keep_apart(payload: bytes) -> bytes:
    """A payload that can be told from the next one: aiortc joins those of a frame."""
    return _LENGTH.pack(len(payload)) + payload


def split_apart(data: bytes) -> list[bytes]:
    """The payloads that `keep_apart` made ready."""
    payloads = []
    position = 0
    while position < len(data):
        (size,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        payloads.append(data[position : position + size])
        position += size
    return payloads


def register() -> None:
    """Let aiortc offer and take AV1, before its other codecs. Safe to call again."""
    known = codecs.CODECS["video"]
    if any(codec.mimeType == MIME_TYPE for codec in known):
        return
    feedback = [("nack", None), ("nack", "pli"), ("goog-remb", None)]
    known[:0] = [
        RTCRtpCodecParameters(
            mimeType=MIME_TYPE,
            clockRate=_CLOCK_RATE,
            payloadType=_PAYLOAD_TYPE,
            rtcpFeedback=[RTCRtcpFeedback(type=kind, parameter=what) for kind, what in feedback],
        ),
        RTCRtpCodecParameters(
            mimeType="video/rtx",
            clockRate=_CLOCK_RATE,
            payloadType=_PAYLOAD_TYPE + 1,
            parameters={"apt": _PAYLOAD_TYPE},
        ),
    ]
    # Browsers take what RFC 5761 (section 4) leaves below 96, too: their numbers hold, not ours.
    rtp.DYNAMIC_PAYLOAD_TYPES = (*range(35, 64), *range(96, 128))  # type: ignore[assignment]
    _extend(rtcrtpreceiver, "get_decoder", lambda codec: Av1Decoder())
    _extend(rtcrtpreceiver, "depayload", lambda codec, payload: keep_apart(payload))


def _extend(module: Any, name: str, ours: Callable[..., Any]) -> None:
    """aiortc has no door for further codecs: its functions are asked only for others than AV1."""
    theirs = getattr(module, name)

    def function(codec: RTCRtpCodecParameters, *arguments: Any) -> Any:
        return (ours if codec.mimeType == MIME_TYPE else theirs)(codec, *arguments)

    setattr(module, name, function)
