"""A server that goes away, and the clients that come back to it: real sockets, real processes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice.ice import StunProtocol

from client_sdk import session as client
from client_sdk.contract import open_package
from client_sdk.contract.asset_frames import AssetFrame, encode_frame
from client_sdk.contract.control import Want
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.reconnecting import LONGEST, Backoff
from client_sdk.session import Session
from client_sdk.whep import NO_REDIRECT
from kernels.errors import StreamError
from server.delivery import Delivery
from server.serving import listen
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.server.serving import serving
from tests.server.test_play import offline
from tests.server.test_playback_control import Shown

FRAMES = sum(SEGMENTS)
PATIENCE = 40.0
HALVED = 200  # bytes
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed sooner, so that the tests are quick."""
    monkeypatch.setattr(client, "SILENCE", 1.0)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


@contextlib.asynccontextmanager
async def process(path: Path, port: int, *flags: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A server in another process, from when it answers; killed at the end if it still lives."""
    program = "import crispcast, sys; crispcast.main(sys.argv[1:])"
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        "serve",
        str(path),
        "--port",
        str(port),
        *flags,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert server.stdout is not None
        line = await asyncio.wait_for(server.stdout.readline(), PATIENCE)
        assert b"/whep/" in line
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.wait()


def free_port() -> int:
    with listen("127.0.0.1", 0) as opened:
        port: int = opened.getsockname()[1]
        return port


def test_a_killed_server_that_comes_back_is_played_on_at_the_same_frame(
    tmp_path: Path, shown: Shown
) -> None:
    path, port = write_tiny(tmp_path, segments=(40, 40, 40)), free_port()
    out = tmp_path / "played.y4m"

    async def run() -> PlayStats:
        async with asyncio.timeout(PATIENCE):
            session = Session(f"http://127.0.0.1:{port}/whep/tiny", PlayOptions(out=out))
            async with process(path, port) as server:
                playing = asyncio.create_task(session.run())
                await shown.frame(50)
                server.kill()
                await server.wait()
            async with process(path, port):
                return await playing

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects) == ("end", 1)
    assert shown.numbers() == list(range(120))
    assert out.read_bytes() == offline(open_package(path), tmp_path / "offline.y4m")
    # Nothing that was there was fetched again.
    assert stats.plan_bytes == sum(open_package(path).manifest.size_of(0).values())


def test_a_network_that_is_cut_for_a_while_costs_a_pause(
    tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes through, by UDP or HTTP, and nobody is told: as when a cable is pulled."""
    path, out = write_tiny(tmp_path, segments=(40, 40, 40)), tmp_path / "played.y4m"
    network = Network(monkeypatch)

    async def run() -> PlayStats:
        async with serving(path) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions(out=out))
            playing = asyncio.create_task(session.run())
            await shown.frame(50)
            network.cut()
            await network.missed(3)
            network.mend()
            return await playing

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects) == ("end", 1)
    assert network.dropped > 0
    assert shown.numbers() == list(range(120))
    assert out.read_bytes() == offline(open_package(path), tmp_path / "offline.y4m")


class Looks:
    """The watch for silence of a session that has no server, its looks ended by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = Session("http://127.0.0.1:9/whep/tiny", PlayOptions())
        self.lost: list[str] = []
        self._began: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        monkeypatch.setattr(self.session, "lost", self.lost.append)
        monkeypatch.setattr(asyncio, "wait_for", self._wait_for)

    async def _wait_for(self, what: Coroutine[Any, Any, Any], timeout: float) -> None:
        assert timeout == client.SILENCE
        waiting, over = asyncio.ensure_future(what), asyncio.get_running_loop().create_future()
        self._began.put_nowait(over)
        await asyncio.wait({waiting, over}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if over.done():
            raise TimeoutError

    async def begun(self) -> asyncio.Future[None]:
        """The next look, from when it begins; a result ends its time."""
        async with asyncio.timeout(PATIENCE):
            return await self._began.get()


def test_silence_is_counted_from_when_the_connection_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not from when somebody last looked, long before: its first frame has as long to come."""

    async def run() -> None:
        looks = Looks(monkeypatch)
        watching = asyncio.create_task(looks.session._watch_silence())
        before = await looks.begun()
        looks.session.joined(None)
        look = await looks.begun()
        assert not before.done()
        look.set_result(None)
        await looks.begun()
        assert len(looks.lost) == 1
        watching.cancel()

    asyncio.run(run())


