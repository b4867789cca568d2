"""Assets go by deadline, within the channel's means, and only where they were asked for."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from client_sdk.contract import Package, open_package
from client_sdk.contract.asset_frames import Assembler, AssetFrame, decode_frame
from client_sdk.contract.control import Want, Wanted
from kernels.errors import PackageError
from server.asset_store import AssetStore
from server.delivery import AGAIN, Delivery
from server.wanted import WantedAssets
from tests.client_sdk.tiny import add_chroma
from tests.server.test_limits import Clock


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
    package: Package,
    segment: int = 0,
    high_water: int = 1 << 20,
    clock: Callable[[], float] = Clock(),  # noqa: B008 - one that stands still
) -> tuple[PretendChannel, Delivery]:
    """What is whole is at hand."""
    assets = AssetStore(1 << 20)

    async def read() -> None:
        for sha256 in package.places:
            with contextlib.suppress(PackageError):
                await assets.get(package, sha256)

    asyncio.run(read())
    return begin(package, assets, segment, high_water, clock)


def begin(
    package: Package,
    assets: AssetStore,
    segment: int = 0,
    high_water: int = 1 << 20,
    clock: Callable[[], float] = Clock(),  # noqa: B008 - one that stands still
) -> tuple[PretendChannel, Delivery]:
    channel = PretendChannel()
    delivery = Delivery(
        channel,
        package,
        assets,
        lambda: (0, segment),
        high_water=high_water,
        low_water=100,
        clock=clock,
    )
    return channel, delivery


def drain_all(channel: PretendChannel, delivery: Delivery) -> None:
    while not delivery.idle:
        channel.drain()


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

    async def run() -> list[str]:
        channel, delivery = begin(package, AssetStore(1 << 20))
        delivery.want(want(first, second))
        while not delivery.idle:
            await asyncio.sleep(0)
        return channel.order()

    assert asyncio.run(run()) == [second]


def test_what_ends_of_assets_are_asked_for_is_read_once_and_in_another_thread(
    tiny: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, read = tiny.manifest.size_of(0), Counter[str]()
    asset, here = Package.asset, threading.get_ident()

    def slow(package: Package, sha256: str) -> bytes:
        assert threading.get_ident() != here
        read[sha256] += 1
        return asset(package, sha256)

    monkeypatch.setattr(Package, "asset", slow)
    ends = Want(assets=tuple(Wanted(sha256=k, offset=size - 1) for k, size in sizes.items()))

    async def run() -> list[AssetFrame]:
        assets = AssetStore(sum(sizes.values()))
        viewers = [begin(tiny, assets) for _ in range(3)]
        for _ in range(20):
            for channel, delivery in viewers:
                delivery.want(ends)
                channel.drain()
                while not delivery.idle:
                    await asyncio.sleep(0)
        return [frame for channel, _ in viewers for frame in channel.sent]

    sent = asyncio.run(run())
    assert read == dict.fromkeys(sizes, 1)
    assert len(sent) == 60 * len(sizes)
    assert all(frame.data == asset(tiny, frame.sha256)[-1:] for frame in sent)


def test_a_viewer_that_waits_for_a_read_keeps_nobody_waiting(
    tiny: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung, asset, gate = tiny.manifest.rungs[0], Package.asset, threading.Event()
    slow, quick = rung.segments[0].map.sha256, rung.segments[1].map.sha256

    def read(package: Package, sha256: str) -> bytes:
        assert sha256 != slow or gate.wait(20)
        return asset(package, sha256)

    monkeypatch.setattr(Package, "asset", read)

    async def run() -> None:
        assets = AssetStore(1 << 20)
        first, second = begin(tiny, assets), begin(tiny, assets)
        first[1].want(want(slow))
        second[1].want(want(quick))
        while not second[1].idle:
            await asyncio.sleep(0)
        assert first[0].sent == []
        first[1].close()
        third = begin(tiny, assets)
        third[1].want(want(slow))  # the read that is under way is for all
        gate.set()
        while not third[1].idle:
            await asyncio.sleep(0)
        assert first[0].sent == []
        assert third[0].order() == [slow]

    asyncio.run(run())


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The assets whose place in the queue was looked up."""
    asked: list[str] = []
    place = WantedAssets._place

    def counting(wanted: WantedAssets, sha256: str, *position: int) -> tuple[int, int, str]:
        asked.append(sha256)
        return place(wanted, sha256, *position)

    monkeypatch.setattr(WantedAssets, "_place", counting)
    return asked


