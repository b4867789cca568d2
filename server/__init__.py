"""The server: WHEP and assets over HTTP, H.264 as it is over RTP, plans over the data channel.

`serve` blocks and serves; `create_app` gives the FastAPI application for another ASGI server.
Both are imported when first asked for, so that `server.encoding` costs no web framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.app import create_app
    from server.serving import serve
    from server.settings import Settings

__all__ = ["Settings", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from server.app import create_app

        return create_app
    if name == "serve":
        from server.serving import serve

        return serve
    if name == "Settings":
        from server.settings import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
