"""WHEP: a POST with an offer gives an answer and a session (draft-ietf-wish-whep-03, section 4).

The answer has all candidates of ours; the client's may come later, by PATCH. ICE restarts are not
done (422).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections import Counter, deque
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from client_sdk.contract import av1_codec
from client_sdk.contract.control import EXTENSION_REL, Bye
from kernels.errors import PackageError, StreamError
from server.access import Access
from server.asset_store import AssetStore
from server.catalogue import Catalogue
from server.ice_servers import ice_links
from server.metrics import Live, Metrics
from server.open_media import OpenMedia
from server.rates import address_of, limited, network_of
from server.replicas import HOPS, MOST_HOPS, Replicas
from server.settings import Settings
from server.trickle import SDP_FRAGMENT, read_fragment
from server.viewer import Viewer

log = logging.getLogger("crispcast.server")

SDP = "application/sdp"
METHODS = "POST, OPTIONS, GET, HEAD"
_BETWEEN_MOVES = 0.1  # seconds: each of them costs another server a handshake
_ON_THE_WAY = 2.0  # seconds from a viewer's goodbye until its place elsewhere is known here
_SENDING_ON = 3.0  # seconds in which a viewer that was sent away asks where to go
SESSION_METHODS = "DELETE, PATCH, OPTIONS"


class Viewers:
    """Who watches: sessions by their secret ids, and the media that they share."""

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        av1_codec.register()
        self.catalogue = catalogue
        self.settings = settings
        self.assets = AssetStore(settings.asset_cache)
        self.metrics = Metrics()
        self.metrics.watch(self._live)
        self.replicas = Replicas(settings.replicas, time.monotonic)
        self.draining = False
        self._sessions: dict[str, Viewer] = {}
        self._networks: dict[str, str] = {}  # of each session
        self.media = OpenMedia(catalogue, settings.is_channel)
        self._joining = 0
        self._by_network: Counter[str] = Counter()
        self._past_frames = self._past_bytes = 0
        self.all_gone = asyncio.Event()
        self.all_gone.set()

    @property
    def count(self) -> int:
        """Sessions now, those being set up among them."""
        return len(self._sessions) + self._joining

    @property
    def room(self) -> int:
        """How many more are taken."""
        return 0 if self.draining else max(0, self.settings.max_viewers - self.count)

    def only(self) -> Viewer:
        """The one session there is; raises ValueError where there is another number."""
        (viewer,) = self._sessions.values()
        return viewer

    def find(self, name: str, session: str) -> Viewer:
        """The session of that package; raises HTTPException 404."""
        viewer = self._sessions.get(session)
        if viewer is None or viewer.package_name != name:
            raise HTTPException(404, "there is no such session")
        return viewer

    async def join(self, name: str, offer: str, address: str, hops: int = 0) -> tuple[Viewer, str]:
        """A new viewer of the package and the answer's SDP; raises HTTPException.

        `hops`: how often other servers sent the viewer on.
        """
        if self.draining:
            why = "the server is about to stop and takes no new viewers"
            raise self._elsewhere(name, hops, why)
        if self.count >= self.settings.max_viewers:
            why = f"all {self.settings.max_viewers} places are taken"
            raise self._elsewhere(name, hops, why)
        network, most = network_of(address), self.settings.max_viewers_of_address
        if most and self._by_network[network] >= most:
            raise self._busy(f"all {most} places of one address are taken", 429)
        self._joining += 1
        self._by_network[network] += 1
        viewer = None
        try:
            try:
                media = await self.media.take(name)
            except PackageError as error:
                log.error("%s", error)
                raise self.damaged(name) from None
            try:
                made = Viewer(media, self.assets, self.settings, self._leave, self.metrics)
            except BaseException:
                self.media.give_back(media)
                raise
            try:
                answer = await made.answer(offer)
            except BaseException as error:
                await made.close("refused")
                if isinstance(error, StreamError):
                    raise HTTPException(400, str(error)) from None
                raise
            if "a=candidate:" not in answer:
                await made.close("refused")
                why = "no socket for media could be opened: no network, or too many open files"
                log.error("a viewer was sent away: %s", why)
                raise self._elsewhere(name, hops, why)
            viewer = made
            self._sessions[viewer.id] = viewer
            self._networks[viewer.id] = network
            self.all_gone.clear()
            self.metrics.sessions.inc()
            return viewer, answer
        finally:
            self._joining -= 1
            if viewer is None:
                self._free(network)

    def _free(self, network: str) -> None:
        """Give back a place of that network's."""
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]

    def _elsewhere(self, name: str, hops: int, why: str) -> HTTPException:
        url = self.replicas.endpoint(name, hops)
        if url is None:
            # Who sent the viewer here knew of a place; it will soon know better.
            return self._busy(why, seconds=1 if hops else None)
        headers = {"Location": url, "Cache-Control": "no-store"}
        return HTTPException(307, "another server has room", headers)

    def damaged(self, name: str) -> HTTPException:
        """The refusal where a package cannot be played, for now: it may be mended."""
        return self._busy(f"package {name} is damaged and cannot be played now", 409)

    def _busy(self, why: str, status: int = 503, seconds: int | None = None) -> HTTPException:
        wait = self.settings.retry_after if seconds is None else seconds
        return HTTPException(status, why, {"Retry-After": str(wait)})

    def _leave(self, viewer: Viewer) -> None:
        if self._sessions.pop(viewer.id, None) is not None:
            self._free(self._networks.pop(viewer.id))
            self._past_frames += viewer.frames_sent
            self._past_bytes += viewer.asset_bytes_sent
        self.media.give_back(viewer.media)
        if not self._sessions:
            self.all_gone.set()

    def _live(self) -> Live:
        sessions = list(self._sessions.values())
        return Live(
            viewers=self.count,
            places=self.settings.max_viewers,
            packages=len(self.catalogue.packages),
            unavailable=len(self.catalogue.broken),
            draining=self.draining,
            frames=self._past_frames + sum(viewer.frames_sent for viewer in sessions),
            asset_bytes=self._past_bytes + sum(viewer.asset_bytes_sent for viewer in sessions),
            tasks=len(asyncio.all_tasks()),
        )

    async def drain(self, seconds: float) -> None:
        """Take no new viewers, and wait until those that are here have gone, `seconds` at most.

        Where other servers have room, viewers that can be told are asked to go there.
        """
        self.draining = True
        log.info("draining: %d viewers have %g s to finish", self.count, seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self.replicas:
                    await self._move()
                await self.all_gone.wait()

    async def _move(self) -> None:
        """Send viewers to other servers, one after the other, as long as these have room."""
        goodbye = Bye(reason="shutdown", message="this server stops; another one has room")
        clock = asyncio.get_running_loop().time
        # Places that viewers on their way will take: nothing that the others say counts them yet.
        on_their_way: deque[float] = deque()
        moved = False
        while not self.all_gone.is_set():
            while on_their_way and on_their_way[0] < clock() - _ON_THE_WAY:
                on_their_way.popleft()
            viewer = next((v for v in self._sessions.values() if v.hears), None)
            if viewer is not None and self.replicas.room > len(on_their_way):
                viewer.send_away("shutdown", goodbye)
                on_their_way.append(clock())
                moved = True
            await asyncio.sleep(_BETWEEN_MOVES)
        if moved:
            await asyncio.sleep(_SENDING_ON)

    async def close(self) -> None:
        """Say goodbye to all and give the files back."""
        goodbye = Bye(reason="shutdown", message="the server stops")
        await asyncio.gather(*(v.close("shutdown", goodbye) for v in list(self._sessions.values())))
        self.media.close()


def manifest_path(name: str) -> str:
    """URL path of a package's manifest."""
    return f"/packages/{quote(name)}/manifest.json"


def whep_router(viewers: Viewers, access: Access) -> APIRouter:
    """The routes under /whep."""
    settings = viewers.settings
    rate = Depends(limited(settings.requests_per_minute))

    def known(name: str, request: Request) -> None:
        # A token is asked for first: without one, nobody learns which packages there are.
        access.require(request.headers.get("authorization"), name)
        if name in viewers.catalogue.broken:
            raise viewers.damaged(name)
        if name not in viewers.catalogue.packages:
            raise HTTPException(404, f"there is no package {name[:80]}")

    def ice(response: Response, viewer: str) -> None:
        shared = settings.turn_secret
        secret = None if shared is None else shared.get_secret_value()
        expiry = int(time.time()) + settings.turn_seconds
        for link in ice_links(settings.ice_servers, secret, viewer, expiry):
            response.headers.append("Link", link)

    router = APIRouter(prefix="/whep", tags=["WHEP"])

    @router.post("/{name}", status_code=201, dependencies=[rate, Depends(known)])
    async def begin(name: str, request: Request) -> Response:
        """Take an SDP offer and answer it."""
        _expect(request, SDP, "offer", "Accept-Post")
        offer = await _text(request, settings, "offer")
        hops = _hops(request.query_params.get(HOPS))
        viewer, answer = await viewers.join(name, offer, address_of(request), hops)
        headers = {
            "Location": f"/whep/{quote(name)}/{viewer.id}",
            "ETag": viewer.etag,
            # Section 4.9: extensions are announced by their relation, and never required.
            "Link": f'<{manifest_path(name)}>; rel="{EXTENSION_REL}"',
            "Cache-Control": "no-store",
        }
        response = Response(answer, 201, headers, SDP)
        ice(response, viewer.label)
        return response

    @router.get("/{name}", status_code=204, dependencies=[Depends(known)])
    async def look(name: str) -> Response:
        """Section 4.2: a GET of the endpoint has an empty answer."""
        return Response(status_code=204, headers={"Accept-Post": SDP})

    @router.head("/{name}", dependencies=[Depends(known)])
    async def look_head(name: str) -> Response:
        """HEAD answers 200."""
        return Response(status_code=200, headers={"Accept-Post": SDP})

    @router.options("/{name}", status_code=204, dependencies=[Depends(known)])
    async def options(name: str) -> Response:
        """What may be sent here; and the ICE servers, for clients that need them first."""
        response = Response(status_code=204, headers={"Accept-Post": SDP, "Allow": METHODS})
        ice(response, secrets.token_hex(4))
        return response

    @router.options("/{name}/{session}", status_code=204)
    async def session_options(name: str, session: str) -> Response:
        """What a session takes."""
        headers = {"Allow": SESSION_METHODS, "Accept-Patch": SDP_FRAGMENT}
        return Response(status_code=204, headers=headers)

    @router.delete("/{name}/{session}", dependencies=[rate])
    async def end(name: str, session: str) -> Response:
        """End the session, whatever ETag is sent (section 4.5)."""
        await viewers.find(name, session).close()
        return Response(status_code=200)

    @router.patch("/{name}/{session}", status_code=204, dependencies=[rate])
    async def trickle(name: str, session: str, request: Request) -> Response:
        """Take candidates of the client's (section 4.3.2)."""
        viewer = viewers.find(name, session)
        match = request.headers.get("if-match")
        if match is None:
            raise HTTPException(428, "PATCH wants If-Match with the session's ETag")
        if match.strip() not in ("*", viewer.etag):
            raise HTTPException(412, "the ETag is not this session's")
        _expect(request, SDP_FRAGMENT, "fragment", "Accept-Patch")
        body = await _text(request, settings, "fragment")
        try:
            fragment = read_fragment(body)
            if fragment.ufrag not in (None, viewer.remote_ufrag):
                raise HTTPException(422, "ICE restarts are not supported; begin a new session")
            viewer.trickle(fragment)
        except StreamError as error:
            raise HTTPException(400, str(error)) from None
        return Response(status_code=204)

    return router


def _hops(told: str | None) -> int:
    """How often a viewer was sent on, by its URL; what makes no sense counts as often enough."""
    if told is None:
        return 0
    return int(told) if re.fullmatch("[0-9]", told) else MOST_HOPS


def _expect(request: Request, kind: str, what: str, header: str) -> None:
    sent = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if sent != kind:
        raise HTTPException(415, f"the {what} must come as {kind}", {header: kind})


async def _text(request: Request, settings: Settings, what: str) -> str:
    body = await read_body(request, settings.max_offer_bytes, settings.offer_timeout, what)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise HTTPException(400, f"the {what} is not an SDP that can be read") from None


async def read_body(request: Request, limit: int, seconds: float, what: str) -> bytes:
    """The body, no more than `limit` bytes in `seconds`; raises HTTPException 400, 408, 413."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise HTTPException(413, f"the {what} is longer than {limit} bytes")
    except TimeoutError:
        raise HTTPException(408, f"the {what} did not come within {seconds:g} s") from None
    except ClientDisconnect:
        raise HTTPException(400, f"the {what} broke off") from None
    return bytes(body)
