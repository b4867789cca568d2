"""Every parser in Python that reads what others sent: how it is called, and how it may refuse.

    any bytes ─► Parser.read ─► returns, or raises one of Parser.refuses; else it is a finding

What is read is also used, as far as it is without a socket or a screen: a number that passes the
parser and breaks its user is a finding too. Corpus and fuzzer: `tests/fuzz/seeds.py`, `fuzzer.py`.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi import HTTPException
from starlette.requests import Request

from client_sdk import whep
from client_sdk.contract import (
    asset_frames,
    av1_codec,
    av1_rtp,
    control,
    manifest,
    motion,
    obu,
    patch_map,
    sei,
)
from client_sdk.contract.plate import decode_plate
from kernels.compiler.wire import decode_plan
from kernels.errors import PackageError, PlanError, StreamError
from server import av1, h264, offer, opus, ranged, replicas, rung_video, trickle
from server.access import Access
from server.settings import Settings

CORPUS = Path(__file__).parent / "corpus"
_NATIVE = Path(__file__).parents[2] / "kernels" / "runtime" / "fuzz" / "corpus"
_FRAMES = 40  # of a file of media whose payloads are made, at most


@dataclass(frozen=True, slots=True)
class Parser:
    """`read` takes any bytes; `refuses` are what it may raise; `most` bytes are tried.

    `code`: the modules that it consists of. `text`: json, lines, or nothing, for mutators.
    """

    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    code: tuple[str, ...]
    most: int
    text: str


def read_manifest(data: bytes) -> None:
    """A manifest, and what a player asks of it."""
    found = manifest.parse_manifest(data)
    for index in range(len(found.rungs)):
        found.size_of(index)
        found.media_bitrate(index)
        found.quality_of(index)
    found.segment_of(found.source.frames - 1)
    manifest.parse_manifest(found.to_bytes())


def read_patch_map(data: bytes) -> None:
    """A map behind its frame's size and its number of experts, as fuzz_patch_map.cpp has it."""
    if len(data) < 5:
        return
    width, height, experts = struct.unpack_from("<HHB", data)
    patches = patch_map.decode_record(data[5:], width, height, experts).patches()
    assert int((patches[:, 2].astype("i8") * patches[:, 3]).sum()) == width * height
    assert patches[:, 4].max() <= experts


def read_motion(data: bytes) -> None:
    """Motion behind its number of frames, as fuzz_session.cpp has it."""
    if len(data) < 2:
        return
    frames = data[0] | data[1] << 8
    assert len(motion.decode_motion(data[2:], frames)) == frames


def read_plate(data: bytes) -> None:
    """A plate behind the width and height that the manifest says."""
    if len(data) < 4:
        return
    width, height = struct.unpack_from("<HH", data)
    assert decode_plate(data[4:], width, height).shape == (height, width)


def read_sei(data: bytes) -> None:
    """A NAL unit, and side data as a decoder gives it."""
    sei.parse_nal(data)
    sei.parse_payload(data)


def read_obu(data: bytes) -> None:
    """A temporal unit in low-overhead format."""
    for unit in obu.split(data):
        obu.parse_identity(unit)


def read_av1_rtp(data: bytes) -> None:
    """The payloads of a unit, each behind its length."""
    payloads = []
    while data:
        size = data[0] | (data[1] << 8 if len(data) > 1 else 0)
        payloads.append(data[2 : 2 + size])
        data = data[2 + size :]
    av1_codec.identity_in(av1_rtp.assemble(payloads))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def read_client_message(data: bytes) -> None:
    """What a client says."""
    said = control.decode_client_message(_text(data))
    control.encode_message(said)


def read_server_message(data: bytes) -> None:
    """What a server says."""
    said = control.decode_server_message(_text(data))
    control.encode_message(said)


