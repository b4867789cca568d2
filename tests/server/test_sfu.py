"""One to many: a package published to a real SFU, and viewers who take the media from there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client_sdk import session as client
from client_sdk.contract import open_package
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.session import Session
from server import publishing
from server.media import PackageMedia
from server.publishing import Publisher, PublishOptions
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.server import janus
from tests.server.janus import Bridge, bridged
from tests.server.serving import serving
from tests.server.test_play import offline
from tests.server.test_playback_control import Shown, frames_of

FRAMES = sum(SEGMENTS)
PATIENCE = 40.0
pytestmark = pytest.mark.skipif(janus.JANUS is None, reason="needs an SFU: apt-get install janus")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


@contextlib.asynccontextmanager
async def published(path: Path, to: str, token: str | None = None) -> AsyncIterator[Publisher]:
    """The package, published from when media flows until the block ends."""
    media = PackageMedia.open(open_package(path))
    publisher = Publisher(media, PublishOptions(to, token=token))
    running = asyncio.create_task(publisher.run())
    starting = asyncio.create_task(publisher.started.wait())
    try:
        await asyncio.wait({running, starting}, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), running.exception()
        yield publisher
    finally:
        starting.cancel()
        publisher.stop()
        await running
        media.close()


@contextlib.asynccontextmanager
async def sfu(folder: Path, token: str | None = None) -> AsyncIterator[Bridge]:
    async with janus.running(folder) as running, bridged(running, token) as bridge:
        yield bridge


class Viewer:
    """One who takes the media from the SFU and the rest from an origin, into a file."""

    def __init__(self, package: str, media: str, out: Path, shown: Shown) -> None:
        self.session = Session(package, PlayOptions(media=media, out=out))
        self.out, self._shown = out, shown
        self.running = asyncio.create_task(self.session.run())

    def numbers(self) -> list[int | None]:
        playback = self.session.playback
        frames = [] if playback is None else self._shown.by.get(id(playback._thread), [])
        return [number for _, number in frames]

    async def frames(self, count: int) -> None:
        """Wait until so many were put out."""
        done = asyncio.ensure_future(self._shown.until(lambda: len(self.numbers()) >= count))
        await asyncio.wait({done, self.running}, return_when=asyncio.FIRST_COMPLETED)
        assert done.done(), self.running.exception()
        await done

    async def stop(self) -> PlayStats:
        self.session.stop()
        return await self.running


def follows(numbers: list[int | None]) -> bool:
    """Whether all are known and each is the one after the one before, in a loop."""
    first = numbers[0]
    return first is not None and numbers == [(first + n) % FRAMES for n in range(len(numbers))]


def test_viewers_of_an_sfu_see_what_a_direct_play_makes(
    either_path: Path, tmp_path: Path, shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    package = open_package(either_path)
    right = frames_of(offline(package, tmp_path / "right.y4m"))
    plain = frames_of(offline(package, tmp_path / "plain.y4m", sr=False))
    foreign = write_tiny(tmp_path, name="foreign")

    async def run() -> list[tuple[Viewer, list[int | None], PlayStats]]:
        async with (
            asyncio.timeout(PATIENCE),
            sfu(tmp_path, token="let-us-in") as bridge,
            serving(either_path) as origin,
            serving(foreign) as elsewhere,
            published(either_path, f"{bridge.url}/tiny/whip", "let-us-in") as publisher,
        ):
            media = f"{bridge.url}/tiny/whep"
            early = Viewer(f"{origin.url}/packages/tiny", media, tmp_path / "early.y4m", shown)
            await early.frames(FRAMES)
            late = Viewer(f"{origin.url}/packages/tiny", media, tmp_path / "late.y4m", shown)
            lost = Viewer(f"{elsewhere.url}/packages/foreign", media, tmp_path / "lost.y4m", shown)
            await asyncio.gather(late.frames(2 * FRAMES), lost.frames(FRAMES // 2))
            viewers = [(v, v.numbers(), await v.stop()) for v in (early, late, lost)]
            # Nobody but the SFU is sent anything.
            assert origin.viewers.count == 0
            assert publisher.stats().reconnects == 0
            assert len(bridge.feeds) == 1
        assert not bridge.sessions, "who leaves says so"
        return viewers

    (early, late, (lost, unknown, stats)) = asyncio.run(run())
    for viewer, numbers, told in (early, late):
        assert numbers[0] in (0, SEGMENTS[0], SEGMENTS[0] + SEGMENTS[1]), (
            "who joins begins at an IDR"
        )
        assert follows(numbers)
        frames = frames_of(viewer.out.read_bytes())[: len(numbers)]
        made = [frame == right[n or 0] for n, frame in zip(numbers, frames, strict=True)]
        # What plays before its plans are here is interpolated; in the second round all are, and
        # every frame is what was measured.
        assert len(made) >= 2 * FRAMES
        assert all(made[FRAMES:])
        assert told.frames_sr > FRAMES
        assert (told.frames_lost, told.wrong_assets, told.reconnects) == (0, 0, 0)
        assert told.plan_bytes == told.http_bytes == sum(package.manifest.size_of(0).values())
    assert set(unknown) == {None}
    assert set(frames_of(lost.out.read_bytes())) <= set(plain)
    assert stats.frames_sr == 0
    assert f"the SFU plays package {package.manifest.id}" in caplog.text


def test_an_sfu_that_dies_is_found_again_by_publisher_and_viewers(
    tiny_path: Path, tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENCE", 1.0)
    monkeypatch.setattr(publishing, "SILENCE", 3.0)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()

    async def run() -> tuple[PlayStats, int]:
        async with (
            asyncio.timeout(PATIENCE),
            sfu(tmp_path / "first") as bridge,
            serving(tiny_path) as origin,
            published(tiny_path, f"{bridge.url}/tiny/whip") as publisher,
        ):
            viewer = Viewer(
                f"{origin.url}/packages/tiny",
                f"{bridge.url}/tiny/whep",
                tmp_path / "out.y4m",
                shown,
            )
            await viewer.frames(FRAMES // 2)
            # One that never said how it goes is not missed by its silence, but by ICE: in 30 s.
            while publisher.stats().round_trip is None:
                await asyncio.sleep(0.01)
            bridge.janus.process.kill()
            await bridge.janus.process.wait()
            async with janus.running(tmp_path / "second") as second:
                bridge.restarted(second)
                before = len(viewer.numbers())
                await viewer.frames(before + 2 * FRAMES)
                stats = await viewer.stop()
                again = publisher.stats().reconnects
                publisher.stop()
            return stats, again

    stats, again = asyncio.run(run())
    assert stats.reconnects >= 1
    assert again == 1
    assert stats.frames_sr > 2 * FRAMES
