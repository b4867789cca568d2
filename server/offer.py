"""A viewer's offer, checked before anything is made of it (draft-ietf-wish-whep-03, 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc.sdp import SessionDescription

from kernels.errors import StreamError
from server.trickle import MAX_CANDIDATES

# WHEP plays one video and one audio; each section costs time that all other viewers wait.
_MAX_SECTIONS = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """What matters of an offer beside its SDP: kinds of its sections, ICE user, candidates."""

    kinds: tuple[str, ...]
    ufrag: str
    candidates: int
    complete: bool


def read_offer(text: str) -> Offer:
    """Read any text as an offer. Raises StreamError, in one sentence, where it will not do."""
    try:
        description = SessionDescription.parse(text)
    except Exception:  # aiortc's parser raises whatever it trips over
        raise StreamError("the offer is not an SDP that can be read") from None
    sections = description.media
    kinds = tuple(media.kind for media in sections)
    if "video" not in kinds:
        raise StreamError("the offer has no video to receive")
    if len(kinds) > _MAX_SECTIONS:
        raise StreamError(f"the offer has {len(kinds)} media sections, not {_MAX_SECTIONS}")
    if any(media.dtls is None or not media.dtls.fingerprints for media in sections):
        raise StreamError("the offer has a media section without a DTLS fingerprint")
    candidates = sum(len(media.ice_candidates) for media in sections)
    if candidates > MAX_CANDIDATES:
        raise StreamError(f"the offer has more than {MAX_CANDIDATES} candidates")
    ice = sections[0].ice
    return Offer(
        kinds,
        ice.usernameFragment or "" if ice is not None else "",
        candidates,
        any(media.ice_candidates_complete for media in sections),
    )
