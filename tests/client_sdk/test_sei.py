"""The frame-number SEI survives any content, and FFmpeg's decoder hands it through."""

from __future__ import annotations

from pathlib import Path

import av
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import Package, sei
from client_sdk.receiving import identity_of
from server.rung_video import RungVideo

identities = st.builds(
    sei.FrameIdentity,
    st.binary(min_size=8, max_size=8).map(bytes.hex),
    st.integers(0, 255),
    st.integers(0, 0xFFFF_FFFF),
)


@given(identities)
def test_an_identity_survives_the_round_trip(identity: sei.FrameIdentity) -> None:
    assert sei.parse_nal(sei.build_nal(identity)) == identity


@given(identities)
def test_the_nal_unit_holds_no_start_code_and_ends_in_no_zero(identity: sei.FrameIdentity) -> None:
    nal = sei.build_nal(identity)
    for forbidden in (b"\0\0\0", b"\0\0\1", b"\0\0\2"):
        assert forbidden not in nal
    assert nal[-1] != 0


@given(st.binary(max_size=80))
def test_emulation_prevention_is_undone(data: bytes) -> None:
    assert sei.remove_emulation_prevention(sei.add_emulation_prevention(data)) == data


@given(st.binary(max_size=80))
def test_any_bytes_are_safe(data: bytes) -> None:
    for identity in (sei.parse_nal(data), sei.parse_nal(b"\x06" + data), sei.parse_payload(data)):
        assert identity is None or sei.parse_nal(sei.build_nal(identity)) == identity


def test_another_programs_sei_is_not_ours() -> None:
    assert sei.parse_payload(bytes(sei.PAYLOAD_BYTES)) is None


def test_a_decoder_hands_every_identity_through(tiny: Package, tiny_path: Path) -> None:
    video = RungVideo(tiny, 0)
    decoder = av.CodecContext.create("h264", "r")
    seen = []
    for number in range(tiny.manifest.source.frames):
        for frame in decoder.decode(av.Packet(video.unit(number, stamp=True))):
            seen.append(identity_of(frame))
    video.close()
    package = tiny.manifest.id
    assert seen == [sei.FrameIdentity(package, 0, n) for n in range(tiny.manifest.source.frames)]
