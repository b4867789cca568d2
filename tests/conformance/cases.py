"""What happens in each conformance case: a list of steps, without what should come of them.

A step is a JSON object with `do`. `record.py` turns bytes into places of `fixtures.bin` and adds
what came of each step. The format: docs/sdk-core.md.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client_sdk.contract.asset_frames import AssetFrame, encode_frame, frames_of
from client_sdk.contract.obu import TEMPORAL_DELIMITER, Obu, build_identity
from client_sdk.contract.sei import FrameIdentity, build_nal, build_payload
from client_sdk.contract.signing import key_text, signature_text, signed_message
from kernels import bases
from kernels.compiler import base_id, decode_plan, encode_plan
from tests.conformance.package import FRAMES, PACKAGE_ID, STARTS, Drawn, draw, frame, plan_ir, sha
from tests.kernels.plans import moved

Step = dict[str, Any]
TICKS = 3600  # of 90 kHz, a frame at 25 a second
BEGIN = 1_000_000  # RTP time of the first frame


def _owner(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def public_key(number: int) -> bytes:
    """Of one who signs, always the same."""
    return _owner(number).public_key().public_bytes_raw()


class Script:
    """The steps of one case, and the package that it plays."""

    def __init__(
        self, drawn: Drawn | None = None, begin: int = BEGIN, **options: int | str
    ) -> None:
        self.drawn = draw() if drawn is None else drawn
        self.begin = begin
        self.steps: list[Step] = [{"do": "open", **options}]
        self.signature: str | None = None  # of the manifest, as the server has it
        fps = self.drawn.manifest.source.fps
        self.ticks = 90_000 * fps[1] // fps[0]

    def add(self, do: str, **fields: Any) -> None:
        """One more step."""
        self.steps.append({"do": do, **fields})

    def say(self, **message: Any) -> None:
        """The server says that."""
        self.add("message", text=message)

    def join(self, rung: int = 0) -> None:
        """Connected, and the manifest is here."""
        self.add("connected")
        self.head(rung)
        body = self.drawn.manifest_bytes
        for message in frames_of(sha(body), body):
            self.add("piece", bytes=message)

    def head(self, rung: int = 0) -> None:
        body = self.drawn.manifest_bytes
        signed = {} if self.signature is None else {"signature": self.signature}
        version = "1.2" if signed else "1.1"
        self.say(
            type="manifest", version=version, package=PACKAGE_ID, rung=rung, sha256=sha(body),
            bytes=len(body), **signed,
        )  # fmt: skip

    def sign(self, owner: int, manifest: bytes | None = None) -> str:
        """A signature of the manifest, or of another; programs without Ed25519 are told of it."""
        message = signed_message(sha(self.drawn.manifest_bytes if manifest is None else manifest))
        made = _owner(owner).sign(message)
        self.add("signature", bytes=public_key(owner) + made + message)
        return signature_text(made)

    def bring(self, name: str) -> None:
        """An asset comes."""
        for message in frames_of(name, self.drawn.assets[name]):
            self.add("piece", bytes=message)

    def bring_segment(self, segment: int, rung: int = 0, but: tuple[str, ...] = ()) -> None:
        """What a segment needs comes, but for some."""
        for name in self.drawn.manifest.rungs[rung].assets_of(segment):
            if name not in but:
                self.bring(name)

    def rtp(self, position: int) -> int:
        """RTP time of the frame so many frames after the first."""
        return (self.begin + position * self.ticks) & 0xFFFFFFFF

    def identify(self, number: int, position: int, rung: int = 0) -> None:
        """The decoder hands out the SEI of that frame."""
        payload = build_payload(FrameIdentity(PACKAGE_ID, rung, number))
        self.add("identify", rtp=self.rtp(position), bytes=payload)

    def anchor(self, number: int, position: int, rung: int = 0, kind: str = "anchor") -> None:
        self.say(type=kind, rtp_time=self.rtp(position), rung=rung, frame=number)

    def show(self, number: int, position: int | None = None, rung: int = 0, **fields: int) -> None:
        """Frame `number` is decoded, `position` frames of time after the first."""
        facts = self.drawn.manifest.rungs[rung]
        at = number if position is None else position
        self.add(
            "frame", rtp=self.rtp(at), width=facts.width, height=facts.height,
            bytes=frame(number, facts.width, facts.height), **fields,
        )  # fmt: skip

    def play(self, first: int, end: int, offset: int = 0, rung: int = 0, sei: bool = True) -> None:
        """Frames with their numbers' SEI at each segment's start."""
        for number in range(first, end):
            if sei and number in STARTS:
                self.identify(number, number + offset, rung)
            self.show(number, number + offset, rung)


def sei() -> Script:
    """All is here in time, and SEI says which frame is which."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, FRAMES)
    return script


