"""Temporal units go out as they are in the file, with their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import open_package
from client_sdk.contract.obu import Obu, build_identity, parse_identity, split
from client_sdk.contract.sei import FrameIdentity
from kernels.errors import PackageError
from server.av1 import Av1Units
from server.rung_video import RungVideo
from tests.client_sdk.tiny import SEGMENTS

HEADER, FRAME = Obu(b"\x08", b"\1\2\3"), Obu(b"\x30", b"abc")
CONFIG = b"\x81\0\0\0" + HEADER.sized
US, THEM = FrameIdentity("12" * 8, 0, 7), FrameIdentity("34" * 8, 0, 9)


@pytest.fixture(scope="module")
def video(tiny_av1_path: Path) -> RungVideo:
    return RungVideo(open_package(tiny_av1_path), 0)


def test_a_key_frame_has_its_header_then_its_number(video: RungVideo) -> None:
    for start in (0, SEGMENTS[0]):
        units = list(split(video.unit(start, stamp=False)))
        assert units[0].kind == 1
        named = parse_identity(units[1])
        assert named is not None
        assert named.frame == start


def test_other_frames_carry_their_number_only_when_asked(video: RungVideo) -> None:
    plain = list(split(video.unit(5, stamp=False)))
    stamped = list(split(video.unit(5, stamp=True)))
    assert all(parse_identity(unit) is None for unit in plain)
    assert stamped[1:] == plain


def test_a_key_frame_without_a_header_gets_the_files() -> None:
    units = Av1Units(CONFIG)
    assert list(split(units.unit(FRAME.sized, True, US))) == [HEADER, build_identity(US), FRAME]
    assert list(split(units.unit(FRAME.sized, False, None))) == [FRAME]


def test_a_header_of_its_own_counts_more_than_the_files() -> None:
    own = Obu(b"\x08", b"\4\5\6")
    made = Av1Units(CONFIG).unit(own.sized + FRAME.sized, True, None)
    assert list(split(made)) == [own, FRAME]


def test_numbers_that_the_file_brings_do_not_count() -> None:
    made = Av1Units(CONFIG).unit(build_identity(THEM).sized + FRAME.sized, False, US)
    assert list(split(made)) == [build_identity(US), FRAME]


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_kept(data: bytes) -> None:
    for make in (lambda: Av1Units(data), lambda: Av1Units(CONFIG).unit(data, True, US)):
        try:
            made = make()
        except ValueError:
            continue
        assert isinstance(made, Av1Units) or build_identity(US).sized in made


def test_a_rung_of_another_codec_than_the_manifest_says_is_refused(
    tiny_av1_path: Path, tiny_path: Path, tmp_path: Path
) -> None:
    package = open_package(tiny_av1_path)
    rung = package.manifest.rungs[0].model_copy(update={"codec": "h264"})
    manifest = package.manifest.model_copy(update={"rungs": (rung,)})
    wrong = type(package)(package.path, manifest, package.manifest_bytes, package.places)
    with pytest.raises(PackageError, match="is not h264, as the manifest says"):
        RungVideo(wrong, 0)
