"""Headless Chromium, driven by Playwright, on a page of a server of ours."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright

from benchmarks.page import chromium

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    # Names that only multicast resolves; and a site that a test makes up may ask this machine.
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks",
]
SCREENSHOTS = Path(os.environ.get("CRISPCAST_SCREENSHOTS", "build/screenshots"))
PATIENCE = 30_000  # milliseconds: the machine may be busy


@contextlib.asynccontextmanager
async def browsing(**options: Any) -> AsyncIterator[BrowserContext]:
    """A fresh browser; `options` are those of its context (viewport, has_touch, ...)."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            context = await browser.new_context(**options)
            context.set_default_timeout(PATIENCE)
            yield context
        finally:
            await browser.close()


async def keep(page: Page, name: str) -> Path:
    """A screenshot of the page under build/screenshots (CRISPCAST_SCREENSHOTS: elsewhere)."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    await page.screenshot(path=path)
    return path