def anchors() -> Script:
    """Only the server's anchors say it, and the second comes late: its frames are interpolated."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.anchor(0, 0)
    script.play(0, 11, sei=False)
    script.anchor(8, 8)
    script.play(11, 16, sei=False)
    script.anchor(16, 16)
    script.play(16, FRAMES, sei=False)
    return script


def coded() -> Script:
    """Identities inside coded frames, of H.264 and of AV1, among other units and damaged ones."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    start = b"\0\0\0\1"
    other = b"\x06\x05\x14" + b"q" * 20 + b"\x80"  # somebody else's user data
    for number in range(0, FRAMES, 2):
        identity = FrameIdentity(PACKAGE_ID, 0, number)
        if number < 12:
            nals = [b"\x67\x42\x00\x1e", other, build_nal(identity), b"\x65\x88\x84\x00"]
            unit, av1 = b"".join(start + nal for nal in nals), 0
        else:
            units = [Obu(bytes([TEMPORAL_DELIMITER << 3]), b""), build_identity(identity)]
            unit, av1 = b"".join(obu.sized for obu in units), 1
        script.add("coded", rtp=script.rtp(number), av1=av1, bytes=unit)
        script.add("coded", rtp=script.rtp(number + 1), av1=av1, bytes=unit[: len(unit) // 2])
        script.show(number)
        script.show(number + 1)
    return script


def late_plan() -> Script:
    """A plan comes in the middle of its segment, a patch map after its first frames."""
    script = Script()
    script.join()
    manifest = script.drawn.manifest.rungs[0]
    plan, patch_map = manifest.segments[0].experts[1], manifest.segments[1].map.sha256
    script.bring_segment(0, but=(plan,))
    script.bring_segment(1, but=(patch_map,))
    script.play(0, 4)
    script.bring(plan)
    script.play(4, 10)
    script.bring(patch_map)
    script.play(10, 12)
    return script


def damaged() -> Script:
    """An asset comes damaged and is asked for again; another twice, and is done without."""
    script = Script()
    script.join()
    plans = script.drawn.manifest.rungs[0].segments[0].experts
    script.bring_segment(0, but=plans)
    for name, times in ((plans[0], 1), (plans[1], 2)):
        data = script.drawn.assets[name]
        bad = bytes([data[0] ^ 1]) + data[1:]
        for _ in range(times):
            script.add("piece", bytes=encode_frame(AssetFrame(name, 0, len(bad), bad)))
    script.play(0, 3)
    script.bring(plans[0])
    script.play(3, 8)
    return script


def refused() -> Script:
    """What is whole and true, and yet no plan, is refused; the rest is shown."""
    drawn = draw()
    junk = b"CCPL" + bytes(range(60))
    old = drawn.manifest.rungs[0].segments[0].experts[1]
    tree = json.loads(drawn.manifest_bytes.decode().replace(old, sha(junk)))
    tree["assets"][sha(junk)]["bytes"] = len(junk)
    drawn.manifest = type(drawn.manifest).model_validate(tree)
    drawn.assets[sha(junk)] = junk
    script = Script(drawn)
    script.join()
    script.bring_segment(0)
    script.play(0, 4)
    return script


def unfit() -> Script:
    """Plans that are whole and true, and of another scale, of a later version, or with an op that
    no engine has, a convolution of 7x7: their patches are interpolated, and the rest is shown."""
    drawn = draw()
    later = bytearray(encode_plan(plan_ir(7, ("luma",), 2)))
    later[4] += 8
    wide = bytearray(encode_plan(plan_ir(8, ("luma",), 2)))
    wide[16] = 7  # the first layer's kernel, behind header, scale, inputs, base and count of layers
    wide[8:12] = zlib.crc32(wide[12:]).to_bytes(4, "little")
    first, second, _ = drawn.manifest.rungs[0].segments
    wrong = {
        first.experts[1]: encode_plan(plan_ir(7, ("luma",), 3)),
        second.experts[1]: bytes(later),
        second.experts[2]: bytes(wide),
    }
    text = drawn.manifest_bytes.decode()
    for old, wire in wrong.items():
        text = text.replace(old, sha(wire))
    tree = json.loads(text)
    for wire in wrong.values():
        tree["assets"][sha(wire)]["bytes"] = len(wire)
        drawn.assets[sha(wire)] = wire
    drawn.manifest = type(drawn.manifest).model_validate(tree)
    script = Script(drawn)
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, FRAMES)
    return script


def difference() -> Script:
    """A difference comes before its base, and waits for it."""
    script = Script()
    script.join()
    script.bring_segment(0)
    segment = script.drawn.manifest.rungs[0].segments[1]
    base = segment.experts[0]
    script = Script(script.drawn)
    script.join()
    script.bring_segment(0, but=(base,))
    script.bring_segment(1, but=(base,))
    script.play(0, 10)
    script.bring(base)
    script.play(10, 12)
    return script


def shipped_base() -> Script:
    """A plan is a difference to a base that comes with the client."""
    drawn = draw()
    base = next(path for path in bases.shipped() if path.name == "x2.plan").read_bytes()
    wire = encode_plan(moved(decode_plan(base)), base)
    old = drawn.manifest.rungs[0].segments[0].experts[1]
    tree = json.loads(drawn.manifest_bytes.decode().replace(old, sha(wire)))
    tree["assets"][sha(wire)]["bytes"] = len(wire)
    drawn.manifest = type(drawn.manifest).model_validate(tree)
    drawn.assets[sha(wire)] = wire
    script = Script(drawn)
    script.add("base", id=base_id(base).hex(), bytes=base)
    script.join()
    script.bring_segment(0)
    script.play(0, 4)
    return script


def seek() -> Script:
    """A seek lands by `sought`: what leads there is decoded, not shown, and looked back at."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, 3)
    script.add("seek", frame=12)
    script.show(3, 3)  # was on its way
    script.anchor(8, 10)
    script.anchor(12, 14, kind="sought")
    for number in range(8, 12):
        script.identify(number, number + 2)
        script.show(number, number + 2)
    for number in range(12, 16):
        script.show(number, number + 2)
    return script


def seek_by_numbers() -> Script:
    """`sought` is lost; the numbers jump, and the frame that was sought is known by its own."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, 3)
    script.add("seek", frame=18)
    script.show(3, 3)
    for number in range(16, 22):
        script.identify(number, number + 9)
        script.show(number, number + 9)
    return script


def seek_back() -> Script:
    """A seek back finds in the cache what was let go of."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, FRAMES)
    script.add("seek", frame=0)
    script.anchor(0, 40, kind="sought")
    for number in range(4):
        script.identify(number, number + 40)
        script.show(number, number + 40)
    return script


def refused_seek() -> Script:
    """The server does not seek: all goes on as it was."""
    script = Script()
    script.join()
    script.bring_segment(0)
    script.play(0, 2)
    script.add("seek", frame=12)
    script.show(2)
    script.say(type="refused", what="seek", message="not here")
    script.identify(3, 3)
    script.show(3)
    script.show(4)
    return script


def switch() -> Script:
    """Another rung plays from a segment on; its assets come ahead, its frames have another size."""
    script = Script(draw(rungs=(2, 4)))
    script.join()
    script.bring_segment(0)
    script.play(0, 4)
    script.say(type="switch", rung=1, frame=8)
    script.bring_segment(1, rung=1)
    script.play(4, 8)
    script.identify(8, 8, rung=1)
    script.play(8, 16, rung=1, sei=False)
    script.say(type="switch", rung=0, frame=16)
    script.bring_segment(2, rung=0)
    script.identify(16, 16, rung=0)
    script.play(16, 20, rung=0, sei=False)
    return script


def second_rung() -> Script:
    """The stream begins with the second rung; a frame without a name is of its size's rung."""
    script = Script(draw(rungs=(2, 4)))
    script.join(rung=1)
    script.bring_segment(0, rung=1)
    script.show(0, 0, rung=1)
    script.show(0, 0, rung=0)
    script.identify(0, 0, rung=1)
    script.show(0, 0, rung=1)
    script.show(1, 1, rung=1)
    return script


def loop() -> Script:
    """After the last frame comes the first; what it needs is asked for ahead."""
    script = Script(loops=1)
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, FRAMES)
    script.identify(0, FRAMES)
    script.play(0, 9, offset=FRAMES, sei=False)
    script.identify(8, 8 + FRAMES)
    script.play(9, 12, offset=FRAMES, sei=False)
    return script


