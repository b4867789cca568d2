"""aiortc sends and decodes AV1; after a loss there is no picture until the next key frame."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from aiortc import RTCRtpReceiver
from aiortc.codecs import CODECS
from aiortc.jitterbuffer import JitterFrame

from client_sdk.contract import open_package
from client_sdk.contract.av1_codec import Av1Decoder, keep_apart, register, split_apart
from client_sdk.contract.av1_rtp import packetize
from client_sdk.contract.sei import FrameIdentity
from client_sdk.receiving import identity_of
from server.rung_video import RungVideo
from tests.client_sdk.tiny import SEGMENTS

FIRST, SECOND = SEGMENTS[:2]
TICKS = 3600  # of 90 kHz, from frame to frame


@pytest.fixture
def video(tiny_av1_path: Path) -> RungVideo:
    return RungVideo(open_package(tiny_av1_path), 0)


def coded(video: RungVideo, number: int, *, stamp: bool = False, late: int = 0) -> JitterFrame:
    payloads = packetize(video.unit(number, stamp))
    return JitterFrame(b"".join(map(keep_apart, payloads)), number * TICKS + late)


def test_every_picture_comes_at_once_and_key_frames_say_which_they_are(video: RungVideo) -> None:
    decoder = Av1Decoder()
    for number in range(FIRST + 2):
        (picture,) = decoder.decode(coded(video, number))
        assert isinstance(picture, av.VideoFrame)
        assert picture.pts == number * TICKS
        identity = identity_of(picture)
        assert (identity and identity.frame) == (number if number in (0, FIRST) else None)


def test_who_joins_in_the_middle_waits_for_a_key_frame(video: RungVideo) -> None:
    decoder = Av1Decoder()
    shown = [bool(decoder.decode(coded(video, number))) for number in range(5, FIRST + 3)]
    assert shown == [False] * (FIRST - 5) + [True] * 3


def test_after_a_lost_picture_none_is_shown_to_the_next_key_frame(video: RungVideo) -> None:
    decoder = Av1Decoder()
    numbers = [number for number in range(FIRST + 2) if number != 6]
    shown = [number for number in numbers if decoder.decode(coded(video, number))]
    assert shown == [0, 1, 2, 3, 4, 5, FIRST, FIRST + 1]


def test_after_a_damaged_picture_none_is_shown_to_the_next_key_frame(video: RungVideo) -> None:
    decoder = Av1Decoder()
    shown = []
    for number in range(FIRST + 2):
        frame = coded(video, number)
        if number == 4:
            payloads = split_apart(frame.data)
            frame.data = b"".join(keep_apart(bytes([p[0] | 0x80]) + p[1:]) for p in payloads)
        if decoder.decode(frame):
            shown.append(number)
    assert shown == [0, 1, 2, 3, FIRST, FIRST + 1]


def test_a_pause_is_no_loss(video: RungVideo) -> None:
    decoder = Av1Decoder()
    shown = [bool(decoder.decode(coded(video, number))) for number in range(4)]
    for number in range(4, FIRST):  # shorter than a frame's time, then a second
        late = -TICKS // 2 if number < 8 else 90_000
        (picture,) = decoder.decode(coded(video, number, stamp=True, late=late))
        identity = identity_of(picture)  # type: ignore[arg-type]
        assert isinstance(identity, FrameIdentity)
        assert identity.frame == number
        shown.append(True)
    assert [bool(decoder.decode(coded(video, FIRST + n, late=90_000))) for n in range(4)] == [
        True
    ] * 4
    assert all(shown)


def test_an_empty_unit_shows_nothing(video: RungVideo) -> None:
    decoder = Av1Decoder()
    decoder.decode(coded(video, 0))
    unit = b"".join(map(keep_apart, video.empty(0)))
    assert decoder.decode(JitterFrame(unit, TICKS)) == []


def test_it_is_offered_once_and_first() -> None:
    register()
    register()
    offered = RTCRtpReceiver.getCapabilities("video")
    assert offered is not None
    kinds = [codec.mimeType for codec in offered.codecs]
    assert kinds[0] == "video/AV1"
    assert kinds.count("video/AV1") == 1
    numbers = [codec.payloadType for kind in CODECS.values() for codec in kind]
    assert len(numbers) == len(set(numbers))
