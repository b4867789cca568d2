"""What people see: a page with the packages, a player page for each, posters, the player's files.

Pages and modules come with the headers of cross-origin isolation, without which a browser gives no
shared memory and the runtime no threads (docs/wasm.md).
"""

from __future__ import annotations

import html
import importlib.util
import os
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from client_sdk.contract import Package
from server.access import Access
from server.catalogue import Catalogue
from server.pages.poster import Posters
from server.ranged import InPieces
from server.settings import Settings

_ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    # Other sites' pages embed the player, isolated ones too.
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_HERE = Path(__file__).parent


def poster_path(name: str) -> str:
    """Where a package's poster is."""
    return f"/packages/{quote(name)}/poster.jpg"


def pages_router(catalogue: Catalogue, access: Access, settings: Settings) -> APIRouter:
    """`GET /`, `GET /watch/NAME` and the posters, of what the request's token opens."""
    router = APIRouter()
    posters = Posters()

    def package_of(name: str, request: Request) -> Package:
        access.require(request.headers.get("authorization"), name)
        package = catalogue.packages.get(name)
        if package is None:
            raise HTTPException(404, f"there is no package {name[:80]}")
        return package

    @router.get("/", response_class=HTMLResponse)
    def index(request: Request) -> Response:
        """The packages, for people."""
        seen = access.seen(request.headers.get("authorization"), catalogue.packages)
        cards = "".join(_card(package, settings.is_channel(package.name)) for package in seen)
        return _page("index", cards=cards or "<p>There is nothing to watch.</p>")

    @router.get("/watch/{name}", response_class=HTMLResponse, include_in_schema=False)
    def watch(name: str, request: Request) -> Response:
        """The player page of a package."""
        package = package_of(name, request)
        values = {
            "title": package.manifest.name,
            "facts": _facts(package),
            "poster": poster_path(name),
            "whep": f"/whep/{quote(name)}",
        }
        return _page("watch", **{key: html.escape(value) for key, value in values.items()})

    @router.get("/packages/{name}/poster.jpg", include_in_schema=False)
    async def poster(name: str, request: Request) -> Response:
        """A frame of the video as a JPEG, made once for as long as the package stays the same."""
        package = package_of(name, request)
        made = await posters.of(package)
        if made is None:
            raise HTTPException(500, f"package {name} has no poster: its video gives no picture")
        # A shared cache must not hand on what wants a token.
        kept = "public" if access.is_open(name) else "private"
        headers = {**_ISOLATED, "Cache-Control": f"{kept}, max-age=3600"}
        return InPieces(made, media_type="image/jpeg", headers=headers)

    return router


class _PlayerFiles(StaticFiles):
    """`client_sdk/web`, wherever it is: an editable install has the built modules elsewhere."""

    def get_directories(self, *_: object) -> list[str | os.PathLike[str]]:
        found = importlib.util.find_spec("client_sdk")
        folders = found.submodule_search_locations if found else None
        return [Path(folder) / "web" for folder in folders or ()]

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update({**_ISOLATED, "Cache-Control": "no-cache"})
        return response


def player_files() -> StaticFiles:
    """The player's modules and the runtime's, for `/sdk`."""
    return _PlayerFiles()


@cache
def _template(name: str) -> Template:
    return Template((_HERE / f"{name}.html").read_text("utf-8"))


def _page(name: str, **values: str) -> Response:
    style = (_HERE / "pages.css").read_text("utf-8")
    return HTMLResponse(_template(name).substitute(values, style=style), headers=_ISOLATED)


def _card(package: Package, is_channel: bool) -> str:
    name, title = quote(package.name), html.escape(package.manifest.name)
    channel = "<em>Channel: live, looped</em>" if is_channel else ""
    return (
        f'<li><a href="/watch/{html.escape(name)}">'
        f'<img src="{html.escape(poster_path(package.name))}" alt="" loading="lazy">'
        f"<b>{title}</b>{channel}<span>{html.escape(_facts(package))}</span></a></li>"
    )


def _facts(package: Package) -> str:
    """Size, length and bit rates in one line."""
    source, rungs = package.manifest.source, package.manifest.rungs
    rung = rungs[0]
    seconds = float(source.frames / source.rate)
    minutes, rest = divmod(int(seconds), 60)
    length = f"{minutes}:{rest:02}"
    if len(rungs) > 1:
        rates = sorted(package.bitrate(index) / 1000 for index in range(len(rungs)))
        return (
            f"{length} · {source.width}×{source.height}, {float(source.rate):.5g} fps · "
            f"{len(rungs)} rungs, {rates[0]:.0f} to {rates[-1]:.0f} kb/s"
        )
    video = package.manifest.per_second(rung.bytes) / 1000
    beside = package.manifest.per_second(package.asset_bytes[0]) / 1000
    return (
        f"{length} · {rung.width}×{rung.height} → {source.width}×{source.height}, "
        f"{float(source.rate):.5g} fps · {video:.0f} kb/s video, "
        f"{beside:.0f} kb/s networks and plates"
    )
