"""Access units go out as they are in the file, as Annex B, with their numbers."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import Package, open_package, sei
from kernels.errors import PackageError
from server.h264 import parse_avc_config, split_length_prefixed
from server.opus import OpusAudio
from server.rung_video import RungVideo
from tests.client_sdk.tiny import FPS, SEGMENTS


def nals_of(unit: bytes) -> list[bytes]:
    return list(H264Encoder._split_bitstream(unit))


@pytest.fixture(scope="module")
def video(tiny: Package) -> RungVideo:
    return RungVideo(tiny, 0)


def test_an_idr_has_parameter_sets_then_its_number_then_slices(
    video: RungVideo, tiny: Package
) -> None:
    for start in (0, SEGMENTS[0], SEGMENTS[0] + SEGMENTS[1]):
        nals = nals_of(video.unit(start, stamp=False))
        kinds = [nal[0] & 0x1F for nal in nals]
        assert kinds[:2] == [7, 8]
        numbers = [sei.parse_nal(nal) for nal in nals]
        place = numbers.index(sei.FrameIdentity(tiny.manifest.id, 0, start))
        assert place < kinds.index(5)


def test_other_frames_carry_their_number_only_when_asked(video: RungVideo) -> None:
    plain = nals_of(video.unit(5, stamp=False))
    stamped = nals_of(video.unit(5, stamp=True))
    assert [sei.parse_nal(nal) for nal in plain] == [None] * len(plain)
    assert [nal for nal in stamped if sei.parse_nal(nal) is None] == plain


def test_the_samples_decode_to_the_same_frames_as_the_file(video: RungVideo, tiny: Package) -> None:
    decoder = av.CodecContext.create("h264", "r")
    with av.open(str(tiny.video_path(0))) as container:
        for number, expected in enumerate(container.decode(video=0)):
            (frame,) = decoder.decode(av.Packet(video.unit(number, stamp=True)))
            assert np.array_equal(frame.to_ndarray(), expected.to_ndarray())


def test_a_start_that_is_no_key_frame_is_refused(tiny: Package) -> None:
    first, *rest = tiny.manifest.segments
    moved = (
        first.model_copy(update={"frames": first.frames - 1}),
        rest[0].model_copy(update={"start": rest[0].start - 1, "frames": rest[0].frames + 1}),
        *rest[1:],
    )
    manifest = tiny.manifest.model_copy(update={"segments": moved})
    package = Package(tiny.path, manifest, tiny.manifest_bytes, tiny.places)
    with pytest.raises(PackageError, match="no key frame"):
        RungVideo(package, 0)


def test_a_file_that_is_no_video_is_refused(tiny_copy: Path) -> None:
    package = open_package(tiny_copy)
    package.video_path(0).write_bytes(b"nothing")
    with pytest.raises(PackageError, match=r"lr\.mp4"):
        RungVideo(package, 0)


@given(st.binary(max_size=60))
def test_any_bytes_as_configuration_or_sample_are_safe(data: bytes) -> None:
    with suppress(ValueError):
        config = parse_avc_config(data)
        assert 1 <= config.length_size <= 4
        assert all(nal in data for nal in config.parameter_sets)
    with suppress(ValueError):
        units = list(split_length_prefixed(data, 4))
        assert b"".join(len(unit).to_bytes(4, "big") + unit for unit in units) == data


def test_the_sound_is_opus_in_steps_of_20_ms(tiny: Package) -> None:
    assert tiny.audio_path is not None
    audio = OpusAudio.open(tiny.audio_path)
    steps = {b - a for a, b in zip(audio.times, audio.times[1:], strict=False)}
    assert steps == {960}
    assert audio.times[-1] / 48_000 >= sum(SEGMENTS) / FPS - 0.04


def test_a_video_is_not_sound(tiny: Package) -> None:
    with pytest.raises(PackageError):
        OpusAudio.open(tiny.video_path(0))


def test_a_nal_unit_with_a_start_code_inside_is_refused() -> None:
    """In Annex B it would be several, and aiortc's packetiser trips over an empty one."""
    for nal in (b"\x65\x00\x00\x01", b"\x65\x01\x00\x00\x01\x00\x00\x01\x41"):
        sample = len(nal).to_bytes(4, "big") + nal
        with pytest.raises(ValueError, match="start code"):
            list(split_length_prefixed(sample, 4))
