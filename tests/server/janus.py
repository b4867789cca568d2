"""A real SFU for tests: Janus of Debian, and a thin bridge to it from WHIP and WHEP.

    publisher ── WHIP ─► bridge ─► Janus' API ◄─ bridge ◄── WHEP ── viewer
        └──── ICE, DTLS, RTP ────► VideoRoom ──── ICE, DTLS, RTP ─────►┘

The bridge carries SDP and nothing else: media goes through Janus, which ends ICE, DTLS and SRTP on
both sides. VideoRoom always makes the offer to its subscribers, so the WHEP side counter-offers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import shutil
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response

from tests.server.asgi import served_app
from tests.server.test_reconnect import free_port

JANUS = shutil.which("janus")
PLUGIN = "janus.plugin.videoroom"
SDP = "application/sdp"
PATIENCE = 20.0
_NOT_YET = frozenset({426, 428})
"""Of a room, or of one who publishes, that Janus does not have (yet)."""

_CONFIG = """
general: {{ configs_folder = "{folder}", debug_level = 4, session_timeout = 0
  plugins_folder = "{there}/plugins", transports_folder = "{there}/transports"
  events_folder = "{folder}/none", loggers_folder = "{folder}/none" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_HTTP = """
general: {{ http = true, https = false, port = {port}, ip = "127.0.0.1", json = "compact" }}
admin: {{ admin_http = false }}
"""


class Janus:
    """A running Janus, and the conversation with it over its REST API."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}/janus"
        self._numbers = itertools.count()

    async def ask(self, janus: str, *place: int, **fields: Any) -> dict[str, Any]:
        """A request of a session and handle; its answer, or the event that follows an `ack`."""
        transaction = str(next(self._numbers))
        body = json.dumps({"janus": janus, "transaction": transaction, **fields}).encode()
        path = "".join(f"/{part}" for part in place)
        said = await asyncio.to_thread(_fetch, f"{self._url}{path}", body)
        while said.get("transaction") != transaction or said["janus"] == "ack":
            said = await asyncio.to_thread(_fetch, f"{self._url}/{place[0]}?maxev=1")
        return said


def _fetch(url: str, body: bytes | None = None) -> dict[str, Any]:
    with urllib.request.urlopen(url, body, timeout=PATIENCE) as reply:
        said = json.load(reply)
    found: dict[str, Any] = said[0] if isinstance(said, list) else said
    return found


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Janus]:
    """Janus with its VideoRoom alone, from when it listens until the block ends."""
    assert JANUS is not None
    (there,) = Path("/usr/lib").glob("*/janus")
    kept = {"plugins": "libjanus_videoroom.so", "transports": "libjanus_http.so"}
    others = {
        kind: ",".join(sorted(p.name for p in (there / kind).glob("*.so") if p.name != one))
        for kind, one in kept.items()
    }
    config, port = folder / "janus.jcfg", free_port()
    config.write_text(_CONFIG.format(folder=folder, there=there, **others))
    (folder / "janus.transport.http.jcfg").write_text(_HTTP.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
    process = await asyncio.create_subprocess_exec(
        JANUS,
        *("-F", str(folder), "-C", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    with (folder / "log").open("wb") as log:
        draining = None
        try:
            async with asyncio.timeout(PATIENCE):
                async for line in process.stdout:
                    log.write(line)
                    if b"HTTP/HTTPS) transport plugin initialized" in line:
                        break
            draining = asyncio.ensure_future(_drain(process.stdout, log))
            yield Janus(process, port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if draining is not None:
                await draining


async def _drain(source: asyncio.StreamReader, log: Any) -> None:
    async for line in source:
        log.write(line)


@dataclass
class Bridge:
    """WHIP at /NAME/whip and WHEP at /NAME/whep, for as many NAMEs as are asked for.

    `sessions`: Janus' session and handle of each of ours. `token`: what WHIP wants.
    """

    janus: Janus
    token: str | None = None
    url: str = ""
    sessions: dict[str, tuple[int, int]] = field(default_factory=dict)
    feeds: dict[str, tuple[str, int]] = field(default_factory=dict)  # by name: session, publisher
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a session's end makes it true."""
        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(condition)

    def restarted(self, janus: Janus) -> None:
        """Another process has taken over, and knows nothing of what was."""
        self.janus = janus
        self.sessions.clear()
        self.feeds.clear()

    async def _handle(self) -> tuple[str, tuple[int, int]]:
        made = await self.janus.ask("create")
        session = made["data"]["id"]
        attached = await self.janus.ask("attach", session, plugin=PLUGIN)
        ours = secrets.token_hex(8)
        place = self.sessions[ours] = (session, attached["data"]["id"])
        return ours, place

    async def _message(
        self, place: tuple[int, int], sdp: Any = None, **body: Any
    ) -> dict[str, Any]:
        jsep = {} if sdp is None else {"jsep": {"type": sdp[0], "sdp": sdp[1]}}
        said = await self.janus.ask("message", *place, body=body, **jsep)
        data = said.get("plugindata", {}).get("data", said)
        if "error" in data or said["janus"] == "error":
            missing = data.get("error_code") in _NOT_YET
            raise HTTPException(404 if missing else 400, str(data.get("error")))
        return said

    async def publish(self, name: str, offer: str) -> tuple[str, str]:
        if name in self.feeds:
            raise HTTPException(409, "somebody publishes there")
        ours, place = await self._handle()
        room = {"room": _room(name), "publishers": 1, "videocodec": "h264,av1", "fir_freq": 0}
        with contextlib.suppress(HTTPException):  # it is there
            await self._message(place, request="create", **room)
        said = await self._message(
            place,
            ("offer", offer),
            request="joinandconfigure",
            room=_room(name),
            ptype="publisher",
        )
        self.feeds[name] = (ours, said["plugindata"]["data"]["id"])
        return ours, said["jsep"]["sdp"]

    async def watch(self, name: str) -> tuple[str, str]:
        if name not in self.feeds:
            raise HTTPException(404, "nobody publishes there")
        ours, place = await self._handle()
        said = await self._message(
            place,
            request="join",
            ptype="subscriber",
            room=_room(name),
            streams=[{"feed": self.feeds[name][1]}],
        )
        return ours, said["jsep"]["sdp"]

    async def start(self, ours: str, answer: str) -> None:
        await self._message(self._find(ours), ("answer", answer), request="start")

    async def end(self, ours: str) -> None:
        session, _ = self._find(ours)
        del self.sessions[ours]
        for name, (publisher, _) in list(self.feeds.items()):
            if publisher == ours:
                del self.feeds[name]
        await self.janus.ask("destroy", session)
        async with self.news:
            self.news.notify_all()

    def _find(self, ours: str) -> tuple[int, int]:
        if ours not in self.sessions:
            raise HTTPException(404, "no such session")
        return self.sessions[ours]

    def app(self) -> FastAPI:
        app = FastAPI()
        cors = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Location"}

        @app.middleware("http")
        async def open_to_all(request: Request, call: Any) -> Response:
            if request.method == "OPTIONS":
                allowed = {"Access-Control-Allow-Methods": "*", "Access-Control-Allow-Headers": "*"}
                return Response(status_code=204, headers=cors | allowed)
            response: Response = await call(request)
            response.headers.update(cors)
            return response

        @app.post("/{name}/whip")
        async def whip(name: str, request: Request) -> Response:
            if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
                raise HTTPException(401, "a bearer token is wanted")
            ours, answer = await self.publish(name, (await request.body()).decode())
            return Response(answer, 201, {"Location": f"/session/{ours}"}, SDP)

        @app.post("/{name}/whep")
        async def whep(name: str) -> Response:
            ours, offer = await self.watch(name)
            return Response(offer, 406, {"Location": f"/session/{ours}"}, SDP)

        @app.patch("/session/{ours}", status_code=204)
        async def answered(ours: str, request: Request) -> Response:
            if request.headers["content-type"] != SDP:
                raise HTTPException(422, "candidates are wanted in the SDP")
            await self.start(ours, (await request.body()).decode())
            return Response(status_code=204)

        @app.delete("/session/{ours}")
        async def delete(ours: str) -> Response:
            await self.end(ours)
            return Response(status_code=200)

        return app


def _room(name: str) -> int:
    """VideoRoom calls its rooms by number."""
    return int.from_bytes(name.encode()[:6], "big")


@contextlib.asynccontextmanager
async def bridged(janus: Janus, token: str | None = None) -> AsyncIterator[Bridge]:
    """The bridge on a free port, inside the test's event loop, until the block ends."""
    bridge = Bridge(janus, token)
    async with served_app(bridge.app()) as bridge.url:
        yield bridge