def wrap() -> Script:
    """RTP times wrap around in the middle of a segment."""
    script = Script(begin=(1 << 32) - 5 * TICKS)
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.anchor(0, 0)
    script.play(0, 8, sei=False)
    script.anchor(8, 8)
    script.play(8, 12, sei=False)
    return script


def pieces() -> Script:
    """A plate's second piece, and a chroma, come late: the plate is shown as far as it is there."""
    script = Script()
    script.join()
    plate = script.drawn.manifest.rungs[0].plates[0]
    late = [plate[1].sha256, plate[0].chroma or ""]
    script.bring_segment(0)
    script.bring_segment(1, but=(*late,))
    script.play(8, 10)
    script.bring(late[0])
    script.play(10, 12)
    script.bring(late[1])
    script.play(12, 14)
    return script


def canvas() -> Script:
    """A canvas without its motion, then with it: every frame has a view of its own."""
    script = Script()
    script.join()
    segment = script.drawn.manifest.rungs[0].segments[2]
    motion = "" if segment.motion is None else segment.motion.sha256
    script.bring_segment(2, but=(motion,))
    script.identify(16, 16)
    script.play(16, 18, sei=False)
    script.bring(motion)
    script.play(18, FRAMES, sei=False)
    return script


def wrong_size() -> Script:
    """A frame of a size that no rung has is refused, and changes nothing that follows."""
    script = Script()
    script.join()
    script.bring_segment(0)
    script.play(0, 2)
    script.add("frame", rtp=script.rtp(2), width=32, height=16, bytes=frame(2, 32, 16))
    script.play(3, 5)
    return script