def test_many_wanted_assets_are_sorted_once(tiny: Package, looked_up: list[str]) -> None:
    channel, delivery = start(tiny)
    sizes = tiny.manifest.size_of(0)
    delivery.want(want(*sizes))
    assert set(Counter(looked_up).values()) == {2}  # to come and to go
    assert len(channel.order()) == len(sizes) > 5


def test_one_more_wish_sorts_nothing_anew(tiny: Package, looked_up: list[str]) -> None:
    channel, delivery = start(tiny, high_water=1)
    first, *others, last = tiny.manifest.size_of(0)
    delivery.want(want(*others))
    looked_up.clear()
    for sha256 in [*others, last, first]:
        delivery.want(want(sha256))
    assert set(looked_up) <= {channel.order()[0], first, last}
    channel.drain()
    assert len(looked_up) <= 4


def test_wishes_that_come_and_go_leave_the_others_in_order(tiny: Package) -> None:
    position = [0, 0]
    names = list(tiny.manifest.size_of(0))
    wanted = WantedAssets(tiny, lambda: (position[0], position[1]))
    draw, kept = random.Random(7), set[str]()
    for step in range(500):
        position[1] = step // 100 % 3
        sha256 = draw.choice(names)
        if sha256 in kept and draw.random() < 0.5:
            assert wanted.take(sha256) == len(sha256)
            kept.remove(sha256)
        else:
            wanted.add(sha256, len(sha256))
            kept.add(sha256)
        anew = WantedAssets(tiny, lambda: (position[0], position[1]))
        for each in sorted(kept):
            anew.add(each, 0)
        for small in (False, True):
            assert wanted.soonest(small_only=small) == anew.soonest(small_only=small)
        assert len(wanted) == len(kept)


@pytest.mark.parametrize("high_water", [1, 1 << 20])
def test_a_package_goes_to_a_viewer_a_few_times_and_then_as_often_as_it_plays(
    tiny: Package, high_water: int
) -> None:
    clock = Clock()
    channel, delivery = start(tiny, high_water=high_water, clock=clock)
    held = sum(place.bytes for place in tiny.places.values())
    for _ in range(100):
        for sha256 in tiny.places:
            delivery.want(want(sha256))
            channel.drain()
    largest = max(place.bytes for place in tiny.places.values())
    brought = sum(len(frame.data) for frame in channel.sent)
    assert held <= brought <= AGAIN * held
    if high_water > 1:
        assert brought >= AGAIN * held - largest
    drain_all(channel, delivery)
    channel.sent.clear()
    clock.now += float(tiny.manifest.source.frames / tiny.manifest.source.rate)
    delivery.want(want(*tiny.places))
    drain_all(channel, delivery)
    assert set(channel.order()) == set(tiny.places)


def test_the_store_keeps_what_was_used_lately_up_to_its_limit(tiny: Package) -> None:
    async def run() -> None:
        a, b, c = list(tiny.manifest.size_of(0))[:3]
        sizes = {sha256: tiny.places[sha256].bytes for sha256 in (a, b, c)}
        assets = AssetStore(sum(sizes.values()) - 1)
        for sha256 in (a, b, a, c):
            assert await assets.get(tiny, sha256) == tiny.asset(sha256)
        assert assets.ready(b) is None
        assert assets.ready(a) == tiny.asset(a)
        assert assets.ready(c) == tiny.asset(c)
        none = AssetStore(0)
        assert await none.get(tiny, a) == tiny.asset(a)
        assert none.ready(a) is None

    asyncio.run(run())


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

    channel, delivery = start(tiny)

    async def run() -> float:
        loop = asyncio.get_running_loop()
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
        return spent

    spent = asyncio.run(run())
    assert delivery.idle
    assert spent > 0.3
    first = next(frame for frame in channel.sent if frame.sha256 == plate)
    assert len(first.data) == 128
    assembler = Assembler()
    for sha256, size in sizes.items():
        assembler.expect(sha256, size)
    whole = [frame.sha256 for frame in channel.sent if assembler.add(frame) is not None]
    assert sorted(whole) == sorted(sizes)