def test_who_goes_on_in_the_moment_of_the_next_look_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look's time is over, nobody has noticed yet, and in between `resume` comes."""

    async def run() -> None:
        looks = Looks(monkeypatch)
        looks.session.joined(None)
        looks.session.pause()
        watching = asyncio.create_task(looks.session._watch_silence())
        look = await looks.begun()
        look.set_result(None)
        looks.session.resume()
        look = await looks.begun()
        assert looks.lost == []
        look.set_result(None)  # silence after that is one
        await looks.begun()
        assert len(looks.lost) == 1
        watching.cancel()

    asyncio.run(run())


def test_a_name_that_is_not_found_for_a_while_costs_a_pause(
    tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny(tmp_path, segments=(40, 40, 40))
    look_up, failed = socket.getaddrinfo, asyncio.Event()
    gone = threading.Event()

    async def run() -> PlayStats:
        loop = asyncio.get_running_loop()

        def unknown(host: Any, *arguments: Any, **options: Any) -> Any:
            if gone.is_set() and host == "localhost":
                loop.call_soon_threadsafe(failed.set)
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return look_up(host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        async with serving(path) as served, asyncio.timeout(PATIENCE):
            url = served.url.replace("127.0.0.1", "localhost")
            playing = asyncio.create_task(Session(f"{url}/whep/tiny", PlayOptions()).run())
            await shown.frame(50)
            gone.set()
            await served.viewers.only().close("lost")
            await failed.wait()
            gone.clear()
            return await playing

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects) == ("end", 1)
    assert shown.numbers() == list(range(120))


class Network:
    """All that comes to a socket of ICE, and every HTTP request of the client, while it is cut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dropped = 0
        self._cut = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tries = asyncio.Semaphore(0)
        receive, request = StunProtocol.datagram_received, NO_REDIRECT.open

        def datagram_received(protocol: StunProtocol, *arguments: Any) -> None:
            if self._cut.is_set():
                self.dropped += 1
            else:
                receive(protocol, *arguments)

        def open_url(*arguments: Any, **options: Any) -> Any:
            if self._cut.is_set():
                assert self._loop is not None
                self._loop.call_soon_threadsafe(self._tries.release)
                raise TimeoutError("timed out")
            return request(*arguments, **options)

        monkeypatch.setattr(StunProtocol, "datagram_received", datagram_received)
        monkeypatch.setattr(NO_REDIRECT, "open", open_url)

    def cut(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._cut.set()

    def mend(self) -> None:
        self._cut.clear()

    async def missed(self, times: int) -> None:
        """Wait until so many requests went nowhere."""
        for _ in range(times):
            await self._tries.acquire()


def test_a_session_that_the_server_ends_is_begun_anew(
    either_path: Path, tmp_path: Path, shown: Shown
) -> None:
    out = tmp_path / "played.y4m"

    async def run() -> PlayStats:
        async with serving(either_path) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions(out=out))
            playing = asyncio.create_task(session.run())
            await shown.frame(15)
            await served.viewers.only().close("lost")
            return await playing

    stats = asyncio.run(run())
    assert stats.reconnects == 1
    assert shown.numbers() == list(range(FRAMES))
    assert out.read_bytes() == offline(open_package(either_path), tmp_path / "offline.y4m")
    assert stats.frames_interpolated == 0


def test_half_an_asset_is_kept_and_the_rest_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tiny(tmp_path, segments=(40, 40), plan_padding=6)
    offsets: list[int] = []
    sizes = open_package(path).manifest.size_of(0).values()
    halves = sum(size if size <= HALVED else size // 2 for size in sizes)

    async def run() -> PlayStats:
        options = PlayOptions(delivery="channel")
        async with serving(path, Settings(start_delay=0.1)) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", options)
            playing = asyncio.create_task(session.run())
            while session.stats().plan_bytes < halves:
                await asyncio.sleep(0.01)
            await served.viewers.only().close("lost")
            return await playing

    monkeypatch.setattr("client_sdk.upscaling_thread._milliseconds", lambda: 0)  # all patience
    cut_short(monkeypatch, offsets)
    stats = asyncio.run(run())
    assert stats.reconnects == 1
    assert offsets
    assert all(offset > 0 for offset in offsets)
    assert stats.wrong_assets == 0
    assert stats.plan_bytes == sum(open_package(path).manifest.size_of(0).values())


def cut_short(monkeypatch: pytest.MonkeyPatch, offsets: list[int]) -> None:
    """Until a viewer asks from an offset on, assets of more than HALVED bytes come by half."""
    want = Delivery.want

    def noticed(self: Delivery, message: Want) -> None:
        offsets.extend(wanted.offset for wanted in message.assets if wanted.offset)
        want(self, message)

    def half(sha256: str, data: bytes, offset: int = 0) -> Iterator[bytes]:
        whole = offset or data.startswith(b"{") or len(data) <= HALVED
        end = len(data) if whole else len(data) // 2
        yield encode_frame(AssetFrame(sha256, offset, len(data), data[offset:end]))

    monkeypatch.setattr(Delivery, "want", noticed)
    monkeypatch.setattr("server.delivery.frames_of", half)


def test_a_pause_outlasts_a_new_connection(tiny_path: Path, shown: Shown) -> None:
    async def run() -> PlayStats:
        async with serving(tiny_path) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions())
            playing = asyncio.create_task(session.run())
            await shown.frame(10)
            session.pause()
            await served.viewers.only().paused.wait()
            await served.viewers.only().close("lost")
            await served.viewers.all_gone.wait()
            sessions = served.viewers._sessions  # without those that are being set up
            while not any(viewer.paused.is_set() for viewer in sessions.values()):
                await asyncio.sleep(0.02)
            before = len(shown.numbers())
            await asyncio.sleep(1.0)  # twice the time after which media starts by itself
            assert len(shown.numbers()) == before
            session.resume()
            return await playing

    stats = asyncio.run(run())
    assert stats.reconnects == 1
    assert shown.numbers() == list(range(FRAMES))


def test_a_channel_is_joined_again_where_it_is_by_then(tmp_path: Path, shown: Shown) -> None:
    path = write_tiny(tmp_path, segments=(30, 30, 30), audio=False)

    async def run() -> PlayStats:
        settings = Settings(channels=("tiny",))
        async with serving(path, settings) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions())
            playing = asyncio.create_task(session.run())
            await shown.frame(20)
            media = served.viewers.only().media
            await served.viewers.only().close("lost")
            count = len(shown.numbers())
            await shown.until(lambda: len(shown.numbers()) > count + 5)
            assert media.channel is not None
            at, number = shown.by[next(iter(shown.by))][-1]
            assert abs(media.channel.frame(at) - (number or 0)) <= 10
            session.stop()
            return await playing

    assert asyncio.run(run()).reconnects == 1


def test_a_server_that_stays_away_is_given_up_with_a_sentence(tmp_path: Path, shown: Shown) -> None:
    path, port = write_tiny(tmp_path, segments=(40, 40)), free_port()

    async def run() -> None:
        options = PlayOptions(reconnect=2)
        session = Session(f"http://127.0.0.1:{port}/whep/tiny", options)
        async with asyncio.timeout(PATIENCE):
            async with process(path, port) as server:
                playing = asyncio.create_task(session.run())
                await shown.frame(10)
                server.kill()
                await server.wait()
            await playing

    with pytest.raises(StreamError, match=r"does not answer.*not there again within 2 s"):
        asyncio.run(run())


def test_a_package_that_is_gone_by_then_is_not_waited_for(tiny_copy: Path, shown: Shown) -> None:
    name = tiny_copy.name.removesuffix(".crisp")

    async def run() -> None:
        settings = Settings(look_seconds=0)
        async with serving(tiny_copy.parent, settings) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/{name}", PlayOptions())
            playing = asyncio.create_task(session.run())
            await shown.frame(5)
            shutil.rmtree(tiny_copy)
            served.viewers.catalogue.look()
            await served.viewers.only().close("lost")
            await playing

    with pytest.raises(StreamError, match="no package"):
        asyncio.run(run())


def test_another_video_in_its_place_is_not_mixed_with_it(tmp_path: Path, shown: Shown) -> None:
    path = write_tiny(tmp_path, segments=(40, 40))

    async def run() -> None:
        settings = Settings(look_seconds=0)
        async with serving(tmp_path, settings) as served, asyncio.timeout(PATIENCE):
            session = Session(f"{served.url}/whep/tiny", PlayOptions())
            playing = asyncio.create_task(session.run())
            await shown.frame(5)
            shutil.rmtree(path)
            write_tiny(tmp_path, segments=(20, 20))
            served.viewers.catalogue.look()
            await served.viewers.only().close("lost")
            await playing

    with pytest.raises(StreamError, match="another video"):
        asyncio.run(run())


def test_waits_grow_are_bounded_and_end() -> None:
    now = [0.0]
    backoff = Backoff(60, lambda: now[0])
    waits = []
    while (wait := backoff.next()) is not None:
        waits.append(wait)
        now[0] += wait
    assert waits[0] < waits[1] < waits[2]
    assert max(waits) <= LONGEST * 1.25
    assert sum(waits) == pytest.approx(60)
    assert Backoff(60, lambda: 0.0).next(asked=20) == pytest.approx(22.5, abs=2.5)
    assert Backoff(0, lambda: 0.0).next() is None
