"""Assets go by deadline, within the channel's means, and only where they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from client_sdk.contract import Package, open_package
from client_sdk.contract.asset_frames import Assembler, AssetFrame, decode_frame
from client_sdk.contract.control import Want, Wanted
from server.delivery import Delivery
from tests.client_sdk.tiny import add_chroma


class PretendChannel:
    """An RTCDataChannel that keeps what it is given until `drain`."""

    def __init__(self) -> None:
        self.bufferedAmountLowThreshold = 0
        self.bufferedAmount = 0
        self.readyState = "open"
        self.sent: list[AssetFrame] = []
        self._low: Callable[[], None] = lambda: None

    def send(self, data: bytes) -> None:
        self.bufferedAmount += len(data)
        self.sent.append(decode_frame(data))

    def on(self, event: str, listener: Callable[[], None]) -> None:
        assert event == "bufferedamountlow"
        self._low = listener

    def drain(self) -> None:
        self.bufferedAmount = 0
        self._low()

    def order(self) -> list[str]:
        return list(dict.fromkeys(frame.sha256 for frame in self.sent))


def start(
    package: Package, segment: int = 0, high_water: int = 1 << 20
) -> tuple[PretendChannel, Delivery]:
    channel = PretendChannel()
    delivery = Delivery(
        channel, package, lambda: (0, segment), high_water=high_water, low_water=100
    )
    return channel, delivery


def want(*hashes: str, offset: int = 0) -> Want:
    return Want(assets=tuple(Wanted(sha256=sha256, offset=offset) for sha256 in hashes))


def test_what_plays_first_goes_first_whatever_the_order_of_asking(tiny: Package) -> None:
    channel, delivery = start(tiny, high_water=1)
    delivery.want(want(*reversed(tiny.manifest.size_of(0))))
    while not delivery.idle:
        channel.drain()
    rung = tiny.manifest.rungs[0]
    deadlines = [
        next(index for index in range(len(rung.segments)) if sha256 in rung.assets_of(index))
        for sha256 in channel.order()
    ]
    assert deadlines == sorted(deadlines)
    assert len(deadlines) == len(tiny.manifest.size_of(0))
    kinds = [tiny.places[sha256].kind for sha256 in channel.order()]
    assert [kinds[deadlines.index(index)] for index in range(len(rung.segments))] == ["map"] * 3


def test_the_chroma_of_a_plate_waits_for_what_networks_need(tiny_copy: Path) -> None:
    chroma = add_chroma(tiny_copy)
    package = open_package(tiny_copy)
    channel, delivery = start(package, segment=1, high_water=1)
    wanted = package.manifest.rungs[0].assets_of(1)
    delivery.want(want(*reversed(wanted)))
    while not delivery.idle:
        channel.drain()
    assert len(wanted) == len(channel.order()) > 3
    assert channel.order()[-1] == chroma


def test_after_a_seek_the_new_place_comes_first(tiny: Package) -> None:
    channel, delivery = start(tiny, segment=2)
    delivery.want(want(*tiny.manifest.size_of(0)))
    last = tiny.manifest.rungs[0].assets_of(2)
    assert set(channel.order()[: len(last)]) == set(last)


def test_a_full_channel_is_waited_for(tiny: Package) -> None:
    channel, delivery = start(tiny, high_water=1)
    delivery.want(want(*tiny.manifest.size_of(0)))
    assert len(channel.sent) == 1
    channel.drain()
    assert len(channel.sent) == 2
    assert channel.bufferedAmountLowThreshold == 100


def test_an_asset_goes_on_at_the_offset_asked_for(tiny: Package) -> None:
    channel, delivery = start(tiny)
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    delivery.want(want(sha256, offset=50))
    assert channel.sent[0].offset == 50
    assert channel.sent[0].data == tiny.asset(sha256)[50:]


def test_what_the_package_lacks_is_passed_over(tiny: Package) -> None:
    channel, delivery = start(tiny)
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    delivery.want(want("0" * 64, sha256))
    delivery.want(want(sha256, offset=1 << 30))
    assert channel.order() == [sha256]


def test_a_file_that_went_bad_is_not_sent_and_holds_nothing_up(tiny_copy: Path) -> None:
    package = open_package(tiny_copy)
    first, second = package.manifest.rungs[0].segments[0].experts
    package.places[first].path.write_bytes(b"x" * package.places[first].bytes)
    channel, delivery = start(package)
    delivery.want(want(first, second))
    assert channel.order() == [second]


def test_a_closed_channel_is_left_alone(tiny: Package) -> None:
    channel, delivery = start(tiny)
    channel.readyState = "closed"
    delivery.want(want(*tiny.manifest.size_of(0)))
    assert channel.sent == []


def test_a_pace_is_kept_by_pictures_and_passed_by_what_is_small(
    tiny: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.delivery._PIECE", 128)  # the plate is small too
    sizes = tiny.manifest.size_of(0)
    (plate,) = (sha256 for sha256 in sizes if tiny.places[sha256].kind == "plate")

    async def run() -> tuple[PretendChannel, Delivery, float]:
        loop = asyncio.get_running_loop()
        channel, delivery = start(tiny)
        delivery.pace(sizes[plate] / 2)  # two seconds
        begun = loop.time()
        delivery.want(want(plate))
        assert delivery.sent_bytes < sizes[plate] / 2
        delivery.want(want(*(sizes.keys() - {plate})))  # while the plate is under way
        assert {frame.sha256 for frame in channel.sent} == sizes.keys()
        while sum(len(f.data) for f in channel.sent if f.sha256 == plate) < sizes[plate] / 2:
            await asyncio.sleep(0.01)
        spent = loop.time() - begun
        delivery.pace(None)
        return channel, delivery, spent

    channel, delivery, spent = asyncio.run(run())
    assert delivery.idle
    assert spent > 0.3
    first = next(frame for frame in channel.sent if frame.sha256 == plate)
    assert len(first.data) == 128
    assembler = Assembler()
    for sha256, size in sizes.items():
        assembler.expect(sha256, size)
    whole = [frame.sha256 for frame in channel.sent if assembler.add(frame) is not None]
    assert sorted(whole) == sorted(sizes)
