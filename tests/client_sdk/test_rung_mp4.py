"""A rung's pictures are as large as its manifest says, or are not decoded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from client_sdk.contract.rung_mp4 import open_rung
from tests.client_sdk.tiny import OPTIONS

ENCODERS = {"h264": "libx264", "av1": "libsvtav1"}
SMALL, LARGE = (64, 64), (640, 480)
RATE = Fraction(25)


def pictures(codec: str, size: tuple[int, int], begin: int, count: int = 2) -> list[av.Packet]:
    """Coded grey, each picture a key frame that has its headers with it."""
    options = dict(OPTIONS[codec])
    if codec == "h264":
        options["x264-params"] += ":repeat-headers=1"
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", 1 / RATE, RATE
    encoder.options = options
    packets = []
    for number in range(begin, begin + count):
        frame = av.VideoFrame(*size, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = number, 1 / RATE
        packets += encoder.encode(frame)
    return packets + encoder.encode(None)


def write(path: Path, codec: str, *sizes: tuple[int, int]) -> Path:
    """A video of two pictures of each size, which its head says nothing of but for the first."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(ENCODERS[codec], rate=RATE, options=dict(OPTIONS[codec]))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = sizes[0]
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
        for index, size in enumerate(sizes):
            for packet in pictures(codec, size, 2 * index):
                packet.stream = stream
                container.mux(packet)
    return path


@pytest.mark.parametrize("codec", ENCODERS)
def test_pictures_of_the_size_that_is_said_are_decoded(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.mp4", codec, SMALL)
    for size in (SMALL, None):
        with open_rung(path, size) as (container, stream):
            assert [(f.width, f.height) for f in container.decode(stream)] == [SMALL] * 2


@pytest.mark.parametrize("codec", ENCODERS)
def test_another_size_is_refused_before_a_picture_is_decoded(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.mp4", codec, LARGE)
    told = "its pictures are 640 x 480 pixels, and 64 x 64 by the manifest"
    with pytest.raises(ValueError, match=told), open_rung(path, SMALL):
        pass


@pytest.mark.parametrize("codec", ENCODERS)
def test_pictures_that_grow_on_their_way_are_not_decoded(tmp_path: Path, codec: str) -> None:
    path = write(tmp_path / "a.mp4", codec, SMALL, LARGE)
    with open_rung(path, None) as (container, stream):
        sizes = [(f.width, f.height) for f in container.decode(stream)]
    assert sizes == [SMALL] * 2 + [LARGE] * 2
    seen = []
    with open_rung(path, SMALL) as (container, stream), pytest.raises(av.FFmpegError):
        seen += [(f.width, f.height) for f in container.decode(stream)]
    assert set(seen) <= {SMALL}


def changed(data: bytes, kind: bytes, at: int, new: bytes) -> bytes:
    """The file with other bytes at this place behind the name of its box of that kind."""
    place = data.index(kind) + len(kind) + at
    return data[:place] + new + data[place + len(new) :]


@pytest.mark.parametrize(
    ("kind", "at", "new", "says"),
    [
        (b"stsz", 4, bytes([0, 0, 0, 99, 2, 0, 0, 0]), "its table says 33554432 samples"),
        (b"stsz", 8, bytes([0, 0, 1, 0]), "its table says 256 samples"),
        (b"stsz", -4, b"stz2", "not understood"),
        (b"mdat", -4, b"moof", "fragments"),
        (b"moov", -8, bytes([0, 9, 9, 9]), "do not fit"),
    ],
)
def test_tables_of_more_than_a_file_can_hold_are_not_believed(
    tmp_path: Path, kind: bytes, at: int, new: bytes, says: str
) -> None:
    path = write(tmp_path / "a.mp4", "h264", SMALL)
    path.write_bytes(changed(path.read_bytes(), kind, at, new))
    with pytest.raises(ValueError, match=says), open_rung(path, SMALL):
        pass
