"""Bytes over HTTP, whole or in part: RFC 9110, sections 13.1.2, 13.1.5, 14.2 and 14.4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

PIECE = 64 << 10
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class InPieces(Response):
    """An answer of which a connection holds one piece, however slowly the rest is taken.

    Sent as a whole it would be copied for each connection, and nobody need read any of it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; each piece when those before are taken."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        body = memoryview(self.body)
        for start in range(0, max(1, len(body)), PIECE):
            end = start + PIECE
            await send(
                {
                    "type": "http.response.body",
                    "body": bytes(body[start:end]),
                    "more_body": end < len(body),
                }
            )


def ranged(
    request: Request,
    data: bytes,
    kind: str,
    etag: str,
    cache: str,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """The bytes, or the one range that is asked for."""
    headers = {"ETag": etag, "Cache-Control": cache, "Accept-Ranges": "bytes", **more}
    known = request.headers.get("if-none-match", "")
    if etag in known or known.strip() == "*":
        return Response(status_code=304, headers=headers)
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    replaced = request.headers.get("if-range", etag) != etag
    if match is None or not any(match.groups()) or replaced:
        return InPieces(data, 200, headers, kind)
    first, last = match.groups()
    total = len(data)
    if first:
        start, end = int(first), min(int(last or total - 1), total - 1)
    else:
        start, end = max(0, total - int(last)), total - 1
    if start > end:
        headers["Content-Range"] = f"bytes */{total}"
        return Response(status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{end}/{total}"
    return InPieces(memoryview(data)[start : end + 1], 206, headers, kind)
