"""A WHIP endpoint that receives, and does as it is told: refuses, redirects, hangs up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from fastapi import FastAPI, Request, Response

from client_sdk.contract import av1_codec
from tests.server.asgi import served_app

SDP = "application/sdp"


@dataclass
class Session:
    """One that publishes here: its offer, what came of it, and whether it said goodbye."""

    offer: str
    peer: RTCPeerConnection
    frames: list[av.VideoFrame] = field(default_factory=list)
    sound: list[av.AudioFrame] = field(default_factory=list)


@dataclass
class Endpoint:
    """`answers`: what the next POSTs get instead of a session. `links`: of all other answers."""

    url: str = ""
    answers: list[Response] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # with their tokens
    links: tuple[str, ...] = ()
    change: Callable[[str], str] = str  # of the answer's SDP
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def playing(self, session: int, frames: int = 0) -> bool:
        """Whether that session has brought more than so many frames."""
        return len(self.sessions) > session and len(self.sessions[session].frames) > frames

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what happened makes it true."""
        async with self.news:
            await self.news.wait_for(condition)

    async def happened(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def publish(self, offer: str) -> tuple[Session, str]:
        session = Session(offer, RTCPeerConnection())
        self.sessions.append(session)

        @session.peer.on("track")
        def take(track: MediaStreamTrack) -> None:
            self.tasks.add(asyncio.ensure_future(self._receive(session, track)))

        await session.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await session.peer.setLocalDescription(await session.peer.createAnswer())
        return session, self.change(session.peer.localDescription.sdp)

    async def _receive(self, session: Session, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, av.VideoFrame):
                    session.frames.append(frame)
                elif isinstance(frame, av.AudioFrame):
                    session.sound.append(frame)
                await self.happened()

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def note(request: Request, call: Callable[[Request], object]) -> Response:
            token = request.headers.get("authorization")
            self.requests.append((request.method, request.url.path, token))
            response: Response = await call(request)  # type: ignore[misc]
            await self.happened()
            return response

        def linked(response: Response) -> Response:
            for link in self.links:
                response.headers.append("Link", link)
            return response

        @app.options("/whip")
        async def options() -> Response:
            return linked(Response(status_code=204))

        @app.post("/whip")
        async def whip(request: Request) -> Response:
            assert request.headers["content-type"] == SDP
            offer = (await request.body()).decode()
            if self.answers:
                return self.answers.pop(0)
            _, answer = await self.publish(offer)
            where = {"Location": f"/session/{len(self.sessions) - 1}", "ETag": '"one"'}
            return linked(Response(answer, 201, where, SDP))

        @app.delete("/session/{index}")
        async def end(index: int) -> Response:
            await self.sessions[index].peer.close()
            return Response(status_code=200)

        return app


@contextlib.asynccontextmanager
async def whip_endpoint() -> AsyncIterator[Endpoint]:
    """The endpoint on a free port, inside the test's event loop, until the block ends."""
    av1_codec.register()
    endpoint = Endpoint()
    try:
        async with served_app(endpoint.app()) as endpoint.url:
            yield endpoint
    finally:
        await asyncio.gather(*(session.peer.close() for session in endpoint.sessions))
