"""The web player where things change under way: seeks, loops, lost servers, ways of delivery."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from client_sdk.contract import Package, open_package
from client_sdk.upscaler import Upscaler
from server.settings import Settings
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.server.serving import Served, serving
from tests.server.test_http import SDP_HEADERS, offer
from tests.server.test_reconnect import free_port, process
from tests.server.test_web_player import (
    CAPTURE,
    CODE_VALUES,
    NO_TRACK_PROCESSOR,
    NO_TRANSFORM,
    ask,
    furthest,
    hr_of,
    pytestmark,
    reference,
    until,
    with_two_rungs,
)

if importlib.util.find_spec("playwright") is not None:
    from playwright.async_api import Page, Route

    from tests.server.chromium import browsing

__all__ = ["pytestmark"]
ROUNDS = 8
FRAMES = sum(SEGMENTS) * ROUNDS
SEEK_MS = 500
TRIES = 4
SEEK_AND_CAPTURE = f"""([time, count]) => {{
  document.querySelector('crispcast-player').currentTime = time;
  return ({CAPTURE})(count);
}}"""
"""In one step: what a seek in a pause shows is shown once."""
SEEN = """() => {
  const player = document.querySelector('crispcast-player');
  globalThis.seen = [];
  player.addEventListener('timeupdate', () => seen.push(Math.round(player.currentTime * 25)));
}"""


def tiny(folder: Path, rounds: int = ROUNDS, **options: Any) -> Path:
    return write_tiny(folder, segments=SEGMENTS * rounds, **options)


@contextlib.asynccontextmanager
async def watched(url: str, attributes: str = "", scripts: str = "") -> AsyncIterator[Page]:
    """A page with the player on it, which plays."""
    async with browsing() as browser:
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        if scripts:
            await page.add_init_script(scripts)
        await opened(page, url, attributes)
        yield page
        assert not errors


async def opened(page: Page, url: str, attributes: str = "") -> None:
    """The player page of the tiny package, with attributes of its player, from pressing play on."""
    await page.goto(f"{url}/watch/tiny")
    for attribute in attributes.split():
        name, _, value = attribute.partition("=")
        await ask(page, f"player.setAttribute('{name}', '{value}')")
    await page.evaluate(SEEN)
    await page.get_by_role("button", name="Play", exact=True).first.click()
    await until(page, "player.figures.frames > 3")


async def sought(page: Page, frame: int, count: int = 4) -> list[dict[str, Any]]:
    """Seek to that frame and give the next ones that are shown.

    A browser on a busy machine skips frames, the sought one too, or cannot tell which it shows:
    then it is sought again.
    """
    frames: list[dict[str, Any]] = []
    for _ in range(TRIES):
        frames = await page.evaluate(SEEK_AND_CAPTURE, [frame / 25, count])
        for place, shown in enumerate(frames):
            assert shown["frame"] is None or frame <= shown["frame"] <= frame + 4 + place
        if frames[0]["frame"] == frame:
            break
    return frames


def numbers(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["frame"] for frame in frames]


def are_measured(package: Package, frames: list[dict[str, Any]]) -> bool:
    upscaler = Upscaler.of_package(package, threads=1)
    return all(furthest(hr_of(f), reference(upscaler, f)) <= CODE_VALUES for f in frames)


def test_setting_the_time_goes_to_exactly_that_frame(tmp_path: Path) -> None:
    path = tiny(tmp_path)
    found: list[dict[str, Any]] = []
    spent: list[float] = []

    async def run() -> None:
        async with serving(path) as served, watched(served.url) as page:
            # Ahead, back, back inside a segment, an IDR, the last but some.
            for frame in (150, 50, 46, 108, FRAMES - 20):
                frames = await sought(page, frame)
                assert numbers(frames)[0] == frame
                found.extend(frames)
                spent.append(await ask(page, "player.figures.seekMs"))
            assert await ask(page, "player.figures.refused") == 0

    asyncio.run(run())
    assert are_measured(open_package(path), found)
    # The one before was decoded, and is looked back at.
    assert any(f["previous"] is not None for f in found if f["frame"] in (150, 50, 46))
    assert sorted(spent)[len(spent) // 2] <= SEEK_MS


def test_it_lands_by_anchors_too(tmp_path: Path) -> None:
    async def run() -> None:
        scripts = NO_TRACK_PROCESSOR + NO_TRANSFORM
        path = tiny(tmp_path)
        async with serving(path) as served, watched(served.url, scripts=scripts) as page:
            for frame in (150, 46):
                first = numbers(await sought(page, frame))[0]
                assert frame <= first <= frame + 2  # frames come as the page is drawn

    asyncio.run(run())


def test_a_seek_in_a_pause_shows_that_frame_and_stays(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny(tmp_path)) as served, watched(served.url) as page:
            await page.get_by_role("button", name="Pause", exact=True).click()
            await served.viewers.only().paused.wait()
            assert numbers(await sought(page, 150, 1)) == [150]
            assert await ask(page, "player.state") == "paused"
            assert numbers(await sought(page, 149, 1)) == [149]
            await page.get_by_role("button", name="Play", exact=True).first.click()
            assert 150 <= numbers(await page.evaluate(CAPTURE, 1))[0] < 160

    asyncio.run(run())


def test_a_loop_plays_on_and_an_end_can_be_begun_again(tmp_path: Path) -> None:
    path = tiny(tmp_path, rounds=2)
    count = 2 * sum(SEGMENTS)

    async def run() -> None:
        async with serving(path) as served, watched(served.url, "loop") as page:
            await until(page, "player.currentTime > 2")
            found = numbers(await page.evaluate(CAPTURE, 60))
            assert {(b - a) % count for a, b in pairwise(found)} == {1}
            assert 0 in found
            assert served.viewers.count == 1
            figures = await ask(page, "player.figures")
            assert (figures["latePlans"], figures["refused"]) == (0, 0)
            await ask(page, "void (player.loop = false)")
            await until(page, "player.state === 'ended'")
            await ask(page, "player.play()")
            assert numbers(await page.evaluate(CAPTURE, 2))[0] <= 3
            assert served.viewers.count == 1

    asyncio.run(run())


async def goes_on(page: Page, frames: int) -> None:
    """After what was lost, so many frames come, from the next one on."""
    await until(page, "player.figures.reconnects === 1")
    count = await ask(page, "seen.length")
    await until(page, f"seen.length > {count + frames}")
    seen = await ask(page, "seen")
    assert seen == sorted(set(seen))  # nothing twice
    gaps = [b - a for a, b in pairwise(seen)]
    assert max(gaps) <= 25  # a busy machine skips some


def test_a_session_that_the_server_ends_goes_on_at_the_same_frame(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny(tmp_path)) as served, watched(served.url) as page:
            await until(page, "player.currentTime > 1")
            await served.viewers.only().close("lost")
            await goes_on(page, 10)
            # It asked for the one after the last that was shown.
            assert served.viewers.only()._playhead.target - 1 in await ask(page, "seen")
            assert await ask(page, "player.state") == "playing"
            found = await page.evaluate(CAPTURE, 3)
            assert all(frame["superResolved"] for frame in found)
            planned = sum(open_package(tmp_path / "tiny.crisp").manifest.size_of(0).values())
            assert await ask(page, "player.figures.planBytes") <= planned

    asyncio.run(run())


def test_a_rung_that_was_chosen_is_asked_for_again_of_another_connection(tmp_path: Path) -> None:
    async def run() -> None:
        path = with_two_rungs(tiny(tmp_path))
        async with serving(path) as served, watched(served.url) as page:
            await page.get_by_role("combobox", name="Quality").select_option("1")
            await until(page, "player.figures.rung === 'other'")
            await served.viewers.only().close("lost")
            await until(page, "player.figures.reconnects === 1")
            count = await ask(page, "seen.length")
            # By then a segment has begun.
            await until(page, f"seen.length > {count + max(SEGMENTS)}")
            await until(page, "player.figures.rung === 'other'")
            assert await page.get_by_role("combobox", name="Quality").input_value() == "1"
            found = await page.evaluate(CAPTURE, 3)
            assert all(frame["superResolved"] for frame in found)

    asyncio.run(run())


def test_a_killed_server_that_comes_back_is_played_on(tmp_path: Path) -> None:
    path, port = tiny(tmp_path), free_port()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with process(path, port) as server:
                page = await stack.enter_async_context(watched(f"http://127.0.0.1:{port}"))
                await until(page, "player.currentTime > 1")
                server.kill()
                await server.wait()
            await until(page, "player.shadowRoot.textContent.includes('Trying again.')")
            async with process(path, port):
                await goes_on(page, 10)

    asyncio.run(run())


def test_who_reconnects_needs_no_file_of_the_server(tmp_path: Path) -> None:
    """A server that is about to come back may answer offers and have refused a file just before."""

    async def run() -> None:
        async with serving(tiny(tmp_path)) as served, watched(served.url) as page:
            await until(page, "player.currentTime > 1")
            refused = list[str]()

            async def refuse(route: Route) -> None:
                refused.append(route.request.url)
                await route.abort()

            await page.context.route("**/sdk/**", refuse)
            await served.viewers.only().close("lost")
            await goes_on(page, 10)
            assert refused == []

    asyncio.run(run())


def test_a_server_that_stays_away_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    path, port = tiny(tmp_path), free_port()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with process(path, port, "--drain-timeout", "0") as server:
                url = f"http://127.0.0.1:{port}"
                page = await stack.enter_async_context(watched(url, "reconnect=2"))
                server.terminate()
                await until(page, "player.shadowRoot.textContent.includes('Trying again.')")
            await until(page, "player.state === 'failed'")
            said = await page.get_by_role("status").inner_text()
            assert said.endswith("The server was not there again within 2 s.")

    asyncio.run(run())


@pytest.mark.parametrize("way", ["channel", "http"])
def test_whatever_the_way_the_assets_come_and_are_kept(tmp_path: Path, way: str) -> None:
    path = tiny(tmp_path, rounds=3)
    size = sum(open_package(path).manifest.size_of(0).values())

    async def played(page: Page) -> dict[str, Any]:
        await until(page, f"player.figures.planBytes + player.figures.cachedBytes >= {size}")
        found = await page.evaluate(CAPTURE, 3)
        assert all(frame["superResolved"] for frame in found)
        figures: dict[str, Any] = await ask(page, "player.figures")
        assert figures["refused"] == 0
        return figures

    async def run() -> None:
        async with serving(path) as served, watched(served.url, f"delivery={way}") as page:
            first = await played(page)
            assert first["planBytes"] == size
            assert first["httpBytes"] == (size if way == "http" else 0)
            await page.wait_for_function(HELD, arg=size)
            await opened(page, served.url, f"delivery={way}")
            again = await played(page)
            assert (again["planBytes"], again["cachedBytes"]) == (0, size)

    asyncio.run(run())


HELD = """async (least) => {
  const wait = (r) => new Promise((resolve) => (r.onsuccess = () => resolve(r.result)));
  const database = await wait(indexedDB.open('crispcast'));
  const facts = await wait(database.transaction('facts').objectStore('facts').getAll());
  const kept = await wait(database.transaction('bytes').objectStore('bytes').getAll());
  database.close();
  const sum = kept.reduce((total, { length }) => total + length, 0);
  globalThis.held = sum;
  return sum >= least && facts.length === kept.length;
}"""


def test_the_cache_keeps_its_limit_and_hashes_what_it_gives(tmp_path: Path) -> None:
    path = tiny(tmp_path, rounds=3)
    spoil = """async () => {
      const wait = (r) => new Promise((resolve) => (r.onsuccess = () => resolve(r.result)));
      const database = await wait(indexedDB.open('crispcast'));
      const store = database.transaction('bytes', 'readwrite').objectStore('bytes');
      const spoilt = new Uint8Array(9);
      for (const key of await wait(store.getAllKeys())) await wait(store.put(spoilt, key));
      database.close();
    }"""

    async def run() -> None:
        async with serving(path) as served, watched(served.url, "cache-limit=2000") as page:
            await page.wait_for_function(HELD, arg=500)
            assert await ask(page, "held") <= 2000
            await page.goto(served.url)  # nothing is kept any more by who plays
            await page.evaluate(spoil)
            await opened(page, served.url, "cache-limit=2000")
            figures = await ask(page, "player.figures")
            assert (figures["cachedBytes"], figures["refused"]) == (0, 0)
            found = await page.evaluate(CAPTURE, 3)
            assert all(frame["superResolved"] for frame in found)

    asyncio.run(run())


def test_what_one_way_does_not_bring_the_other_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(*_: object) -> bytes:
        raise HTTPException(404, "there is no such asset")

    monkeypatch.setattr("server.app._asset", none)

    async def run() -> None:
        async with serving(tiny(tmp_path)) as served, watched(served.url, "delivery=http") as page:
            await until(page, "player.figures.superResolved > 3")
            assert await ask(page, "player.figures.httpBytes") == 0

    asyncio.run(run())


def near(served: Served, frame: int) -> bool:
    channel = served.viewers.only().media.channel
    assert channel is not None
    now = channel.frame(asyncio.get_running_loop().time())
    return (now - frame) % FRAMES <= 25  # a second, of a busy machine


def test_a_channel_is_joined_where_it_is_and_has_no_seeking(tmp_path: Path) -> None:
    async def run() -> None:
        settings = Settings(channels=("tiny",))
        async with serving(tiny(tmp_path), settings) as served, browsing() as browser:
            page = await browser.new_page()
            await opened(page, served.url)
            await until(page, "player.currentTime > 1.5")
            await page.close()
            page = await browser.new_page()
            await opened(page, served.url)
            first = (await ask(page, "seen"))[0]
            assert first > 30
            assert near(served, numbers(await page.evaluate(CAPTURE, 1))[0])
            assert await ask(page, "player.live")
            assert await page.get_by_role("slider", name="Position").is_disabled()
            await ask(page, "void (player.currentTime = 0)")
            assert "channel" in await page.get_by_role("status").inner_text()
            await page.get_by_role("button", name="Pause", exact=True).click()
            await served.viewers.only().paused.wait()
            await asyncio.sleep(1)  # the channel goes on meanwhile
            await page.get_by_role("button", name="Play", exact=True).first.click()
            assert near(served, numbers(await page.evaluate(CAPTURE, 1))[0])

    asyncio.run(run())


def test_a_server_that_stops_hands_the_page_to_one_that_has_room(tmp_path: Path) -> None:
    path = tiny(tmp_path, rounds=20)

    async def run() -> None:
        async with serving(path) as b, serving(path, Settings(replicas=(b.url,))) as a:
            async with asyncio.timeout(60):
                while not a.viewers.replicas.room:
                    await asyncio.sleep(0.05)
            async with watched(a.url) as page:
                await until(page, "player.currentTime > 1")
                await a.viewers.drain(30)
                assert (a.viewers.count, b.viewers.count) == (0, 1)
                frames = await ask(page, "player.figures.frames")
                await until(page, f"player.figures.frames > {frames + 10}")
                assert await ask(page, "player.figures.reconnects") == 1
                seen = await page.evaluate("seen")
                assert seen == sorted(seen)

    asyncio.run(run())


def test_a_page_tells_its_token_only_to_origins_that_may_see_it(tmp_path: Path) -> None:
    path, token = tiny(tmp_path), "a-token-of-some-length"

    async def run() -> None:
        locked = Settings.model_validate({"tokens": f"tiny={token}"})
        async with (
            serving(path, locked) as b,
            serving(path, Settings(max_viewers=1, replicas=(b.url,))) as a,
        ):
            await a.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            async with asyncio.timeout(60):
                while not a.viewers.replicas.room:
                    await asyncio.sleep(0.05)
            attributes = f"token={token} delivery=http"
            async with watched(a.url, f"{attributes} token-origins={b.url}") as page:
                await until(page, "player.figures.superResolved > 3")
                assert b.viewers.count == 1
            async with browsing() as browser:
                page = await browser.new_page()
                await page.goto(f"{a.url}/watch/tiny")
                await ask(page, f"player.setAttribute('token', '{token}')")
                await page.get_by_role("button", name="Play", exact=True).first.click()
                await page.get_by_text("wants a bearer token").wait_for()

    asyncio.run(run())
