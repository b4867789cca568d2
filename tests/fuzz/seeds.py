"""The seed corpus of the parsers in Python, from packages drawn here: `python -m tests.fuzz.seeds`.

It rewrites `tests/fuzz/corpus`; plans and patch maps share the corpus of the fuzzers in C++.
Findings are kept beside the seeds by the names `found-*`, which this leaves alone.
"""

from __future__ import annotations

import asyncio
import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import jwt
from aiortc import RTCPeerConnection

from client_sdk.contract import av1_codec, control, encode_motion, open_package
from client_sdk.contract.asset_frames import frames_of
from client_sdk.contract.av1_rtp import packetize
from client_sdk.contract.obu import build_identity
from client_sdk.contract.sei import FrameIdentity, build_nal, build_payload
from tests.client_sdk.tiny import (
    LR_HEIGHT,
    LR_WIDTH,
    coloured,
    make_chroma,
    make_plate,
    sha,
    write_audio,
    write_tiny,
)
from tests.conformance.package import views
from tests.fuzz.parsers import CORPUS

_IDENTITY = FrameIdentity("0123456789abcdef", 0, 7)
_CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host"


def _behind(size: bytes, rest: bytes) -> bytes:
    return bytes([len(size)]) + size + rest


def _in_parts(parts: list[bytes]) -> bytes:
    return b"".join(struct.pack("<H", len(part)) + part for part in parts)


def messages() -> Iterator[tuple[str, str, bytes]]:
    """Every message of the protocol."""
    hash_ = "ab" * 32
    client: list[control.ClientMessage] = [
        control.Hello(),
        control.Want(assets=(control.Wanted(sha256=hash_, offset=9),)),
        control.Pause(),
        control.Resume(),
        control.Seek(frame=12),
        control.Loop(on=True),
        control.ChooseRung(rung=None),
        control.Stats(frames=3, upscale_ms=1.5),
        control.Bye(reason="leaving"),
    ]
    server: list[control.ServerMessage] = [
        control.ManifestHead(package="0" * 16, rung=0, sha256=hash_, bytes=99, live=3),
        control.Anchor(rtp_time=5, rung=0, frame=1),
        control.Sought(rtp_time=5, rung=0, frame=1),
        control.Refused(what="seek", message="no"),
        control.Switch(rung=0, frame=12),
        control.Bye(reason="end", frames=36),
    ]
    for message in client:
        yield "client_message", message.type, control.encode_message(message).encode()
    for said in server:
        yield "server_message", said.type, control.encode_message(said).encode()


async def _offers() -> dict[str, bytes]:
    """What the reference client offers, and a peer that would send too."""
    av1_codec.register()
    made = {}
    for name, direction in (("ours", "recvonly"), ("sends", "sendrecv")):
        peer = RTCPeerConnection()
        peer.createDataChannel(control.CHANNEL)
        for kind in ("video", "audio"):
            peer.addTransceiver(kind, direction=direction)
        await peer.setLocalDescription(await peer.createOffer())
        lines = peer.localDescription.sdp.splitlines()
        await peer.close()
        # The addresses of the machine that draws this are nobody's business.
        kept = [line for line in lines if not line.startswith(("a=candidate", "c=IN"))]
        kept.insert(kept.index(next(line for line in kept if line.startswith("a=mid"))), _CANDIDATE)
        made[name] = "\r\n".join([*kept, ""]).encode()
    return made


def media(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Files of video and sound, and what is in them."""
    for codec in ("h264", "av1"):
        package = open_package(write_tiny(folder, name=codec, crf=51, codec=codec))
        data = package.video_path(0).read_bytes()
        with av.open(str(package.video_path(0))) as container:
            stream = container.streams.video[0]
            config = bytes(stream.codec_context.extradata or b"")
            samples = [bytes(p) for p in container.demux(stream) if p.size]
        smallest = min(samples[1:], key=len)
        yield codec, "key", _behind(config, samples[0][:1500] if codec == "av1" else samples[0])
        yield codec, "other", _behind(config, smallest)
        if codec == "av1":
            yield "obu", "unit", smallest
            yield "av1_rtp", "unit", _in_parts(packetize(smallest))
        else:
            yield "mp4", "tiny", data
            yield "manifest", "tiny", package.manifest_bytes
            tree = coloured(package.manifest_bytes, make_chroma(2 * LR_WIDTH, 2 * LR_HEIGHT))
            yield "manifest", "coloured", json.dumps(tree).encode()
            chroma = tree["rungs"][0]["plates"][0][0]["chroma"]
            tree["assets"][chroma]["canvas"] = [LR_WIDTH, 2 * LR_HEIGHT]
            yield "manifest", "chroma-canvas", json.dumps(tree).encode()
            write_audio(folder / "tone.ogg", 0.1)
            yield "ogg", "tone", (folder / "tone.ogg").read_bytes()


def seeds(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Parser, name and bytes of every seed; `folder` is for files on the way."""
    yield from messages()
    yield from media(folder)
    for frames in (1, 8):
        yield (
            "motion",
            str(frames),
            struct.pack("<H", frames) + encode_motion(views(frames, (48, 32))),
        )
    yield "plate", "grey", struct.pack("<HH", 32, 24) + make_plate(32, 24)
    yield "plate", "chroma", struct.pack("<HH", 16, 24) + make_chroma(32, 24)
    yield "sei", "nal", build_nal(_IDENTITY)
    yield "sei", "payload", build_payload(_IDENTITY)
    yield "obu", "identity", build_identity(_IDENTITY).sized
    data = b"an asset" * 12
    pieces = [*frames_of(sha(data), data[:40]), *frames_of(sha(data), data, 40)]
    pieces[0] = pieces[0][:37] + struct.pack("<I", len(data)) + pieces[0][41:]
    head = bytes.fromhex(sha(data)) + struct.pack("<I", len(data))
    yield "asset_frames", "two", head + _in_parts(pieces)
    for name, offer in asyncio.run(_offers()).items():
        yield "offer", name, offer
    fragment = f"a=ice-ufrag:EsAw\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{_CANDIDATE}\r\n"
    yield "trickle", "one", fragment.encode()
    yield "trickle", "end", fragment.encode() + b"a=end-of-candidates\r\n"
    ready = {"status": "ok", "replica": "0123456789abcdef", "room": 3}
    yield "replica", "ready", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n" + json.dumps(ready).encode()
    yield "authorization", "static", b"Bearer 0123456789abcdef"
    claims = {"exp": 4_000_000_000, "iss": "i", "aud": "a", "packages": ["tiny"]}
    yield "authorization", "jwt", b"Bearer " + jwt.encode(claims, "k" * 32).encode()
    yield "range", "middle", b"bytes=2-5"
    yield "range", "last", b'bytes=-3\n"x"\n"y"'
    yield "location", "relative", b"/whep/tiny/abc"
    yield "location", "absolute", b"https://[2001:db8::1]:8443/whep/t%20x?hops=1#f"


def main() -> None:
    """Write the corpus."""
    with tempfile.TemporaryDirectory() as folder:
        for parser, name, data in seeds(Path(folder)):
            path = CORPUS / parser / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


if __name__ == "__main__":
    main()
