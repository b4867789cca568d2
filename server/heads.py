"""HEAD wherever there is a GET (RFC 9110, section 9.3.2): monitors and caches ask by it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_HAVE_THEIRS = ("/whep/", "/assets/", "/sdk/")


class HeadToo:
    """ASGI middleware: a HEAD is answered as the GET would be; uvicorn leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # Section 14.2: its range is ignored.
            scope = {**scope, "headers": [had for had in scope["headers"] if had[0] != b"range"]}
            if not scope["path"].startswith(_HAVE_THEIRS):
                scope["method"] = "GET"
        await self._app(scope, receive, send)