def read_asset_frames(data: bytes) -> None:
    """Messages, each behind its length, for one asset that was asked for."""
    assembler = asset_frames.Assembler()
    if len(data) < 36:
        return
    assembler.expect(data[:32].hex(), struct.unpack_from("<I", data, 32)[0])
    data = data[36:]
    try:
        while len(data) > 2:
            size = data[0] | data[1] << 8
            assembler.add(asset_frames.decode_frame(data[2 : 2 + size]))
            data = data[2 + size :]
    finally:
        kept = sum(map(len, assembler._parts.values()))
        assert kept <= 1 << 16


def _sealed(wire: bytes) -> bytes:
    checksum = struct.pack("<I", zlib.crc32(wire[12:]))
    return wire[:8] + checksum + wire[12:] if len(wire) > 12 else wire


def read_plan(data: bytes) -> None:
    """A wire plan whose checksum was made right: a fuzzer cannot guess one."""
    decode_plan(_sealed(data))


def _parted(data: bytes) -> tuple[bytes, bytes]:
    size = data[0] if data else 0
    return data[1 : 1 + size], data[1 + size :]


def read_h264(data: bytes) -> None:
    """avcC behind its length, then a sample, up to RTP payloads."""
    config, sample = _parted(data)
    units = h264.H264Units(config)
    units.packetize(units.unit(sample, True, sei.FrameIdentity("0" * 16, 0, 1)))


def read_av1(data: bytes) -> None:
    """av1C behind its length, then a sample, up to RTP payloads."""
    config, sample = _parted(data)
    units = av1.Av1Units(config)
    units.packetize(units.unit(sample, True, sei.FrameIdentity("0" * 16, 0, 1)))


@cache
def _file(name: str) -> Path:
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    return Path(folder) / name


@cache
def _tiny() -> manifest.Manifest:
    return manifest.parse_manifest((CORPUS / "manifest" / "tiny").read_bytes())


def read_mp4(data: bytes) -> None:
    """A rung's file, of the package that the corpus has the manifest of, up to RTP payloads."""
    path = _file("rung.mp4")
    path.write_bytes(data)
    package: Any = SimpleNamespace(manifest=_tiny(), video_path=lambda index: path)
    video = rung_video.RungVideo(package, 0)
    try:
        for frame in range(min(_FRAMES, len(video._sizes))):
            video.payloads(frame, True)
    finally:
        video.close()


def read_ogg(data: bytes) -> None:
    """A package's sound."""
    path = _file("track.ogg")
    path.write_bytes(data)
    opus.OpusAudio.open(path)


def read_offer(data: bytes) -> None:
    """The body of a POST."""
    offer.read_offer(data.decode())


def read_trickle(data: bytes) -> None:
    """The body of a PATCH."""
    trickle.read_fragment(data.decode())


def read_replica(data: bytes) -> None:
    """What another server answers."""
    replicas.read_answer(data)


@cache
def _access() -> Access:
    settings = {"tokens": "tiny=0123456789abcdef", "jwt_key": "k" * 32}
    return Access(Settings.model_validate(settings | {"jwt_issuer": "i", "jwt_audience": "a"}))


def _request(*headers: tuple[bytes, bytes]) -> Request:
    return Request({"type": "http", "method": "GET", "headers": list(headers)})


def read_authorization(data: bytes) -> None:
    """The header of a request: a token, whose claims may be anything."""
    header = _request((b"authorization", data)).headers["authorization"]
    _access().require(header, "tiny")
    _access().require_metrics(header)


def read_range(data: bytes) -> None:
    """Headers of a request for an asset, one a line."""
    values = dict(zip((b"range", b"if-range", b"if-none-match"), data.split(b"\n"), strict=False))
    answer = ranged.ranged(_request(*values.items()), b"0123456789", "a/b", '"x"', "no-store")
    assert answer.status_code in (200, 206, 304, 416)
    assert len(answer.body) <= 10


