"""Plays in which somebody between server and client changes what is sent, by seeds.

    package on disk ─► the server's AssetStore, Delivery ─► messages ─► Tamperer ─► a face's steps

What may be shown of a frame is what comes of the package's own assets, or of some of them:
`subsets` plays all of these. Everything else that is shown is of somebody else's making.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from client_sdk.contract import Package, Place, decode_record, encode_record
from client_sdk.contract.asset_frames import AssetFrame, decode_frame, encode_frame, frames_of
from client_sdk.contract.control import MAX_WANTED, Want, Wanted
from client_sdk.contract.patch_map import PatchMap
from client_sdk.contract.plate import decode_plate
from client_sdk.contract.sei import FrameIdentity, build_payload
from client_sdk.contract.signing import key_text, signature_text, signed_message
from client_sdk.http_assets import HttpAssets
from kernels.compiler import decode_plan, encode_plan
from kernels.compiler.wire import MAGIC
from kernels.errors import CrispcastError
from server.asset_store import AssetStore
from server.delivery import Delivery
from tests.conformance.cases import BEGIN, TICKS
from tests.conformance.package import PACKAGE_ID, STARTS, Drawn, draw, frame, sha
from tests.kernels.plans import moved

Step = dict[str, Any]
_DIFFERENCE = (1, 1)
"""Segment and place of the expert that is a difference."""
_ATTEMPTS = 40
_OWNER = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)


class Wire:
    """A data channel that keeps what is sent over it."""

    bufferedAmountLowThreshold = 0  # noqa: N815 - the W3C's name
    bufferedAmount = 0  # noqa: N815
    readyState = "open"  # noqa: N815

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def on(self, event: str, listener: Callable[[], None]) -> None: ...


def on_disk(drawn: Drawn, folder: Path) -> Package:
    """The drawn package with its assets in files, as the server reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {}
    for name, data in drawn.assets.items():
        (folder / name).write_bytes(data)
        asset = drawn.manifest.assets.get(name)
        places[name] = Place(folder / name, 0, len(data), "map" if asset is None else asset.kind)
    return Package(folder, drawn.manifest, drawn.manifest_bytes, places)


async def _delivered(package: Package, names: list[str]) -> list[bytes]:
    wire = Wire()
    store = AssetStore(1 << 24)
    delivery = Delivery(wire, package, store, lambda: (0, 0), high_water=1 << 28, low_water=1 << 14)
    for start in range(0, len(names), MAX_WANTED):
        wanted = tuple(Wanted(sha256=name) for name in names[start : start + MAX_WANTED])
        delivery.want(Want(assets=wanted))
    while not delivery.idle:
        delivery.pump()
        if delivery._reading is not None:
            await delivery._reading
    return wire.sent


class _Answer(io.BytesIO):
    """An answer of HTTP's, whatever is in its body."""

    status = 200

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.headers: dict[str, str] = {}


class _Tampered(HttpAssets):
    """The client's own fetching, whose answers are somebody's."""

    body = b""

    def _open(self, sha256: str, offset: int) -> Any:
        return _Answer(self.body)


async def _by_http(name: str, size: int, body: bytes) -> list[AssetFrame]:
    """What the client makes of that body of an answer to its GET."""
    http = _Tampered("http://127.0.0.1/whep/x", None, lambda _: None, lambda _: None)
    http.body = body
    return list(http._pieces(name, 0, size))


@dataclass(frozen=True)
class Play:
    """One play: its steps, and the segment whose first frame is shown at its end."""

    segment: int
    steps: list[Step]
    kind: str = "none"


