"""The HTTP face: WHEP, the catalogue, assets, health."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import quote

from fastapi import Depends, FastAPI, HTTPException, Request, Response

from client_sdk.contract import Package
from client_sdk.contract.control import PROTOCOL
from client_sdk.contract.signing import SIGNATURE_HEADER
from kernels import bases
from kernels.errors import PackageError
from server.access import Access
from server.asset_store import AssetStore
from server.catalogue import Catalogue, open_catalogue
from server.cross_origin import CrossOrigin
from server.heads import HeadToo
from server.health import health_router
from server.metrics import Counted
from server.openapi import describe
from server.pages import pages_router, player_files, poster_path
from server.ranged import ranged
from server.rates import limited
from server.settings import Settings
from server.whep import SDP, Viewers, manifest_path, whep_router

log = logging.getLogger("crispcast.server")

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BASE_ID = re.compile(r"[0-9a-f]{32}")
_FOREVER = "public, max-age=31536000, immutable"
_FOR_NOW = "public, max-age=2"  # a manifest may be replaced; caches ask again by its ETag


def create_app(
    packages: str | os.PathLike[str] | Catalogue, settings: Settings | None = None
) -> FastAPI:
    """The application that serves a package or a folder of packages.

    Raises PackageError where there is nothing to serve. `app.state.viewers` counts who watches.
    """
    settings = settings or Settings()
    catalogue = packages if isinstance(packages, Catalogue) else open_catalogue(packages)
    access = Access(settings)
    viewers = Viewers(catalogue, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        working = [asyncio.create_task(viewers.metrics.measure_loop())]
        if settings.look_seconds:
            follow = catalogue.follow(settings.look_seconds, viewers.media.tidy)
            working.append(asyncio.create_task(follow))
        if viewers.replicas:
            working.append(asyncio.create_task(viewers.replicas.follow()))
        yield
        for task in working:
            task.cancel()
        await viewers.close()

    # No pages of documentation: they would load scripts from elsewhere.
    app = FastAPI(
        title="Crispcast",
        version=PROTOCOL,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.viewers = viewers
    app.state.catalogue = catalogue
    app.include_router(whep_router(viewers, access))
    app.include_router(pages_router(catalogue, access, settings))
    app.mount("/sdk", player_files())
    _add_catalogue(app, viewers, access)
    app.include_router(health_router(viewers, access))
    describe(app)
    app.add_middleware(Counted, metrics=viewers.metrics)
    app.add_middleware(
        CrossOrigin,
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=[
            "Content-Type",
            "If-Match",
            "If-None-Match",
            "If-Range",
            "Range",
            "Authorization",
        ],
        expose_headers=[
            "Location",
            "Link",
            "ETag",
            "Accept-Post",
            "Accept-Patch",
            "Retry-After",
            "Content-Range",
            "WWW-Authenticate",
            SIGNATURE_HEADER,
        ],
    )

    app.add_middleware(HeadToo)

    @app.middleware("http")
    async def accept_post(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        # The CORS layer answers preflights by itself; WHEP wants Accept-Post there too.
        response = await call_next(request)
        if request.method == "OPTIONS" and request.url.path.startswith("/whep/"):
            response.headers["Accept-Post"] = SDP
        return response

    return app


def _add_catalogue(app: FastAPI, viewers: Viewers, access: Access) -> None:
    catalogue = viewers.catalogue

    @app.get("/packages")
    async def packages(request: Request) -> list[dict[str, object]]:
        """What can be watched, with the token that is sent."""
        seen = access.seen(request.headers.get("authorization"), catalogue.packages)
        return [_facts(package, viewers.settings) for package in seen]

    @app.get("/packages/{name}/manifest.json")
    async def manifest(name: str, request: Request) -> Response:
        """A package's manifest, as it is in the package."""
        access.require(request.headers.get("authorization"), name)
        package = catalogue.packages.get(name)
        if package is None:
            raise HTTPException(404, f"there is no package {name[:80]}")
        etag = f'"{package.manifest_sha256}"'
        cache = _kept(_FOR_NOW, shared=access.is_open(name))
        more = {} if package.signature is None else {SIGNATURE_HEADER: package.signature}
        return ranged(request, package.manifest_bytes, "application/json", etag, cache, more)

    rate = Depends(limited(viewers.settings.assets_per_minute))

    @app.head("/assets/{sha256}", dependencies=[rate])
    @app.get("/assets/{sha256}", dependencies=[rate])
    async def asset(sha256: str, request: Request) -> Response:
        """A plan, a plate or a patch map by its hash: immutable, with ranges."""
        if not _SHA256.fullmatch(sha256):
            raise HTTPException(404, "an asset is named by 64 hexadecimal digits")
        holders = catalogue.packages_with(sha256)
        access.require(request.headers.get("authorization"), *(p.name for p in holders))
        if not holders:
            raise HTTPException(404, f"there is no asset {sha256}")
        data = await _asset(viewers.assets, holders, sha256)
        cache = _kept(_FOREVER, shared=any(access.is_open(package.name) for package in holders))
        return ranged(request, data, "application/octet-stream", f'"{sha256}"', cache)

    @app.get("/bases/{identity}")
    async def base(request: Request, identity: str) -> Response:
        """A base that is shipped, by its id: for players that come without them, as pages do."""
        data = bases.find(bytes.fromhex(identity)) if _BASE_ID.fullmatch(identity) else None
        if data is None:
            raise HTTPException(404, f"there is no base {identity[:32]}")
        return ranged(request, data, "application/octet-stream", f'"{identity}"', _FOREVER)


def _kept(how: str, *, shared: bool) -> str:
    """Cache-Control: a shared cache must not hand on what wants a token."""
    return how if shared else how.replace("public", "private")


async def _asset(assets: AssetStore, holders: Sequence[Package], sha256: str) -> bytes:
    """The asset from the first package where it is whole; raises HTTPException 500."""
    for package in holders:
        try:
            return await assets.get(package, sha256)
        except PackageError as error:
            log.error("%s", error)
    raise HTTPException(500, f"asset {sha256} is damaged on the server")


def _facts(package: Package, settings: Settings) -> dict[str, object]:
    source, rung = package.manifest.source, package.manifest.rungs[0]
    seconds = float(source.frames / source.rate)
    return {
        "name": package.name,
        "title": package.manifest.name,
        "id": package.manifest.id,
        "width": source.width,
        "height": source.height,
        "seconds": round(seconds, 3),
        "fps": round(float(source.rate), 3),
        "audio": package.manifest.audio is not None,
        "channel": settings.is_channel(package.name),
        "rungs": [rung.name for rung in package.manifest.rungs],
        "video_kbps": round(package.manifest.per_second(rung.bytes) / 1000, 1),
        "sr_kbps": round(package.manifest.per_second(package.asset_bytes[0]) / 1000, 1),
        "poster": poster_path(package.name),
        "whep": f"/whep/{quote(package.name)}",
        "manifest": manifest_path(package.name),
    }
