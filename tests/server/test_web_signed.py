"""The web player on a page that trusts a key: what that signed is super-resolved, nothing else."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from benchmarks.page import chromium
from server.encoding.signing import SigningKey, sign_package
from tests.client_sdk.tiny import SEGMENTS, write_tiny
from tests.server.serving import serving

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None,
        reason="needs playwright: pip install playwright",
    ),
]
if importlib.util.find_spec("playwright") is not None:
    from playwright.async_api import Page

    from tests.server.chromium import browsing
    from tests.server.test_web_player import ask, until

STATUS = "player.shadowRoot.querySelector('[role=status]').textContent"
HTML = {"Content-Type": "text/html"}
PAGE = """<!doctype html><title>A page</title>
<script type="module" src="/sdk/player/crispcast-player.js"></script>
<crispcast-player src="/whep/tiny" trust="{trust}" muted autoplay></crispcast-player>
"""
NO_ED25519 = """
const { importKey } = SubtleCrypto.prototype;
SubtleCrypto.prototype.importKey = function (format, key, algorithm, ...more) {
  if (algorithm === 'Ed25519') throw new DOMException('Unrecognized name.', 'NotSupportedError');
  return importKey.call(this, format, key, algorithm, ...more);
};
"""


def on_a_page(
    package: Path, trust: str, scenario: Callable[[Page], Awaitable[None]], script: str = ""
) -> None:
    """`scenario(page)` on a page of the server's whose player has this attribute."""

    async def run() -> None:
        async with serving(package) as served, browsing() as browser:
            page = await browser.new_page()
            if script:
                await page.add_init_script(script)
            body = PAGE.format(trust=trust)
            await page.route("**/page", lambda route: route.fulfill(body=body, headers=HTML))
            await page.goto(f"{served.url}/page")
            await scenario(page)

    asyncio.run(run())


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_tiny(tmp_path, segments=SEGMENTS * 8)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.new(tmp_path / "my.key")


def test_what_is_signed_is_super_resolved(package: Path, key: SigningKey) -> None:
    sign_package(package, key)

    async def scenario(page: Page) -> None:
        await until(page, "player.figures?.superResolved > 3")
        assert await ask(page, "player.figures.plain") is None

    on_a_page(package, f"ed25519:{'0' * 64} {key.public}", scenario)


@pytest.mark.parametrize(
    "signed, script, why",
    [
        (False, "", "The manifest is not signed"),
        (True, "", "none of the trusted keys"),
        (True, NO_ED25519, "cannot check signatures"),
    ],
)
def test_what_is_not_trusted_is_shown_small_and_told(
    package: Path, key: SigningKey, tmp_path: Path, signed: bool, script: str, why: str
) -> None:
    if signed:
        sign_package(package, key if script else SigningKey.new(tmp_path / "other.key"))

    async def scenario(page: Page) -> None:
        await until(page, "player.figures?.plain")
        assert why in await ask(page, "player.figures.plain")
        assert why in await ask(page, STATUS)
        video = "player.shadowRoot.querySelector('video')"
        await until(page, f"{video}.currentTime > 0.3 && player.state === 'playing'")
        assert await ask(page, "[player.figures.superResolved, player.figures.planBytes]") == [0, 0]

    on_a_page(package, key.public, scenario, script)


def test_what_is_no_key_ends_the_play_with_a_sentence(package: Path) -> None:
    async def scenario(page: Page) -> None:
        await until(page, "player.state === 'failed'")
        assert "64 hexadecimal digits" in await ask(page, STATUS)

    on_a_page(package, "my key", scenario)
