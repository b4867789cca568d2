"""AV1's units survive any content, and decoders pass over the one that names a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import obu, open_package
from client_sdk.contract.obu import Obu
from client_sdk.contract.sei import FrameIdentity
from server.rung_video import RungVideo
from tests.client_sdk.test_sei import identities

units = st.builds(
    Obu,
    st.sampled_from([b"\x08", b"\x28", b"\x30", b"\x34\x20", b"\x78"]),
    st.binary(max_size=300),
)


@given(st.lists(units, max_size=6))
def test_units_survive_the_round_trip(made: list[Obu]) -> None:
    assert list(obu.split(b"".join(unit.sized for unit in made))) == made
    assert [obu.parse_bare(unit.bare) for unit in made] == made


@given(st.integers(0, 2**50))
def test_a_leb128_survives_the_round_trip(value: int) -> None:
    data = obu.leb128(value)
    assert obu.read_leb128(b"?" + data + b"?", 1) == (value, 1 + len(data))


@given(identities)
def test_an_identity_survives_the_round_trip(identity: FrameIdentity) -> None:
    made = obu.build_identity(identity)
    assert obu.parse_identity(obu.parse_bare(made.sized)) == identity


@given(st.binary(max_size=80))
def test_any_bytes_are_safe(data: bytes) -> None:
    try:
        found = list(obu.split(data))
    except ValueError:
        return
    assert b"".join(unit.payload for unit in found) in data or len(found) > 1
    assert all(obu.parse_identity(unit) is None for unit in found)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x31", b"\x34", b"\x32\x05abc", b"\x32\xff"])
def test_a_damaged_unit_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        obu.parse_bare(data)


def test_decoders_pass_over_it(tiny_av1_path: Path) -> None:
    package = open_package(tiny_av1_path)
    video = RungVideo(package, 0)
    decoder: Any = av.CodecContext.create("libdav1d", "r")
    decoder.thread_count = 1
    with av.open(str(package.video_path(0))) as container:
        for number, expected in enumerate(container.decode(video=0)):
            (frame,) = decoder.decode(av.Packet(video.unit(number, stamp=True)))
            assert isinstance(frame, av.VideoFrame)
            assert np.array_equal(frame.to_ndarray(), expected.to_ndarray())
    video.close()