class Tamperer:
    """Makes plays of one package. Everything is drawn, and the same for a seed."""

    def __init__(self, folder: Path) -> None:
        self.drawn = draw()
        self._foreign = list(draw(rungs=(3,)).assets.values())
        self._package = on_disk(self.drawn, folder)
        self._messages: dict[int, dict[str, list[bytes]]] = {}
        for segment in range(len(STARTS)):
            names = list(self.drawn.manifest.rungs[0].assets_of(segment))
            sent = asyncio.run(_delivered(self._package, names))
            by_name: dict[str, list[bytes]] = {name: [] for name in names}
            for message in sent:
                by_name[decode_frame(message).sha256].append(message)
            self._messages[segment] = by_name

    # -- plays --------------------------------------------------------------------------------

    def subsets(self) -> Iterator[Play]:
        """Every play in which some of a segment's own assets come, whole."""
        for segment, by_name in self._messages.items():
            for count in range(len(by_name) + 1):
                for names in itertools.combinations(by_name, count):
                    pieces = [message for name in names for message in by_name[name]]
                    yield self._play(segment, pieces)

    def tampered(self, seed: int) -> Play:
        """A play in which at least one asset is not what the manifest names."""
        rng = Random(seed)
        segment = rng.randrange(len(STARTS))
        by_name = {name: list(sent) for name, sent in self._messages[segment].items()}
        kind = rng.choice(list(_KINDS))
        name = rng.choice(list(by_name))
        body = _KINDS[kind](self, segment, name, self.drawn.assets[name], rng)
        size = len(self.drawn.assets[name])
        if body == self.drawn.assets[name]:  # a change that changes nothing
            body = bytes([body[0] ^ 1]) + body[1:]
        way = rng.choice(("whole", "announced", "http", "over", "first"))
        by_name[name] = self._sent(way, name, size, body, by_name[name], rng)
        pieces = [message for sent in by_name.values() for message in sent]
        if rng.random() < 0.2:
            rng.shuffle(pieces)
        return self._play(segment, pieces, f"{kind}, {way}", self._pictures(segment, name, body))

    def forged(self, seed: int) -> Play:
        """A play for who trusts a key: the manifest and its assets are another's, and agree."""
        rng = Random(seed)
        old = self.drawn.manifest.rungs[0].segments[0].experts[1]
        plan = encode_plan(moved(decode_plan(self.drawn.assets[old])))
        tree = json.loads(self.drawn.manifest_bytes.replace(old.encode(), sha(plan).encode()))
        tree["assets"][sha(plan)]["bytes"] = len(plan)
        tree["name"] = f"forged {seed}"
        body = json.dumps(tree).encode()
        true = self.drawn.manifest_bytes
        theirs = Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
        signatures = {
            "absent": None,
            "of the true one": _signed(_OWNER, sha(true)),
            "by another key": _signed(theirs, sha(body)),
            "noise": signature_text(rng.randbytes(64)),
        }
        how = rng.choice(list(signatures))
        sent = [m for messages in self._messages[0].values() for m in messages]
        pieces = [*sent, *frames_of(sha(plan), plan)]
        told = sha(true) if how == "of the true one" and rng.random() < 0.5 else sha(body)
        trust = key_text(_OWNER.public_key().public_bytes_raw())
        return self._play(0, pieces, f"forged, {how}", None, (body, told, signatures[how], trust))

    def signed(self) -> Play:
        """A play for who trusts a key, with the package as it is and its owner's signature."""
        body = self.drawn.manifest_bytes
        pieces = [m for messages in self._messages[0].values() for m in messages]
        trust = key_text(_OWNER.public_key().public_bytes_raw())
        signed = (body, sha(body), _signed(_OWNER, sha(body)), trust)
        return self._play(0, pieces, "signed", None, signed)

    def _sent(
        self, way: str, name: str, size: int, body: bytes, true: list[bytes], rng: Random
    ) -> list[bytes]:
        """The messages that bring `body` in the place of the asset."""
        if way == "whole":  # with its own length
            return list(frames_of(name, body)) or true[:0]
        if way == "http":
            frames = asyncio.run(_by_http(name, size, body))
            return [encode_frame(one) for one in frames]
        fitted = (body + bytes(size))[:size]  # with the length that was announced
        if way == "announced":
            return list(frames_of(name, fitted))
        cut = rng.randrange(1, size) if size > 1 else 1
        if way == "over":  # a true beginning, then again from the first byte
            return [
                encode_frame(AssetFrame(name, 0, size, self.drawn.assets[name][:cut])),
                encode_frame(AssetFrame(name, 0, size, fitted)),
            ]
        # A false beginning, which the true asset follows.
        return [encode_frame(AssetFrame(name, 0, size, fitted[:cut])), *true]

    def _play(
        self,
        segment: int,
        pieces: list[bytes],
        kind: str = "none",
        more: list[Step] | None = None,
        signed: tuple[bytes, str, str | None, str] | None = None,
    ) -> Play:
        """`signed`: a manifest, the hash that is told of it, its signature, and who is trusted."""
        true = self.drawn.manifest_bytes
        body, told, signature, trust = signed or (true, sha(true), None, "")
        head = {
            "type": "manifest", "version": "1.2", "package": PACKAGE_ID, "rung": 0,
            "sha256": told, "bytes": len(body),
        }  # fmt: skip
        if signature is not None:
            head["signature"] = signature
        opened = {"trust": trust} if trust else {}
        steps: list[Step] = [{"do": "open", **opened}, *self._known, *(more or ())]
        steps += [{"do": "connected"}, {"do": "message", "text": head}]
        steps += [{"do": "piece", "bytes": message} for message in frames_of(told, body)]
        start, rung = STARTS[segment], self.drawn.manifest.rungs[0]
        if segment:
            steps.append({"do": "seek", "frame": start})
        steps += [{"do": "piece", "bytes": message} for message in pieces]
        identity = build_payload(FrameIdentity(PACKAGE_ID, 0, start))
        at = BEGIN + TICKS * start
        steps.append({"do": "identify", "rtp": at, "bytes": identity})
        size = {"width": rung.width, "height": rung.height}
        picture = frame(start, rung.width, rung.height)
        steps.append({"do": "frame", "rtp": at, **size, "bytes": picture})
        return Play(segment, steps, kind)

    @cached_property
    def _known(self) -> list[Step]:
        """Pictures as they decode, for a face that cannot decode them itself."""
        return [_picture(name, luma) for name, luma in self.drawn.pictures.items()]

    def _pictures(self, segment: int, name: str, body: bytes) -> list[Step]:
        """That of a body that took a plate's place, where it is one: a face may not refuse it."""
        true = self.drawn.pictures.get(name)
        if true is None:
            return []
        fitted = (body + bytes(len(self.drawn.assets[name])))[: len(self.drawn.assets[name])]
        found = []
        for data in {body, fitted}:
            try:
                found.append(_picture(sha(data), decode_plate(data, *true.shape[::-1])))
            except CrispcastError:
                continue
        return found

    # -- what takes an asset's place ----------------------------------------------------------

    def flipped(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """A few bits."""
        out = bytearray(data)
        for _ in range(1 + rng.randrange(4)):
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
        return bytes(out)

    def cut(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """The beginning of it, or more behind it."""
        return (
            data[: rng.randrange(1, len(data))] if rng.random() < 0.7 else data + rng.randbytes(9)
        )

    def noise(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """Nothing of it."""
        return rng.randbytes(len(data))

    def exchanged(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """Another asset of the package."""
        return self.drawn.assets[
            rng.choice([other for other in self.drawn.assets if other != name])
        ]

    def foreign(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """Another package's asset."""
        return rng.choice(self._foreign)

    def made_anew(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """A good asset of the same kind and shape with other content, as an older version has."""
        rung = self.drawn.manifest.rungs[0]
        if name in self.drawn.pictures:
            return _blurred(data, rng)
        part = rung.segments[segment]
        if name == part.map.sha256:
            return _other_map(data, rung.width, rung.height, len(part.experts), rng)
        if name in part.experts:
            base = self._base_of(name)
            return encode_plan(moved(decode_plan(data, base)), base)
        return self.flipped(segment, name, data, rng)

    def resealed(self, segment: int, name: str, data: bytes, rng: Random) -> bytes:
        """A few bits, checksum made right, until the format takes it: a good one of that length."""
        body = data
        for _ in range(_ATTEMPTS):
            body = self.flipped(segment, name, data, rng)
            if data[:4] == MAGIC:
                body = data[:8] + struct.pack("<I", zlib.crc32(body[12:])) + body[12:]
            if body != data and self._is_good(segment, name, body):
                break
        return body

    def _is_good(self, segment: int, name: str, body: bytes) -> bool:
        """Whether the format takes it in the asset's place."""
        rung, true = self.drawn.manifest.rungs[0], self.drawn.pictures.get(name)
        part = rung.segments[segment]
        try:
            if true is not None:
                decode_plate(body, *true.shape[::-1])
            elif name == part.map.sha256:
                decode_record(body, rung.width, rung.height, len(part.experts))
            elif name in part.experts:
                decode_plan(body, self._base_of(name))
        except CrispcastError:
            return False
        return True

    def _base_of(self, name: str) -> bytes | None:
        """The plan that an expert is a difference to."""
        place, index = _DIFFERENCE
        experts = self.drawn.manifest.rungs[0].segments[place].experts
        return self.drawn.assets[experts[0]] if name == experts[index] else None


_KINDS: dict[str, Callable[[Tamperer, int, str, bytes, Random], bytes]] = {
    "flipped": Tamperer.flipped,
    "cut": Tamperer.cut,
    "noise": Tamperer.noise,
    "exchanged": Tamperer.exchanged,
    "foreign": Tamperer.foreign,
    "made anew": Tamperer.made_anew,
    "resealed": Tamperer.resealed,
}


def _signed(key: Ed25519PrivateKey, manifest_sha256: str) -> str:
    return signature_text(key.sign(signed_message(manifest_sha256)))


def _picture(name: str, luma: Any) -> Step:
    height, width = luma.shape
    size = {"width": width, "height": height}
    return {"do": "picture", "sha256": name, **size, "bytes": luma.tobytes()}


def _blurred(data: bytes, rng: Random) -> bytes:
    """The picture coded again, at another quality."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        out = io.BytesIO()
        quality = rng.randrange(5, 50)
        image.convert("L").save(out, "AVIF", quality=quality, subsampling="4:0:0", range="full")
    return out.getvalue()


def _other_map(data: bytes, width: int, height: int, experts: int, rng: Random) -> bytes:
    """The map with other experts in the same patches."""
    known = decode_record(data, width, height, experts)
    cells = tuple(rng.randrange(experts + 1) for _ in known.experts)
    return encode_record(PatchMap(known.grid, cells))