def read_location(data: bytes) -> None:
    """Where a server says that the session is, or sends the player on to."""
    url = whep.checked_url(data.decode("latin-1"), "https://a.example/whep/tiny?x")
    whep.checked_url(url)
    whep.origin_of(whep.without_query(url))


def read_difference(data: bytes) -> None:
    """A base behind its length, and a plan that is a difference to it."""
    if len(data) < 2:
        return
    size = data[0] | data[1] << 8
    base, difference = _sealed(data[2 : 2 + size]), data[2 + size :]
    if len(difference) > 28:
        difference = difference[:12] + hashlib.sha256(base).digest()[:16] + difference[28:]
    decode_plan(_sealed(difference), base)


def _parser(
    read: Callable[[bytes], object],
    refuses: type[Exception] | tuple[type[Exception], ...],
    code: str,
    most: int,
    text: str = "",
) -> Parser:
    refused = refuses if isinstance(refuses, tuple) else (refuses,)
    return Parser(read, refused, tuple(code.split()), most, text)


_CONTRACT = "client_sdk.contract."
_MANIFEST = f"{_CONTRACT}manifest {_CONTRACT}rung {_CONTRACT}bounds"
_RANGE = "kernels.range_coder"
_PLAN = f"kernels.compiler.wire kernels.compiler.payload kernels.plan {_RANGE}"
_AV1 = f"{_CONTRACT}av1_rtp {_CONTRACT}obu {_CONTRACT}sei"
_MP4 = f"server.rung_video server.h264 {_CONTRACT}rung_mp4 {_CONTRACT}sei"
_TEXT = (StreamError, UnicodeDecodeError)

PARSERS: dict[str, Parser] = {
    "manifest": _parser(read_manifest, PackageError, _MANIFEST, 8192, "json"),
    "patch_map": _parser(read_patch_map, PackageError, f"{_CONTRACT}patch_map {_RANGE}", 512),
    "motion": _parser(read_motion, PackageError, f"{_CONTRACT}motion kernels.canvas {_RANGE}", 512),
    "plate": _parser(read_plate, PackageError, f"{_CONTRACT}plate", 4096),
    "sei": _parser(read_sei, (), f"{_CONTRACT}sei", 512),
    "obu": _parser(read_obu, ValueError, f"{_CONTRACT}obu {_CONTRACT}sei", 512),
    "av1_rtp": _parser(read_av1_rtp, ValueError, _AV1, 1024),
    "client_message": _parser(
        read_client_message, StreamError, f"{_CONTRACT}control", 2048, "json"
    ),
    "server_message": _parser(
        read_server_message, StreamError, f"{_CONTRACT}control", 2048, "json"
    ),
    "asset_frames": _parser(read_asset_frames, StreamError, f"{_CONTRACT}asset_frames", 1024),
    "plan": _parser(read_plan, PlanError, _PLAN, 1024),
    "difference": _parser(read_difference, PlanError, _PLAN, 1024),
    "h264": _parser(read_h264, ValueError, f"server.h264 {_CONTRACT}sei", 2048),
    "av1": _parser(read_av1, ValueError, f"server.av1 {_AV1}", 2048),
    "mp4": _parser(read_mp4, PackageError, _MP4, 65536),
    "ogg": _parser(read_ogg, PackageError, "server.opus", 32768),
    "offer": _parser(read_offer, _TEXT, "server.offer aiortc.sdp", 16384, "lines"),
    "trickle": _parser(read_trickle, _TEXT, "server.trickle aiortc.sdp", 4096, "lines"),
    "replica": _parser(read_replica, ValueError, "server.replicas", 1024),
    "authorization": _parser(read_authorization, HTTPException, "server.access", 1024),
    "range": _parser(read_range, (), "server.ranged", 256),
    "location": _parser(read_location, StreamError, "client_sdk.whep", 512),
}


def seeds_of(name: str) -> Path:
    """The folder of a parser's seeds."""
    return next(folder for folder in (CORPUS / name, _NATIVE / name) if folder.is_dir())
