"""Which pages may ask from elsewhere (the CORS protocol of the Fetch standard), fit for caches.

Where all may, every answer says so, also to those that are no pages: a cache between hands the same
answer to both, and few caches heed `Vary`.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Send


class CrossOrigin(CORSMiddleware):
    """Starlette's, with answers that do not depend on who asks where anybody may."""

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Pass a part of the answer on."""
        if not self.allow_all_origins or message["type"] != "http.response.start":
            await super().send(message, send, request_headers)
            return
        message.setdefault("headers", [])
        MutableHeaders(scope=message).update(self.simple_headers)
        await send(message)
