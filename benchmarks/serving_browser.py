"""The web player in headless Chromium on a server's page, for `benchmarks.serving`."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import async_playwright

from benchmarks.page import chromium

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
_FIGURES = "document.querySelector('crispcast-player').figures"
_WARM_UP = 4.0  # seconds: code is compiled, the machine's clock settles


async def _watch(url: str, name: str, seconds: float) -> dict[str, Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=_ARGUMENTS)
        try:
            page = await browser.new_page(viewport={"width": 1920, "height": 1200})
            await page.goto(f"{url}/watch/{name}")
            await page.get_by_role("button", name="Play", exact=True).first.click()
            await page.wait_for_function(f"() => {_FIGURES}.superResolved > 3", timeout=30_000)
            await asyncio.sleep(_WARM_UP)
            before = await page.evaluate(f"() => [performance.now(), {_FIGURES}]")
            await asyncio.sleep(seconds)
            after = await page.evaluate(f"() => [performance.now(), {_FIGURES}]")
        finally:
            await browser.close()
    elapsed = (after[0] - before[0]) / 1000
    passed = {key: after[1][key] - before[1][key] for key in ("frames", "superResolved", "skipped")}
    return {
        "fps": passed["superResolved"] / elapsed,
        "skipped": passed["skipped"],
        "frame_ms": after[1]["frameMs"],
        "late_plans": after[1]["latePlans"],
        "engine": after[1]["engine"],
    }


def watch(url: str, name: str, seconds: float) -> dict[str, Any]:
    """Frames a second that were decoded, super-resolved and drawn, over so many seconds."""
    return asyncio.run(_watch(url, name, seconds))
