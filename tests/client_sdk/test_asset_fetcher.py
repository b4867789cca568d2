"""The fetcher asks for what is missing, once, by deadline, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client_sdk.asset_fetcher import AssetFetcher
from client_sdk.cache import AssetCache
from client_sdk.contract import Package
from client_sdk.contract.asset_frames import AssetFrame, decode_frame, frames_of
from client_sdk.contract.control import Want
from kernels.errors import StreamError


def hashes(wants: list[Want]) -> list[str]:
    return [wanted.sha256 for want in wants for wanted in want.assets]


def frames(tiny: Package, sha256: str, offset: int = 0) -> Iterator[AssetFrame]:
    for message in frames_of(sha256, tiny.asset(sha256), offset):
        yield decode_frame(message)


def test_everything_is_asked_for_once_first_segments_first(tiny: Package) -> None:
    fetcher = AssetFetcher(tiny.manifest, AssetCache())
    wants, cached = fetcher.advance(0, 0)
    assert cached == []
    assert hashes(wants) == list(tiny.manifest.size_of(0))
    assert fetcher.advance(0, 1) == ([], [])


def test_what_the_cache_has_is_not_asked_for(tiny: Package) -> None:
    cache = AssetCache()
    first, *rest = tiny.manifest.size_of(0)
    cache.put(first, tiny.asset(first))
    wants, cached = AssetFetcher(tiny.manifest, cache).advance(0, 0)
    assert hashes(wants) == rest
    assert [arrival.sha256 for arrival in cached] == [first]


def test_a_segment_is_there_once_all_of_its_assets_are(tiny: Package) -> None:
    fetcher = AssetFetcher(tiny.manifest, AssetCache())
    fetcher.advance(0, 0)
    assets = tiny.manifest.rungs[0].assets_of(0)
    for sha256 in assets:
        assert not fetcher.has(0, 0)
        for frame in frames(tiny, sha256):
            arrival, again = fetcher.arrived(frame)
        assert arrival is not None
        assert again == []
    assert fetcher.has(0, 0)
    assert not fetcher.has(0, 1)


def test_a_damaged_asset_is_asked_for_once_more_and_no_oftener(tiny: Package) -> None:
    fetcher = AssetFetcher(tiny.manifest, AssetCache())
    fetcher.advance(0, 0)
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    size = len(tiny.asset(sha256))
    bad = AssetFrame(sha256, 0, size, bytes(size))
    arrival, again = fetcher.arrived(bad)
    assert arrival is None
    assert hashes(again) == [sha256]
    with pytest.raises(StreamError, match="damaged"):
        fetcher.arrived(bad)


def test_after_a_reconnect_it_goes_on_at_the_offset(tiny: Package) -> None:
    fetcher = AssetFetcher(tiny.manifest, AssetCache())
    fetcher.advance(0, 0)
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    data = tiny.asset(sha256)
    fetcher.arrived(AssetFrame(sha256, 0, len(data), data[:100]))
    offsets = {w.sha256: w.offset for want in fetcher.resume() for w in want.assets}
    assert offsets[sha256] == 100
    arrival, _ = fetcher.arrived(next(frames(tiny, sha256, 100)))
    assert arrival is not None
    assert arrival.data == data


def test_an_asset_that_was_not_asked_for_is_refused(tiny: Package) -> None:
    fetcher = AssetFetcher(tiny.manifest, AssetCache())
    with pytest.raises(StreamError, match="not asked for"):
        fetcher.arrived(AssetFrame("0" * 64, 0, 5, b"hello"))
