"""The web player that takes its media from a real SFU, in Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client_sdk.contract import open_package
from tests.client_sdk.tiny import write_tiny
from tests.server import janus
from tests.server.janus import Bridge
from tests.server.serving import serving
from tests.server.test_sfu import published, sfu
from tests.server.test_web_control import opened, tiny
from tests.server.test_web_player import CAPTURE, ask, check_frames, until
from tests.server.test_web_player import pytestmark as chromium

if importlib.util.find_spec("playwright") is not None:
    from playwright.async_api import Page

    from tests.server.chromium import browsing

pytestmark = [
    *([chromium] if isinstance(chromium, pytest.MarkDecorator) else chromium),
    pytest.mark.skipif(janus.JANUS is None, reason="needs an SFU: apt-get install janus"),
]


@contextlib.asynccontextmanager
async def watching(path: Path, folder: Path, origin: str, name: str) -> AsyncIterator[Page]:
    """A page whose player takes the media of the package at `path` from the SFU, and plays."""
    async with (
        sfu(folder) as bridge,
        published(path, f"{bridge.url}/tiny/whip"),
        browsing() as browser,
    ):
        page = await browser.new_page()
        await opened(page, origin, attributes(origin, bridge, name))
        yield page
        await ask(page, "void player.remove()")
        await bridge.until(lambda: len(bridge.sessions) == 1)  # the publisher's


def attributes(origin: str, bridge: Bridge, name: str = "tiny") -> str:
    return f"src={origin}/packages/{name} media={bridge.url}/tiny/whep"


def test_a_page_shows_what_the_reference_client_would(tmp_path: Path) -> None:
    path = tiny(tmp_path)

    async def run() -> None:
        async with serving(path) as origin, watching(path, tmp_path, origin.url, "tiny") as page:
            await until(page, "player.figures.superResolved > 3")
            check_frames(open_package(path), await page.evaluate(CAPTURE, 24))
            assert origin.viewers.count == 0
            assert await ask(page, "player.live")
            assert await page.get_by_role("slider", name="Position").is_disabled()
            # Who pauses leaves the SFU, and comes back to where the channel is.
            await page.get_by_role("button", name="Pause", exact=True).click()
            shown = await ask(page, "player.figures.frames")
            await page.get_by_role("button", name="Play", exact=True).first.click()
            await until(page, f"player.figures.frames > {shown + 10}")
            check_frames(open_package(path), await page.evaluate(CAPTURE, 24))
            figures = await ask(page, "player.figures")
            assert figures["refused"] == 0
            assert figures["planBytes"] == sum(open_package(path).manifest.size_of(0).values())

    asyncio.run(run())


def test_a_page_says_why_it_interpolates(tmp_path: Path) -> None:
    path, other = tiny(tmp_path), write_tiny(tmp_path, name="foreign")

    async def run() -> None:
        async with (
            serving(tmp_path) as origin,
            watching(path, tmp_path, origin.url, "foreign") as page,
        ):
            await page.get_by_text("the video is interpolated").wait_for()
            assert await ask(page, "player.figures.superResolved") == 0

    assert other.exists()
    asyncio.run(run())
