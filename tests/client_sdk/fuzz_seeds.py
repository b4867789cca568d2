"""The session fuzzer's seed corpus: `python -m tests.client_sdk.fuzz_seeds`.

It rewrites `client_sdk/core/fuzz/corpus/session` from conformance recordings, cut short. Findings
are kept beside them by the names `found-*`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from client_sdk.contract import encode_motion
from tests.conformance.package import views
from tests.conformance.recording import steps_of

CORPUS = Path(__file__).parents[2] / "client_sdk" / "core" / "fuzz" / "corpus" / "session"
MANIFEST, MESSAGE, PIECE, IDENTIFY, CODED, FRAME, SEEK, CONNECTED, MOTION = range(9)


def event(what: int, data: bytes = b"") -> bytes:
    """An event, as fuzz_session.cpp reads it."""
    return struct.pack("<BH", what, len(data)) + data


def event_of(step: dict[str, Any]) -> bytes:
    """The event of a step of a recording; nothing for what the fuzzer's app does by itself."""
    data = step.get("bytes", b"")
    match step["do"]:
        case "connected":
            return event(CONNECTED)
        case "message":
            return event(MESSAGE, data)
        case "piece":
            return event(PIECE, data)
        case "identify":
            return event(IDENTIFY, struct.pack("<I", step["rtp"]) + data)
        case "coded":
            return event(CODED, struct.pack("<IB", step["rtp"], step["av1"]) + data)
        case "seek":
            return event(SEEK, struct.pack("<I", step["frame"]))
        case "frame":
            sizes = (step.get("flags", 0), step["width"], step["height"])
            return event(FRAME, struct.pack("<IBBB", step["rtp"], *sizes))
    return b""


def with_chroma_as_canvas(manifest: bytes) -> bytes:
    """The manifest, whose chroma says that it is a canvas of its own size."""
    tree = json.loads(manifest)
    for rung in tree["rungs"]:
        for piece in (piece for plate in rung["plates"] for piece in plate if "chroma" in piece):
            _, _, width, height = piece["region"]
            tree["assets"][piece["chroma"]]["canvas"] = [width // 2, height]
    return json.dumps(tree, separators=(",", ":")).encode()


def seeds() -> Iterator[tuple[str, bytes]]:
    """Small plays, each with what the others lack."""
    plays = {name: [step for step, _ in steps_of(name)] for name in ("sei", "seek", "canvas")}
    joined = plays["sei"]
    manifest = next(step["bytes"] for step in joined if step["do"] == "piece")[41:]
    own = [event_of(step) for step in joined if step["do"] in ("identify", "frame")][:3]
    yield "manifest", event(MANIFEST, manifest) + b"".join(own)
    cut = [event_of(step) for step in joined]
    first = [part for part in cut if part][:6]
    yield "joined", b"".join(first + own)
    canvas = [event_of(step) for step in plays["canvas"]]
    pieces = [part for part in canvas if part[:1] == bytes([PIECE])][1:]
    frames = [part for part in canvas if part[:1] in (bytes([FRAME]), bytes([IDENTIFY]))][:3]
    yield "canvas", event(MANIFEST, manifest) + b"".join(pieces + frames)
    yield "chroma-canvas", event(MANIFEST, with_chroma_as_canvas(manifest)) + b"".join(own)
    told = [
        {"type": "anchor", "rtp_time": 1_000_000, "rung": 0, "frame": 0},
        {"type": "switch", "rung": 0, "frame": 8},
        {"type": "sought", "rtp_time": 1_003_600, "rung": 0, "frame": 1},
        {"type": "refused", "what": "seek", "message": "no"},
        {"type": "bye", "reason": "end", "frames": 3},
    ]
    says = [event(MESSAGE, json.dumps(message).encode()) for message in told]
    seeking = [event(SEEK, struct.pack("<I", 12)), *own]
    head = [part for part in cut if part][:3]
    yield "messages", b"".join([*head, *says[:2], *own, *seeking, *says[2:]])
    coded = next(event_of(s) for s, _ in steps_of("coded") if s["do"] == "coded")
    yield "coded", event(MANIFEST, manifest) + coded + own[1]
    record = encode_motion(views(8, (48, 32)))
    yield "motion", event(MOTION, struct.pack("<H", 8) + record)


def main() -> None:
    """Write the corpus."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
