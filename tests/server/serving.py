"""A server on a real socket of this machine, inside the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

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
    openapi: dict[str, Any]

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One HTTP request, whatever its status, which the OpenAPI document must know."""
        reply = await asyncio.to_thread(_ask, method, self.url + path, body, headers or {})
        declared = self.declared(method, path)
        assert declared is None or str(reply.status) in declared, (method, path, reply.status)
        return reply

    def declared(self, method: str, path: str) -> dict[str, Any] | None:
        """The answers that are told of a request; None where there is no such operation."""
        bare = path.split("?")[0]
        for template, methods in self.openapi["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), bare):
                operation = methods.get(method.lower())
                return None if operation is None else operation["responses"]
        return None


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
            url = f"http://127.0.0.1:{opened.getsockname()[1]}"
            yield Served(url, app.state.viewers, app.openapi())
        finally:
            server.should_exit = True
            await running
