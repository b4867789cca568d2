"""Servers of the same packages: viewers are sent on to one with room, and lose nothing by it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from client_sdk.contract import open_package
from client_sdk.play_options import PlayOptions
from client_sdk.play_stats import PlayStats
from client_sdk.session import Session
from kernels.errors import CrispcastError
from server import whep
from server.replicas import Ready, Replicas, ask
from server.settings import Settings
from server.settings_sources import load_settings
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.server.serving import Served, serving
from tests.server.test_http import SDP_HEADERS, offer
from tests.server.test_play import offline
from tests.server.test_playback_control import Shown

PATIENCE = 60.0
A, B, C = "https://a.example.org", "https://b.example.org", "https://c.example.org"
OTHER = "0" * 16
TOKEN = "a-token-of-some-length"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


# -- what is known of the others ------------------------------------------------------------------


def test_viewers_go_where_there_is_room_until_it_is_taken() -> None:
    replicas = Replicas((A, B, C), Clock())
    assert replicas.choose() is None
    replicas.tell(A, Ready(replica=OTHER, room=3))
    replicas.tell(B, Ready(replica=OTHER, room=0))
    replicas.tell(C, Ready(replica=OTHER, room=2))
    assert replicas.room == 5
    assert Counter(replicas.choose() for _ in range(6)) == {A: 3, C: 2, None: 1}
    assert replicas.room == 0


def test_a_replica_that_falls_silent_or_says_that_it_stops_gets_nobody() -> None:
    clock = Clock()
    replicas = Replicas((A, B), clock)
    replicas.tell(A, Ready(replica=OTHER, room=3))
    replicas.tell(B, Ready(replica=OTHER, room=3))
    replicas.tell(B, None)
    clock.now = 4.9
    assert replicas.choose() == A
    clock.now = 5.1
    assert replicas.choose() is None


def test_a_server_that_stands_in_its_own_list_does_not_send_viewers_to_itself() -> None:
    replicas = Replicas((A,), Clock())
    replicas.tell(A, Ready(replica=replicas.identity, room=10))
    assert replicas.choose() is None


def test_one_that_boasts_of_its_room_draws_no_more_than_its_share() -> None:
    replicas = Replicas((A, B), Clock())
    chosen: Counter[str | None] = Counter()
    for _ in range(2000):
        replicas.tell(A, Ready(replica=OTHER, room=10**30))
        replicas.tell(B, Ready(replica=OTHER, room=100))
        chosen[replicas.choose()] += 1
    assert chosen[B] > 800


def test_who_was_sent_on_twice_stays() -> None:
    replicas = Replicas((A,), Clock())
    replicas.tell(A, Ready(replica=OTHER, room=10))
    assert replicas.endpoint("ü b", 0) == f"{A}/whep/%C3%BC%20b?hops=1"
    assert replicas.endpoint("x", 1) == f"{A}/whep/x?hops=2"
    assert replicas.endpoint("x", 2) is None
    assert replicas.room == 8


@contextlib.asynccontextmanager
async def saying(*parts: bytes, then_wait: bool = False) -> AsyncIterator[str]:
    """A server that answers everything with those bytes; its base URL."""
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
            if then_wait:
                await over.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
GOOD = json.dumps({"replica": OTHER, "room": 7}).encode()


def asked(*parts: bytes, then_wait: bool = False) -> Ready:
    async def run() -> Ready:
        async with saying(*parts, then_wait=then_wait) as url:
            return await ask(url, 5.0 if not then_wait else 0.2)

    return asyncio.run(run())


def test_room_is_read_from_an_answer_that_comes_in_pieces() -> None:
    assert asked(OK[:9], OK[9:], GOOD[:5], GOOD[5:]).room == 7


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"\x00\xff",),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", GOOD),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", GOOD),
        (OK,),
        (OK, b"[" * 7000),
        (OK, b'{"replica": "0000000000000000", "room": -1}'),
        (OK, b'{"replica": "0000000000000000", "room": "7"}'),
        (OK, b'{"replica": "0000000000000000", "room": 1e999}'),
        (OK, b'{"replica": "<script>", "room": 7}'),
        (OK, b"x" * 9000),
        (OK, *[GOOD] * 100_000),
    ],
)
def test_a_replica_that_says_what_makes_no_sense_gets_nobody(parts: tuple[bytes, ...]) -> None:
    with pytest.raises((ValueError, OSError)):
        asked(*parts)


@pytest.mark.parametrize("parts", [(), (OK,), (OK, GOOD)])
def test_a_replica_is_not_waited_for(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(TimeoutError):
        asked(*parts, then_wait=True)


@pytest.mark.parametrize(
    "url",
    [
        "a.example.org",
        "ftp://a.example.org",
        f"{A}/path",
        "http://a:99999",
        "http://u:p@a",
        f"{A}?x",
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(CrispcastError, match=r"the setting replicas.* is no base URL"):
        load_settings(flags={"replicas": url})
    assert load_settings(flags={"replicas": f"{A}/,http://[::1]:8080"}).replicas == (
        A,
        "http://[::1]:8080",
    )


# -- between servers ------------------------------------------------------------------------------


async def known(served: Served, room: int) -> None:
    """Wait until the server knows of so much room elsewhere."""
    async with asyncio.timeout(PATIENCE):
        while served.viewers.replicas.room != room:
            await asyncio.sleep(0.01)


def test_a_full_server_sends_viewers_on_and_their_session_is_there(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(max_viewers=3)) as b:
            settings = Settings(max_viewers=1, replicas=(b.url,))
            async with serving(tiny_path, settings) as a:
                assert json.loads((await a.ask("GET", "/readyz")).body)["room"] == 1
                first = await a.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
                assert first.status == 201
                assert json.loads((await a.ask("GET", "/readyz")).body)["room"] == 0
                await known(a, 3)
                sent_on = await without_following(a, "/whep/tiny")
                assert sent_on == (307, f"{b.url}/whep/tiny?hops=1")
                second = await b.ask("POST", "/whep/tiny?hops=1", await offer(), SDP_HEADERS)
                assert second.status == 201
                assert second.headers["Location"].startswith("/whep/tiny/")
                assert (a.viewers.count, b.viewers.count) == (1, 1)

    asyncio.run(run())


async def without_following(served: Served, path: str) -> tuple[int, str | None]:
    """Status and Location of a POST there."""
    reader, writer = await asyncio.open_connection(*served.url.removeprefix("http://").split(":"))
    body = await offer()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    )
    writer.write(head.encode() + b"Content-Type: application/sdp\r\n\r\n" + body)
    lines = (await reader.read()).decode().split("\r\n")
    writer.close()
    found = [line.partition(": ")[2] for line in lines if line.lower().startswith("location: ")]
    return int(lines[0].split()[1]), found[0] if found else None


def test_full_servers_that_think_each_other_has_room_give_up(tiny_path: Path) -> None:
    async def run() -> None:
        one_place = Settings(max_viewers=1)
        async with serving(tiny_path, one_place) as a, serving(tiny_path, one_place) as b:
            for one, other in ((a, b), (b, a)):
                await one.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
                one.viewers.replicas.tell(other.url, Ready(replica=OTHER, room=9))
            way, at = [], f"{a.url}/whep/tiny"
            while True:
                parts = urlsplit(at)
                served = a if a.url.endswith(parts.netloc) else b
                status, location = await without_following(served, f"{parts.path}?{parts.query}")
                way.append(status)
                if location is None:
                    break
                at = location
            assert way == [307, 307, 503]
            for hops in ("3", "-1", "x", "", "\u0663".encode().hex()):
                said = await without_following(a, f"/whep/tiny?hops={hops}")
                assert said == (503, None)
            again = await a.ask("POST", "/whep/tiny?hops=2", await offer(), SDP_HEADERS)
            assert (again.status, again.headers["Retry-After"]) == (503, "1")

    asyncio.run(run())


def test_the_client_follows_and_plays_all_of_it(tiny_path: Path, shown: Shown) -> None:
    async def run() -> PlayStats:
        async with serving(tiny_path) as b:
            settings = Settings(max_viewers=1, replicas=(b.url,))
            async with serving(tiny_path, settings) as a, asyncio.timeout(PATIENCE):
                await a.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
                await known(a, 100)
                stats = await Session(f"{a.url}/whep/tiny", PlayOptions(delivery="http")).run()
                assert a.viewers.count == 1
                return stats

    stats = asyncio.run(run())
    assert shown.numbers() == list(range(sum(SEGMENTS)))
    assert (stats.frames_interpolated, stats.reconnects) == (0, 0)
    assert stats.http_bytes > 0  # the other's assets, beside its endpoint


def test_a_token_goes_on_only_to_origins_that_may_see_it(tiny_path: Path) -> None:
    async def run() -> None:
        locked = Settings.model_validate({"tokens": f"tiny={TOKEN}"})
        async with serving(tiny_path, locked) as b:
            settings = Settings.model_validate(
                {"tokens": f"tiny={TOKEN}", "max_viewers": 1, "replicas": b.url}
            )
            async with serving(tiny_path, settings) as a, asyncio.timeout(PATIENCE):
                bearer = {"Authorization": f"Bearer {TOKEN}", **SDP_HEADERS}
                await a.ask("POST", "/whep/tiny", await offer(), bearer)
                await known(a, 100)
                url = f"{a.url}/whep/tiny"
                with pytest.raises(CrispcastError, match="status 401"):
                    await Session(url, PlayOptions(token=TOKEN)).run()
                options = PlayOptions(token=TOKEN, token_origins=(b.url,), delivery="http")
                stats = await Session(url, options).run()
                assert (stats.ended, stats.frames_interpolated) == ("end", 0)

    asyncio.run(run())


def test_a_drain_moves_its_viewers_and_they_go_on_at_the_next_frame(
    tmp_path: Path, shown: Shown
) -> None:
    path = write_tiny(tmp_path, segments=(40, 40, 40))
    out = tmp_path / "played.y4m"

    async def run() -> PlayStats:
        async with serving(path) as b, asyncio.timeout(PATIENCE):
            async with serving(path, Settings(replicas=(b.url,))) as a:
                await known(a, 100)
                session = Session(f"{a.url}/whep/tiny", PlayOptions(out=out))
                playing = asyncio.create_task(session.run())
                await shown.frame(50)
                await a.viewers.drain(20)
                assert (a.viewers.count, b.viewers.count) == (0, 1)
            # The first server is gone for good, and nobody misses it.
            return await playing

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects) == ("end", 1)
    assert shown.numbers() == list(range(120))
    assert out.read_bytes() == offline(open_package(path), tmp_path / "offline.y4m")


def test_a_viewer_that_was_sent_on_finds_its_way_though_the_first_server_is_gone(
    tmp_path: Path, shown: Shown
) -> None:
    path = write_tiny(tmp_path, segments=(40, 40, 40))

    async def run() -> PlayStats:
        async with serving(path) as c, serving(path, Settings(replicas=(c.url,))) as b:
            async with asyncio.timeout(PATIENCE):
                async with serving(path, Settings(max_viewers=1, replicas=(b.url,))) as a:
                    await a.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
                    await known(a, 100)
                    playing = asyncio.create_task(
                        Session(f"{a.url}/whep/tiny", PlayOptions()).run()
                    )
                    await shown.frame(30)
                await known(b, 100)
                await b.viewers.drain(20)
                return await playing

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects) == ("end", 1)
    assert shown.numbers() == list(range(120))


def test_a_drain_sends_no_more_viewers_away_than_there_is_room_for(
    tmp_path: Path, shown: Shown
) -> None:
    path = write_tiny(tmp_path, segments=(40, 40, 40))

    async def run() -> list[PlayStats]:
        async with (
            serving(path, Settings(max_viewers=1)) as b,
            serving(path, Settings(replicas=(b.url,))) as a,
            asyncio.timeout(PATIENCE),
        ):
            await known(a, 1)
            url = f"{a.url}/whep/tiny"
            plays = [asyncio.create_task(Session(url, PlayOptions()).run()) for _ in range(2)]
            await shown.until(
                lambda: len(shown.by) == 2 and all(len(f) > 30 for f in shown.by.values())
            )
            await a.viewers.drain(30)
            return await asyncio.gather(*plays)

    plays = asyncio.run(run())
    assert sorted(stats.reconnects for stats in plays) == [0, 1]
    for frames in shown.by.values():
        assert [number for _, number in frames] == list(range(120))


def test_a_drain_waits_where_the_others_have_no_room(
    tiny_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whep, "_BETWEEN_MOVES", 0.001)

    async def run() -> PlayStats:
        async with serving(tiny_path, Settings(max_viewers=1)) as b:
            await b.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            async with serving(tiny_path, Settings(replicas=(b.url,))) as a:
                async with asyncio.timeout(PATIENCE):
                    playing = asyncio.create_task(
                        Session(f"{a.url}/whep/tiny", PlayOptions()).run()
                    )
                    await shown.frame(5)
                    await a.viewers.drain(30)
                    return await playing

    stats = asyncio.run(run())
    assert (stats.ended, stats.reconnects) == ("end", 0)
    assert shown.numbers() == list(range(sum(SEGMENTS)))
