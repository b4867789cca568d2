"""A server on a real socket of this machine, inside the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.message import Message

import uvicorn

from server.app import create_app
from server.serving import configured, listen
from server.settings import Settings
from server.whep import Viewers


@dataclass(frozen=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Served:
    """A running server: its base URL, and who watches."""

    url: str
    viewers: Viewers

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One HTTP request, whatever its status."""
        return await asyncio.to_thread(_ask, method, self.url + path, body, headers or {})


def _ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
    request = urllib.request.Request(url, data=body, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


@contextlib.asynccontextmanager
async def serving(
    path: str | os.PathLike[str], settings: Settings | None = None
) -> AsyncIterator[Served]:
    """Serve `path` on a free port until the block ends."""
    app = create_app(path, settings)
    with listen("127.0.0.1", 0) as opened:
        server = uvicorn.Server(configured(app, settings or Settings()))
        running = asyncio.create_task(server.serve(sockets=[opened]))
        try:
            yield Served(f"http://127.0.0.1:{opened.getsockname()[1]}", app.state.viewers)
        finally:
            server.should_exit = True
            await running
