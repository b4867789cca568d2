"""Trickled candidates: the SDP fragment of a PATCH (RFC 8840, draft-ietf-wish-whep-03, 4.3.2).

a=ice-ufrag:EsAw
m=audio 9 UDP/TLS/RTP/SAVPF 0
a=mid:0
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host
a=end-of-candidates
"""

from __future__ import annotations

from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from kernels.errors import StreamError

SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
MAX_CANDIDATES = 64
"""Candidates of one peer: each is checked, by packets to where it says."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a fragment says: whose candidates (`ufrag`), which, and whether these are all."""

    ufrag: str | None
    candidates: tuple[RTCIceCandidate, ...]
    complete: bool


def read_fragment(text: str) -> Fragment:
    """Read a fragment. Raises StreamError, in one sentence, where it is none."""
    ufrag: str | None = None
    mid: str | None = None
    complete = False
    candidates: list[RTCIceCandidate] = []
    for line in text.split("\n"):
        kind, _, value = line.rstrip("\r").partition(":")
        if kind == "a=ice-ufrag":
            if ufrag not in (None, value):
                raise StreamError("the fragment has candidates of two ICE sessions")
            ufrag = value
        elif kind == "a=mid":
            mid = value
        elif kind == "a=candidate":
            candidates.append(_candidate(value, mid))
        elif kind == "a=end-of-candidates":
            complete = True
        elif kind and not (len(kind) >= 2 and kind[1] == "=" and kind[0].isalpha()):
            raise StreamError("the body is no SDP fragment that can be read")
    if not candidates and not complete and ufrag is None:
        raise StreamError("the fragment has no candidates")
    if len(candidates) > MAX_CANDIDATES:
        raise StreamError(f"the fragment has more than {MAX_CANDIDATES} candidates")
    return Fragment(ufrag, tuple(candidates), complete)


def _candidate(value: str, mid: str | None) -> RTCIceCandidate:
    if mid is None:
        raise StreamError("the fragment has a candidate without a media section (a=mid)")
    try:
        candidate = candidate_from_sdp(value)
        if candidate.port not in range(1 << 16) or candidate.priority not in range(1 << 32):
            raise ValueError
    except (ValueError, AssertionError, IndexError):
        raise StreamError("the fragment has a candidate that cannot be read") from None
    candidate.sdpMid = mid
    return candidate
