"""Seeks, loops and channels over real sockets: which frames come out, and in which order."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from client_sdk.contract import open_package
from client_sdk.contract.control import Seek, encode_message
from client_sdk.core import Result
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.session import Session
from client_sdk.upscaler import Planes
from client_sdk.upscaling_thread import UpscalingThread
from kernels.errors import StreamError
from server.settings import Settings
from tests.client_sdk.tiny import FPS, SEGMENTS, write_tiny
from tests.server.serving import Served, serving
from tests.server.test_play import PATIENCE, offline

FRAMES = sum(SEGMENTS)
LAST = SEGMENTS[0] + SEGMENTS[1]  # first frame of the last segment
SEEK_MS = 500


class Shown:
    """What sessions put out, as it happens: by session, (time, frame number)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by: dict[int, list[tuple[float, int | None]]] = {}
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._then: dict[int, Callable[[], None]] = {}
        put_out = UpscalingThread._put_out

        def watched(
            thread: UpscalingThread, lr: av.VideoFrame, made: Result, hr: Planes, spent_ms: float
        ) -> None:
            put_out(thread, lr, made, hr, spent_ms)
            number = None if made.frame < 0 else made.frame
            self.by.setdefault(id(thread), []).append((time.monotonic(), number))
            self._then.pop(made.frame, lambda: None)()
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._news.set)

        monkeypatch.setattr(UpscalingThread, "_put_out", watched)

    def numbers(self) -> list[int | None]:
        """The frames of the only session."""
        (frames,) = self.by.values()
        return [number for _, number in frames]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until frames that were put out make it true."""
        self._loop = asyncio.get_running_loop()
        while not condition():
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), PATIENCE)

    async def frame(self, number: int) -> None:
        """Wait until that frame was put out."""
        await self.until(lambda: bool(self.by) and number in self.numbers())

    def then(self, number: int, do: Callable[[], None]) -> None:
        """Do something the moment that frame is put out, and before the next one is."""
        self._then[number] = do


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


def frames_of(y4m: bytes) -> list[bytes]:
    """The frames of a y4m file."""
    head = y4m.index(b"\n") + 1
    size = len(y4m[head:].split(b"FRAME\n", 2)[1]) + 6
    return [y4m[at + 6 : at + size] for at in range(head, len(y4m), size)]


async def play(served: Served, options: PlayOptions) -> tuple[Session, asyncio.Task[PlayStats]]:
    session = Session(f"{served.url}/whep/tiny", options)
    return session, asyncio.create_task(session.run())


@pytest.mark.parametrize(
    ("at", "to"),
    [(3, LAST + 8), (LAST + 2, SEGMENTS[0] + 5), (LAST + 8, LAST + 3), (2, LAST), (5, FRAMES - 1)],
    ids=["ahead", "back", "back inside the segment", "to an IDR", "to the last frame"],
)
def test_a_seek_goes_on_at_exactly_that_frame(
    either_path: Path, tmp_path: Path, shown: Shown, at: int, to: int
) -> None:
    out = tmp_path / "played.y4m"

    async def run() -> PlayStats:
        async with serving(either_path) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions(out=out))
            shown.then(at, lambda: session.seek(to))
            return await playing

    stats = asyncio.run(run())
    numbers = shown.numbers()
    assert numbers == [*range(at + 1), *range(to, FRAMES)]
    # Bit for bit: what leads there was decoded, and the frame before is looked back at.
    measured = frames_of(offline(open_package(either_path), tmp_path / "offline.y4m"))
    assert frames_of(out.read_bytes()) == [measured[n] for n in numbers if n is not None]
    assert (stats.frames_lost, stats.frames_interpolated) == (0, 0)
    assert stats.seek_ms is not None
    assert stats.seek_ms <= SEEK_MS


def test_the_last_of_many_seeks_counts(tiny_path: Path, shown: Shown) -> None:
    async def run() -> PlayStats:
        async with serving(tiny_path) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions())

            def hesitate() -> None:
                for frame in (30, 14, 33, 14, 20):
                    session.seek(frame)

            shown.then(2, hesitate)
            return await playing

    asyncio.run(run())
    assert shown.numbers() == [0, 1, 2, *range(20, FRAMES)]


def test_a_seek_lands_by_the_frames_own_numbers_where_the_message_is_lost(
    tiny_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.conversation.Conversation._tell", lambda self, message: None)

    async def run() -> PlayStats:
        async with serving(tiny_path) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions())
            shown.then(LAST + 3, lambda: session.seek(20))
            return await playing

    asyncio.run(run())
    assert shown.numbers() == [*range(LAST + 4), *range(20, FRAMES)]


def test_a_loop_plays_on_from_the_start_with_the_right_plans(
    either_path: Path, tmp_path: Path, shown: Shown
) -> None:
    out = tmp_path / "played.y4m"

    async def run() -> PlayStats:
        async with serving(either_path) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions(out=out, loop=True))
            await shown.until(lambda: bool(shown.by) and len(shown.numbers()) >= 2 * FRAMES + 5)
            assert served.viewers.count == 1
            session.stop()
            return await playing

    stats = asyncio.run(run())
    numbers = shown.numbers()
    assert numbers == [n % FRAMES for n in range(len(numbers))]
    measured = frames_of(offline(open_package(either_path), tmp_path / "offline.y4m"))
    played = frames_of(out.read_bytes())
    assert played == [measured[n % FRAMES] for n in range(len(played))]
    assert (stats.frames_lost, stats.late_plans, stats.frames_interpolated) == (0, 0, 0)


def test_a_loop_that_is_called_off_ends_at_the_end(tiny_path: Path, shown: Shown) -> None:
    async def run() -> PlayStats:
        async with serving(tiny_path) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions(loop=True))
            await shown.frame(FRAMES - 1)
            shown.then(5, lambda: session.loop(False))
            return await playing

    stats = asyncio.run(run())
    assert stats.ended == "end"
    assert shown.numbers() == [n % FRAMES for n in range(2 * FRAMES)]


def test_all_viewers_of_a_channel_see_the_same_moment(tmp_path: Path, shown: Shown) -> None:
    path = write_tiny(tmp_path, segments=(30, 30, 30), audio=False)
    first_live: int | None = None  # where the channel was when the first was told

    async def run() -> None:
        settings = Settings(channels=("tiny",))
        async with serving(path, settings) as served, asyncio.timeout(PATIENCE):
            first, playing = await play(served, PlayOptions())
            await shown.until(lambda: any(len(f) >= 40 for f in shown.by.values()))
            late, joining = await play(served, PlayOptions())
            await shown.until(lambda: [len(f) >= 60 for f in shown.by.values()] == [True, True])
            nonlocal first_live
            first_live = first.live
            assert late.live is not None
            for session in (first, late):
                session.stop()
            await asyncio.gather(playing, joining)
            assert joining.result().frames_interpolated == 0

    asyncio.run(run())
    one, other = shown.by.values()
    times = {number: time for time, number in one if time >= other[0][0]}
    begun = one[0][1]
    assert first_live is not None
    assert begun is not None
    assert 0 <= first_live <= begun < 30  # the channel began with the first
    assert other[0][1] != 0
    together = [abs(times[number] - time) for time, number in other if number in times]
    assert len(together) > 20
    assert sorted(together)[len(together) // 2] < 1 / float(FPS)


def test_a_pause_loses_no_frame(tmp_path: Path, shown: Shown) -> None:
    path = write_tiny(tmp_path, segments=(30, 30), audio=False)

    async def run() -> PlayStats:
        async with serving(path) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions())
            await shown.frame(10)
            session.pause()
            await served.viewers.only().paused.wait()
            await asyncio.sleep(0.4)  # time itself is what is waited for
            session.resume()
            return await playing

    stats = asyncio.run(run())
    assert (stats.frames, stats.frames_lost) == (60, 0)


def test_a_pause_in_a_channel_ends_at_the_live_edge_and_seeks_are_refused(
    tmp_path: Path, shown: Shown
) -> None:
    path = write_tiny(tmp_path, segments=(30, 30, 30), audio=False)

    async def run() -> None:
        settings = Settings(channels=("*",))
        async with serving(path, settings) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions())
            await shown.frame(10)
            with pytest.raises(StreamError, match="is a channel"):
                session.seek(3)
            session.pause()
            await served.viewers.only().paused.wait()
            channel = served.viewers.only().media.channel
            assert channel is not None
            clock = asyncio.get_running_loop().time
            while channel.frame(clock()) < 50:
                await asyncio.sleep(0.02)  # time itself is what is waited for
            session.resume()
            await shown.until(lambda: (shown.numbers()[-1] or 0) >= 50)
            session.stop()
            await playing

    asyncio.run(run())
    numbers = [number for number in shown.numbers() if number is not None]
    after = next(number for number in numbers if number > 30)
    assert after >= 50


def test_a_client_that_seeks_in_a_channel_is_told_why_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, shown: Shown
) -> None:
    path = write_tiny(tmp_path, segments=(30, 30, 30), audio=False)

    async def run() -> None:
        settings = Settings(channels=("tiny",))
        async with serving(path, settings) as served, asyncio.timeout(PATIENCE):
            session, playing = await play(served, PlayOptions())
            await shown.until(lambda: bool(shown.by))
            session.channel.send(encode_message(Seek(frame=80)))
            why = "tiny is a channel: all viewers see the same moment of it"
            await shown.until(lambda: why in caplog.text)
            told = len(shown.numbers())
            await shown.until(lambda: len(shown.numbers()) > told + 5)
            session.stop()
            await playing

    asyncio.run(run())
    numbers = [number for number in shown.numbers() if number is not None]
    assert all((b - a) % 90 == 1 for a, b in itertools.pairwise(numbers))
