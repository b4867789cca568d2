"""Connections that stand still, over real sockets: they end, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Response

from server.serving import configured
from server.settings import Settings
from tests.server.asgi import served_app

PATIENCE = 20.0
LARGE = 64 << 20


def app() -> FastAPI:
    made = FastAPI()

    @made.get("/small")
    async def small() -> str:
        return "small"

    @made.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(3.5)
        return "slow"

    @made.get("/large")
    async def large() -> Response:
        return Response(bytes(LARGE))

    return made


@contextlib.asynccontextmanager
async def opened(timeout: float) -> AsyncIterator[tuple[str, int]]:
    config = configured(app(), Settings(http_timeout=timeout))
    async with served_app(config) as url, asyncio.timeout(PATIENCE):
        yield "127.0.0.1", int(url.rsplit(":", 1)[1])


async def ended(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read(-1)


@pytest.mark.parametrize("said", [b"", b"GET /small HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_head_that_never_ends_ends_its_connection(said: bytes) -> None:
    async def run() -> None:
        async with opened(0.3) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(said)
            gone = asyncio.create_task(ended(reader))
            while not gone.done():
                if said:
                    writer.write(b"x")  # it goes on for ever
                await asyncio.sleep(0.02)
            await gone
            writer.close()

    asyncio.run(run())


def test_a_body_that_nobody_reads_ends_with_its_connection() -> None:
    async def run() -> None:
        async with opened(1.0) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(b"GET /small HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
            assert b"200" in await reader.readline()
            gone = asyncio.create_task(ended(reader))
            while not gone.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)
            await gone
            writer.close()

    asyncio.run(run())


def test_an_answer_of_which_nothing_is_taken_ends_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> int:
        async with opened(0.3) as (host, port):
            loop = asyncio.get_running_loop()
            with socket.socket() as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.setblocking(False)
                await loop.sock_connect(deaf, (host, port))
                await loop.sock_sendall(deaf, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                while "takes nothing of an answer" not in caplog.text:
                    await asyncio.sleep(0.01)
                got = 0
                with contextlib.suppress(ConnectionError):
                    while data := await loop.sock_recv(deaf, 1 << 20):
                        got += len(data)
                return got

    with caplog.at_level(logging.INFO, "crispcast.server"):
        assert asyncio.run(run()) < LARGE


def test_an_answer_may_take_its_time() -> None:
    async def run() -> None:
        async with opened(1.0) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" in await reader.readline()
            writer.close()

    asyncio.run(run())


def test_who_is_slow_but_goes_on_is_served() -> None:
    async def run() -> None:
        limit = 1.0  # a machine may be busy, and then neither side goes on for a while
        async with opened(limit) as place:
            loop = asyncio.get_running_loop()
            reader, writer = await asyncio.open_connection(*place, limit=4096)
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            got, quick = 0, loop.time() + 3.5 * limit
            while data := await reader.read(1 << 20):
                got += len(data)
                if loop.time() < quick:
                    assert got < LARGE
                    await asyncio.sleep(0.02)
            assert got == LARGE
            writer.close()

    asyncio.run(run())
