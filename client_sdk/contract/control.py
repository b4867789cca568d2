"""Control messages: small JSON objects on the data channel. Format: `docs/control.md`.

client ── hello ─────────────────────► server      a session starts paused
       ◄── manifest, then its bytes ──             (asset frames, `asset_frames.py`)
       ── want ──────────────────────►             what the cache lacks, by deadline
       ◄── asset frames ──────────────
       ── resume ────────────────────►             ready; the server waits 0.5 s at most
       ◄── anchor (at each IDR) ──────
       ◄── switch (ahead of a rung) ──
       ── seek ──────────────────────►
       ◄── sought ────────────────────             then all from the IDR before, in a burst
       ◄── bye {reason: "end"} ───────
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from client_sdk.contract.bounds import (
    MAX_MANIFEST_BYTES,
    MAX_RUNGS,
    FrameNumber,
    Frozen,
    PackageId,
    Sha256,
)
from client_sdk.contract.manifest import first_fault
from client_sdk.contract.signing import Signature
from kernels.errors import StreamError

CHANNEL = "crispcast"
"""Label of the data channel (ordered, reliable) that our clients open in their offer."""
EXTENSION_REL = "urn:crispcast:whep-ext:super-resolution"
"""Relation of the Link header that tells a client where the manifest is (WHEP draft, 4.9)."""

PROTOCOL_MAJOR = 1
PROTOCOL = "1.2"
"""1.0 has no `switch`, no `rung` null, no `interpolating`, and none of the messages marked so.

1.1 has no `signature`.
"""
MAX_CONTROL_BYTES = 16_384
MAX_WANTED = 128  # assets in one `want`; a longer list goes in several

Count = Annotated[int, Field(ge=0, le=1 << 53)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=300)]
Rung = Annotated[int, Field(ge=0, lt=MAX_RUNGS)]


class Hello(Frozen):
    """Client: who speaks, and whether it will super-resolve. The first message."""

    type: Literal["hello"] = "hello"
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")] = PROTOCOL
    sr: bool = True


class ManifestHead(Frozen):
    """Server: what is played, from which rung; the manifest follows as the asset `sha256`."""

    type: Literal["manifest"] = "manifest"
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}$")] = PROTOCOL
    package: PackageId
    rung: Rung
    sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=MAX_MANIFEST_BYTES)]
    live: FrameNumber | None = None
    """The package is a channel, which is at this frame now."""
    signature: Signature | None = None
    """Of the manifest, where it is signed. Since 1.2."""


class Wanted(Frozen):
    """One asset, from `offset` bytes on (what came before is in the client's cache)."""

    sha256: Sha256
    offset: Annotated[int, Field(ge=0, le=1 << 32)] = 0


class Want(Frozen):
    """Client: please send these assets; asking again replaces the place to go on from."""

    type: Literal["want"] = "want"
    assets: Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=MAX_WANTED)]


class Anchor(Frozen):
    """Server: the access unit with this RTP timestamp (90 kHz, 32 bits) is this frame."""

    type: Literal["anchor"] = "anchor"
    rtp_time: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
    rung: Rung
    frame: FrameNumber


class Pause(Frozen):
    """Client: send no media until `resume`."""

    type: Literal["pause"] = "pause"


class Resume(Frozen):
    """Client: start or go on."""

    type: Literal["resume"] = "resume"


class Seek(Frozen):
    """Client: go on at `frame`; from 1.1 on exactly there, and the server answers `sought`."""

    type: Literal["seek"] = "seek"
    frame: FrameNumber


class Loop(Frozen):
    """Client: begin again at the end, or not. Since 1.1."""

    type: Literal["loop"] = "loop"
    on: bool


class Sought(Frozen):
    """Server: the access unit with this RTP time is `frame`, the first to show. Since 1.1."""

    type: Literal["sought"] = "sought"
    rtp_time: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)]
    rung: Rung
    frame: FrameNumber


class Refused(Frozen):
    """Server: what was asked for is not done here; `message` says why. Since 1.1."""

    type: Literal["refused"] = "refused"
    what: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")]
    message: Text = ""


class ChooseRung(Frozen):
    """Client: change to this rung at the next segment, and stay; null: as the server sees fit."""

    type: Literal["rung"] = "rung"
    rung: Rung | None


class Switch(Frozen):
    """Server: from this frame on, the start of a segment, another rung plays."""

    type: Literal["switch"] = "switch"
    rung: Rung
    frame: FrameNumber


class Stats(Frozen):
    """Client: how it goes, now and then; counts are since the start.

    `upscale_ms` is of frames with networks; `interpolating`: they were too slow, for now.
    """

    type: Literal["stats"] = "stats"
    frames: Count = 0
    frames_sr: Count = 0
    frames_lost: Count = 0
    late_plans: Count = 0
    plan_bytes: Count = 0
    upscale_ms: Milliseconds = 0.0
    fps: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] = 0.0
    interpolating: Annotated[bool, Field(exclude_if=lambda value: not value)] = False


class Bye(Frozen):
    """Either side: over. From the server at the end: `frames`, how many frames were sent."""

    type: Literal["bye"] = "bye"
    reason: Literal["end", "leaving", "error", "shutdown"]
    message: Text = ""
    frames: Count | None = None


ClientMessage = Hello | Want | Pause | Resume | Seek | Loop | ChooseRung | Stats | Bye
ServerMessage = ManifestHead | Anchor | Sought | Refused | Switch | Bye
Message = ClientMessage | ServerMessage

M = TypeVar("M", ClientMessage, ServerMessage)

_CLIENT: TypeAdapter[ClientMessage] = TypeAdapter(
    Annotated[ClientMessage, Field(discriminator="type")]
)
_SERVER: TypeAdapter[ServerMessage] = TypeAdapter(
    Annotated[ServerMessage, Field(discriminator="type")]
)


def encode_message(message: Message) -> str:
    """The text of a message; raises StreamError beyond MAX_CONTROL_BYTES."""
    # What 1.0 does not know is left out; a choice of no rung is one.
    text = message.model_dump_json(exclude_none=not isinstance(message, ChooseRung))
    if len(text.encode()) > MAX_CONTROL_BYTES:
        raise StreamError(f"a control message of {len(text)} bytes passes {MAX_CONTROL_BYTES}")
    return text


def decode_client_message(text: str) -> ClientMessage:
    """What a client said. Raises StreamError on anything but a valid message of version 1.x."""
    return _decode(_CLIENT, text)


def decode_server_message(text: str) -> ServerMessage:
    """What a server said. Raises StreamError on anything but a valid message of version 1.x."""
    return _decode(_SERVER, text)


def minor_of(version: str) -> int:
    """The minor version that a hello or a manifest names."""
    return int(version.split(".")[1])


def _decode(adapter: TypeAdapter[M], text: str) -> M:
    # A lone surrogate cannot come in UTF-8, but must not crash the reader if it does.
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_CONTROL_BYTES:
        raise StreamError(f"a control message of {size} bytes passes {MAX_CONTROL_BYTES}")
    try:
        message = adapter.validate_json(text)
    except ValidationError as error:
        raise StreamError(f"not a control message: {first_fault(error)}") from None
    version = message.version if isinstance(message, Hello | ManifestHead) else PROTOCOL
    if version.split(".")[0] != str(PROTOCOL_MAJOR):
        raise StreamError(
            f"the other side speaks version {version} of the protocol; this one speaks {PROTOCOL}"
        )
    return message