def lost_frames() -> Script:
    """A frame is lost: the next does not look back. An IDR is lost: its segment is not known."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, 3)
    script.play(4, 8)
    script.play(9, 12)
    script.identify(12, 12)
    script.play(12, 18)
    return script


def interpolated() -> Script:
    """The app asks for no networks now and then."""
    script = Script()
    script.join()
    script.bring_segment(0)
    script.identify(0, 0)
    for number in range(6):
        script.show(number, flags=int(number in (2, 3)))
    return script


def split() -> Script:
    """Left of a line, all is interpolated; it moves, and leaves the frame."""
    script = Script()
    script.join()
    script.bring_segment(0)
    script.bring_segment(1)
    for number, columns in enumerate((0, 7, 12, 23, 24, 40, 7, 0, 0, 11, 1)):
        if number in STARTS:
            script.identify(number, number)
        script.show(number, columns=columns)
    return script


def seek_by_anchors() -> Script:
    """No SEI is read: an anchor that was on its way when a seek was asked for does not count."""
    script = Script()
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.anchor(0, 0)
    script.play(0, 3, sei=False)
    script.add("seek", frame=20)
    script.anchor(8, 8)
    script.show(16, 10)
    script.anchor(20, 14, kind="sought")
    script.anchor(16, 10)
    for number in range(17, FRAMES):
        script.show(number, number - 6)
    return script


def last_word() -> Script:
    """A seek ends on another rung than `sought` said: the frames on the way there know better."""
    script = Script(draw(rungs=(2, 4)))
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, 3)
    script.add("seek", frame=12)
    script.anchor(12, 14, kind="sought")
    script.say(type="switch", rung=1, frame=8)
    script.bring_segment(1, rung=1)
    for number in range(8, 11):
        script.identify(number, number + 2, rung=1)
        script.show(number, number + 2, rung=1)
    for number in range(11, 15):
        script.show(number, number + 2, rung=1)
    return script


def hostile() -> Script:
    """Nothing that is no message, piece or identity of ours does anything."""
    script = Script()
    for text in (b"", b"{", b"[]", b'{"type":"anchor"}', b'{"type":"bye","reason":"tired"}',
                 b'{"type":"anchor","rtp_time":4294967296,"rung":0,"frame":0}',
                 b'{"type":"anchor","rtp_time":1,"rung":16,"frame":0}',
                 b'{"type":"anchor","rtp_time":1,"rung":0,"frame":0,"more":1}',
                 b'{"type":"anchor","rtp_time":1.5,"rung":0,"frame":0}',
                 b'{"type":"hello","version":"1.1"}', b'{"type":"want","assets":[]}',
                 b'{"type":"manifest","version":"2.0"}', b"\xff\xfe", b'{"type":"\\ud800"}',
                 b"[" * 5000, b'{"type":"refused","what":"Seek"}'):  # fmt: skip
        script.add("message", bytes=text)
    script.join()
    script.bring_segment(0)
    name = script.drawn.manifest.rungs[0].segments[1].map.sha256
    data = script.drawn.assets[name]
    for message in (
        b"", bytes(41), b"\2" + encode_frame(AssetFrame(name, 0, len(data), data))[1:],
        encode_frame(AssetFrame("e" * 64, 0, 3, b"abc")),
        encode_frame(AssetFrame(name, 0, 2, data)),
    ):  # fmt: skip
        script.add("piece", bytes=message)
    script.say(type="switch", rung=3, frame=0)
    script.say(type="switch", rung=0, frame=FRAMES)
    other = build_payload(FrameIdentity("f" * 16, 0, 3))
    outside = build_payload(FrameIdentity(PACKAGE_ID, 0, FRAMES))
    for payload in (b"", other, outside, other[:-1]):
        script.add("identify", rtp=script.rtp(0), bytes=payload)
    script.show(0)
    script.play(0, 4)
    return script


def horizon() -> Script:
    """Half a frame a second: the third segment lies beyond the horizon until the second begins."""
    script = Script(draw(fps=(1, 2)))
    script.join()
    script.bring_segment(0)
    script.play(0, 8)
    script.bring_segment(1)
    script.play(8, 10)
    return script


def reconnected() -> Script:
    """The connection is lost in the middle of an asset; another goes on from there."""
    script = Script()
    script.join()
    plan = script.drawn.manifest.rungs[0].segments[0].experts[0]
    data = script.drawn.assets[plan]
    script.bring_segment(0, but=(plan,))
    script.add("piece", bytes=encode_frame(AssetFrame(plan, 0, len(data), data[:50])))
    script.play(0, 3)
    script.add("connected")
    script.head()
    script.show(3, 3)
    script.anchor(3, 60, kind="sought")
    script.add("piece", bytes=encode_frame(AssetFrame(plan, 50, len(data), data[50:])))
    for number in range(6):
        script.identify(number, number + 57)
        script.show(number, number + 57)
    return script


def trusting(*owners: int) -> Script:
    """An app that trusts these."""
    return Script(trust=" ".join(key_text(public_key(owner)) for owner in owners))


def signed() -> Script:
    """The second of two trusted keys signed the manifest: all is as without keys."""
    script = trusting(1, 2)
    script.signature = script.sign(2)
    script.join()
    for segment in range(3):
        script.bring_segment(segment)
    script.play(0, FRAMES)
    return script


def signed_again() -> Script:
    """Another connection announces the same manifest: it is still whose it was."""
    script = trusting(1)
    script.signature = script.sign(1)
    script.join()
    script.bring_segment(0)
    script.play(0, 3)
    script.add("connected")
    script.signature = None
    script.head()
    script.anchor(3, 60, kind="sought")
    for number in range(6):
        script.identify(number, number + 57)
        script.show(number, number + 57)
    return script


def signed_by_another() -> Script:
    """Somebody else signed it: nothing is asked for, and all is interpolated."""
    script = trusting(1, 2)
    script.signature = script.sign(3)
    return untrusted(script)


def signed_as_another() -> Script:
    """Somebody who is trusted signed another manifest."""
    script = trusting(1)
    script.signature = script.sign(1, b"{}")
    return untrusted(script)


def unsigned() -> Script:
    """Nobody signed it."""
    return untrusted(trusting(1))


def untrusted(script: Script) -> Script:
    """It plays, with seeks and numbers, and without a network."""
    script.join()
    script.play(0, 10)
    script.add("seek", frame=18)
    script.anchor(16, 18)
    script.anchor(18, 20, kind="sought")
    for number in range(16, 22):
        script.show(number, number + 2)
    return script


def early_frames() -> Script:
    """Frames of a new connection that come before its manifest are of nobody knows where."""
    script = Script()
    script.join()
    script.bring_segment(0)
    script.play(0, 3)
    script.add("connected")
    for number in range(2):
        script.show(number, number + 60)
    script.head()
    script.show(2, 62)
    script.anchor(3, 63, kind="sought")
    for number in range(3, 6):
        script.show(number, number + 60)
    return script


def _all() -> Iterator[Callable[[], Script]]:
    yield from (sei, anchors, coded, late_plan, damaged, refused, difference, shipped_base)
    yield from (seek, seek_by_numbers, seek_back, refused_seek, switch, second_rung, loop, wrap)
    yield from (pieces, canvas, wrong_size, lost_frames, interpolated, hostile, horizon)
    yield from (reconnected, signed, signed_again, signed_by_another, signed_as_another, unsigned)
    yield from (unfit, early_frames, split, seek_by_anchors, last_word)


CASES: dict[str, Callable[[], Script]] = {case.__name__: case for case in _all()}
