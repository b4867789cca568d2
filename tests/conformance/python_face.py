"""The Python client's own parts, played by steps: what the event loop does, without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from client_sdk.asset_fetcher import Arrival, AssetFetcher, segments_ahead
from client_sdk.cache import AssetCache
from client_sdk.contract import Manifest, parse_manifest, sei
from client_sdk.contract.asset_frames import Assembler, decode_frame
from client_sdk.contract.control import (
    Anchor,
    ManifestHead,
    Refused,
    Sought,
    Switch,
    Want,
    decode_server_message,
)
from client_sdk.contract.obu import parse_identity, split
from client_sdk.contract.signing import Trust, parse_trust, why_untrusted
from client_sdk.frame_clock import FrameClock, Identified
from client_sdk.landing import Landing
from client_sdk.upscaler import Planes, Upscaler
from kernels.errors import CrispcastError, PackageError, StreamError

_KEPT = 2  # upscalers, as of client_sdk.upscaling_thread


@dataclass
class Outcome:
    """What came of a step: `facts` as recorded, and the HR planes of a frame that is shown."""

    facts: dict[str, Any]
    planes: bytes = b""


class PythonFace:
    """Plays the steps of a case; each gives its outcome."""

    def __init__(self, isa: str = "portable") -> None:
        self._isa = isa
        self._cache = AssetCache()
        self._loops = False
        self._head: ManifestHead | None = None
        self._body = Assembler()
        self._manifest: Manifest | None = None
        self._trust: Trust = ()
        self._untrusted: str | None = None
        self._untimed: list[Anchor | Sought] = []
        self._base: int | None = None
        self._asked: list[str] = []
        self._next = 0

    def play(self, step: dict[str, Any]) -> Outcome:
        """Do one step."""
        self._asked = []
        outcome = Outcome({})
        try:
            made = getattr(self, f"do_{step['do']}")(**{k: v for k, v in step.items() if k != "do"})
            outcome = made or outcome
            if step["do"] in ("message", "piece"):
                outcome.facts["refused"] = 0
        except CrispcastError:
            outcome.facts["refused"] = 1
        if self._asked:
            outcome.facts["asked"] = [name[:16] for name in self._asked]
        return outcome

    # -- steps --------------------------------------------------------------------------------

    def do_open(self, loops: int = 0, trust: str = "") -> None:
        self._loops = bool(loops)
        self._trust = parse_trust([trust] if trust else [])

    def do_signature(self, bytes: bytes) -> None:
        """Python checks signatures itself."""

    def do_base(self, id: str, bytes: bytes) -> None:
        """Python has the shipped bases itself."""

    def do_picture(self, sha256: str, width: int, height: int, bytes: bytes) -> None:
        """Python decodes pictures itself."""

    def do_connected(self) -> None:
        self._body = Assembler()

    def do_message(self, bytes: bytes) -> None:
        text = bytes.decode("utf-8", "surrogateescape")
        message = decode_server_message(text)
        if self._head is None and isinstance(message, Anchor | Sought | Switch | Refused):
            raise StreamError("a message came before the manifest")
        if isinstance(message, ManifestHead):
            self._on_head(message)
        elif isinstance(message, Anchor | Sought):
            self._tell(message)
        elif isinstance(message, Switch):
            manifest = self._there
            if message.rung >= len(manifest.rungs) or message.frame >= manifest.source.frames:
                raise StreamError("a switch to what is not there")
            segment = manifest.segment_of(message.frame)
            self._fetch(message.rung, segment)
            upscaler = self._upscaler(message.rung)
            self._fill(upscaler, segment)
            self._upscaler(self._rung)
        elif isinstance(message, Refused):
            self._landing.cancel()

    def do_piece(self, bytes: bytes) -> None:
        frame = decode_frame(bytes)
        if self._head is not None and frame.sha256 == self._head.sha256:
            body = self._body.add(frame) if self._manifest is None else None
            if body is not None:
                self._begin(parse_manifest(body), self._head.rung)
            return
        if self._manifest is None:
            raise StreamError("an asset came before the manifest")
        if self._untrusted is not None:
            return
        arrival, again = self._fetcher.arrived(frame)
        self._note(again)
        if arrival is not None:
            self._take(arrival)
        elif again:
            raise StreamError("it came damaged, and is asked for again")

    def do_identify(self, rtp: int, bytes: bytes) -> None:
        identity = sei.parse_payload(bytes)
        if identity is not None:
            self._clock.set_anchor(self._unwrapped(rtp), identity)

    def do_coded(self, rtp: int, av1: int, bytes: bytes) -> None:
        identity = _in_av1(bytes) if av1 else _in_h264(bytes)
        if identity is not None:
            self._clock.set_anchor(self._unwrapped(rtp), identity)

    def do_seek(self, frame: int) -> None:
        self._clock.forget()
        self._landing.begin(frame)
        self._next = frame
        self._fetch(self._rung, self._there.segment_of(frame))

    def do_frame(self, rtp: int, width: int, height: int, bytes: bytes, flags: int = 0) -> Outcome:
        pts = self._unwrapped(rtp)
        identified = self._clock.identify(pts, None)
        landing = self._landing.active
        lr = planes_of(bytes, width, height)
        facts: dict[str, Any] = {"number": -1 if identified is None else identified.frame}
        if not self._landing.shows(pts, identified):
            if identified is not None:
                self._upscaler(identified.rung).pass_over(identified.frame, lr)
            return Outcome({**facts, "shown": 0})
        self._move_on(identified)
        rung = self._rung_of((width, height)) if identified is None else identified.rung
        if rung is None or self._size_of(rung) != (width, height):
            raise PackageError("a frame of another size")
        upscaler = self._upscaler(rung)
        if identified is not None:
            self._enter(upscaler, identified)
        number = None if identified is None or self._untrusted else identified.frame
        made = upscaler.upscale(number, lr, networks=not flags & 1)
        facts |= {
            "rung": rung,
            "shown": 1,
            "landed": int(landing),
            "super_resolved": int(made.super_resolved),
            "late": int(made.late),
        }
        return Outcome(facts, b"".join(plane.tobytes() for plane in made.planes))

    # -- as Playback and UpscalingThread do it -------------------------------------------------

    @property
    def _there(self) -> Manifest:
        if self._manifest is None:
            raise StreamError("the manifest is not here yet")
        return self._manifest

    def _on_head(self, head: ManifestHead) -> None:
        if self._manifest is not None:
            self._join()
            return
        self._head = head
        self._body.expect(head.sha256, head.bytes)

    def _begin(self, manifest: Manifest, rung: int) -> None:
        self._manifest = manifest
        assert self._head is not None
        self._untrusted = why_untrusted(self._trust, self._head.sha256, self._head.signature)
        self._clock, self._landing = FrameClock(manifest), Landing(manifest)
        self._fetcher = AssetFetcher(manifest, self._cache, loops=self._loops)
        self._upscalers: dict[int, Upscaler] = {}
        self._rung, self._segment, self._entered = rung, -1, (-1, -1)
        self._join()

    def _join(self) -> None:
        self._clock.forget()
        self._landing.reconnected()
        if self._next:
            self._landing.begin(self._next)
        self._segment = self._there.segment_of(self._next)
        self._note(self._fetcher.resume())
        self._fetch(self._rung, self._segment)

    def _tell(self, message: Anchor | Sought) -> None:
        pts = self._unwrapped(message.rtp_time)
        identity = sei.FrameIdentity(self._there.id, message.rung, message.frame)
        self._clock.set_anchor(pts, identity)
        if isinstance(message, Sought):
            self._landing.sought(pts, message.frame)

    def _unwrapped(self, rtp: int) -> int:
        """Time stamps that go on where RTP times wrap around, as aiortc gives them."""
        self._there  # noqa: B018 -- raises before there is a clock
        if self._base is None:
            self._base = rtp
        self._base += (rtp - self._base + (1 << 31)) % (1 << 32) - (1 << 31)
        return self._base

    def _move_on(self, identified: Identified | None) -> None:
        manifest = self._there
        self._next += 1
        if identified is not None:
            self._next = identified.frame + 1
            segment = manifest.segment_of(identified.frame)
            if (identified.rung, segment) != (self._rung, self._segment):
                self._rung, self._segment = identified.rung, segment
                self._fetch(self._rung, segment)
        if self._loops and self._next >= manifest.source.frames:
            self._next = 0

    def _enter(self, upscaler: Upscaler, identified: Identified) -> None:
        segment = self._there.segment_of(identified.frame)
        if self._entered == (identified.rung, segment):
            return
        self._entered = (identified.rung, segment)
        self._fill(upscaler, segment)
        ahead = segments_ahead(self._there, segment, True) if self._loops else ()
        upscaler.forget_before(segment, ahead)

    def _fetch(self, rung: int, segment: int) -> None:
        if self._untrusted is not None:
            return
        wants, cached = self._fetcher.advance(rung, segment)
        for arrival in cached:
            self._take(arrival)
        self._note(wants)

    def _note(self, wants: Iterable[Want]) -> None:
        self._asked += [wanted.sha256 for want in wants for wanted in want.assets]

    def _take(self, arrival: Arrival) -> None:
        if not self._upscalers:
            self._upscaler(self._rung)
        for upscaler in self._upscalers.values():
            if upscaler.needs(arrival.sha256):
                _give(upscaler, arrival.sha256, arrival.data)

    def _fill(self, upscaler: Upscaler, segment: int) -> None:
        for sha256 in upscaler.missing(segment):
            data = self._cache.get(sha256)
            if data is not None:
                _give(upscaler, sha256, data)

    def _upscaler(self, rung: int) -> Upscaler:
        upscaler = self._upscalers.pop(rung, None)
        if upscaler is None:
            upscaler = Upscaler(self._there, rung, 1, self._isa)
        self._upscalers[rung] = upscaler
        while len(self._upscalers) > _KEPT:
            del self._upscalers[next(iter(self._upscalers))]
        return upscaler

    def _size_of(self, rung: int) -> tuple[int, int]:
        return self._there.rungs[rung].width, self._there.rungs[rung].height

    def _rung_of(self, size: tuple[int, int]) -> int | None:
        playing = next(reversed(self._upscalers), self._rung)
        rungs = [playing, *range(len(self._there.rungs))]
        return next((rung for rung in rungs if self._size_of(rung) == size), None)


def planes_of(data: bytes, width: int, height: int) -> Planes:
    """The planes of I420 without gaps."""
    half = (height + 1) // 2, (width + 1) // 2
    samples = np.frombuffer(data, np.uint8)
    luma, size = width * height, half[0] * half[1]
    return (
        samples[:luma].reshape(height, width),
        samples[luma : luma + size].reshape(half),
        samples[luma + size :].reshape(half),
    )


def _give(upscaler: Upscaler, sha256: str, data: bytes) -> None:
    try:
        upscaler.add_asset(sha256, data)
    except CrispcastError:
        return  # its patches are interpolated


def _in_h264(unit: bytes) -> sei.FrameIdentity | None:
    found = (sei.parse_nal(nal) for nal in unit.split(b"\0\0\0\1") if nal)
    return next((identity for identity in found if identity is not None), None)


def _in_av1(unit: bytes) -> sei.FrameIdentity | None:
    try:
        found = [parse_identity(obu) for obu in split(unit)]
    except ValueError:
        return None
    return next((identity for identity in found if identity is not None), None)
