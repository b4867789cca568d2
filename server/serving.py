"""The process that serves: its socket, its signals, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from kernels.errors import StreamError
from server.app import create_app
from server.catalogue import Catalogue, open_catalogue
from server.logs import set_up_logs
from server.settings import Settings
from server.timed_http import timed_http
from server.whep import Viewers

log = logging.getLogger("crispcast.server")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises StreamError where the port is in use or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
        opened.listen(128)
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or error
        raise StreamError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port"
        ) from None
    return opened


class DrainingServer(uvicorn.Server):
    """On SIGTERM: no new viewers, time for those that are here, then the end.

    A second SIGTERM, and ctrl-C at any time, end it at once.
    """

    def __init__(self, config: uvicorn.Config, viewers: Viewers) -> None:
        super().__init__(config)
        self._viewers = viewers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM and self._loop is not None and not self._viewers.draining:
            self._viewers.draining = True
            self._loop.call_soon_threadsafe(self._begin_draining)
        else:
            super().handle_exit(sig, frame)

    def _begin_draining(self) -> None:
        self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        await self._viewers.drain(self._viewers.settings.drain_timeout)
        self.should_exit = True


def configured(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How HTTP is spoken: TLS, proxies, limits. Raises StreamError where TLS cannot be."""
    if settings.tls_certificate is not None:
        try:
            tried = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tried.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:  # SSLError is one
            raise StreamError(
                f"TLS cannot be spoken with {settings.tls_certificate} and {settings.tls_key}: "
                f"{error.strerror or error}; both must be PEM, and belong together"
            ) from None
    return uvicorn.Config(
        app,
        http=timed_http(settings.http_timeout),
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=math.ceil(settings.offer_timeout) + 3,
    )


def _allow_sockets() -> None:
    """A viewer has a socket for each address of this machine: as many as the system lets us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def serve(
    path: str | os.PathLike[str],
    settings: Settings | None = None,
    on_ready: Callable[[str, Catalogue], None] | None = None,
) -> None:
    """Serve a package or a folder of packages until interrupted or drained. Blocks.

    Sets up this process's logs. `on_ready` gets the base URL and the catalogue. Raises
    PackageError, StreamError.
    """
    settings = settings or Settings()
    set_up_logs(settings)
    catalogue = open_catalogue(path)
    app = create_app(catalogue, settings)
    config = configured(app, settings)
    with listen(settings.host, settings.port) as opened:
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        scheme = "http" if settings.tls_certificate is None else "https"
        if on_ready is not None:
            on_ready(f"{scheme}://{name}:{opened.getsockname()[1]}", catalogue)
        _allow_sockets()
        # What was imported stays: looking through it for garbage would hold up every viewer.
        gc.collect()
        gc.freeze()
        DrainingServer(config, app.state.viewers).run(sockets=[opened])
