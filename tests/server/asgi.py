"""An ASGI app of a test's, served inside its event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

from server.serving import listen


@contextlib.asynccontextmanager
async def served_app(app: FastAPI | uvicorn.Config) -> AsyncIterator[str]:
    """Its URL on a free port, until the block ends; as uvicorn has it, or as it is configured."""
    config = app
    if isinstance(config, FastAPI):
        config = uvicorn.Config(config, log_config=None, access_log=False)
    with listen("127.0.0.1", 0) as opened:
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        try:
            yield f"http://127.0.0.1:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
