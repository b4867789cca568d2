"""Servers of the same packages, and which of them has room for a viewer.

    every second: GET /readyz of each ─► how many places are free there, for a while
    a viewer without a place here ─► choose() ─► 307 to one that has some

What another server says is believed only so far: an answer is short, quick and well-formed or it is
none, and one that boasts of its room draws no more viewers than one with 100 places.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, Field

log = logging.getLogger("crispcast.server")

HOPS = "hops"
"""In the query of a WHEP endpoint: how often the viewer was sent on."""
MOST_HOPS = 2
_EVERY = 1.0  # seconds between two questions
_PATIENCE = 2.0  # seconds for an answer
_GOOD_FOR = 5.0  # seconds that an answer counts
_MOST_BYTES = 8 << 10  # of an answer, headers among them
_MOST_ROOM = 100  # that a replica is believed to have
_OK = re.compile(rb"HTTP/1\.[01] 200[ \r]")


class Ready(BaseModel):
    """What matters here of the answer of `/readyz`."""

    replica: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    room: Annotated[int, Field(ge=0, strict=True)]


@dataclass(slots=True)
class _Known:
    room: int
    until: float


class Replicas:
    """The others, by their base URLs. `clock` gives seconds.

    `identity` tells this server from them, so that its own URL may stand in the list.
    """

    def __init__(self, urls: tuple[str, ...], clock: Callable[[], float]) -> None:
        self.identity = secrets.token_hex(8)
        self._urls = urls
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def __bool__(self) -> bool:
        return bool(self._urls)

    @property
    def room(self) -> int:
        """Places that are free at the others, as far as is known."""
        return sum(known.room for known in self._fresh().values())

    def choose(self) -> str | None:
        """The base URL of one with room, the more likely the more it has; None: there is none.

        A place of it counts as taken from now on.
        """
        fresh = self._fresh()
        if not fresh:
            return None
        (url,) = random.choices([*fresh], [known.room for known in fresh.values()])
        fresh[url].room -= 1
        return url

    def endpoint(self, package: str, hops: int) -> str | None:
        """Where one with room has `package`, for a viewer sent on `hops` times yet; None: stay."""
        url = self.choose() if hops < MOST_HOPS else None
        return None if url is None else f"{url}/whep/{quote(package)}?{urlencode({HOPS: hops + 1})}"

    def tell(self, url: str, ready: Ready | None) -> None:
        """What the replica answered; None: nothing of use."""
        if ready is None or ready.replica == self.identity:
            self._known.pop(url, None)
        else:
            room = min(ready.room, _MOST_ROOM)
            self._known[url] = _Known(room, self._clock() + _GOOD_FOR)

    async def follow(self) -> None:
        """Ask all of them again and again, until cancelled."""
        await asyncio.gather(*map(self._follow, self._urls))

    async def _follow(self, url: str) -> None:
        there: bool | None = None
        while True:
            ready = None
            try:
                ready = await ask(url)
            except (OSError, ValueError) as error:  # TimeoutError, SSLError are OSErrors
                if there is not False:
                    log.warning("replica %s takes no viewers: %s", url, str(error)[:200] or "late")
            there = ready is not None
            self.tell(url, ready)
            await asyncio.sleep(_EVERY)

    def _fresh(self) -> dict[str, _Known]:
        now = self._clock()
        return {url: k for url, k in self._known.items() if k.room > 0 and k.until > now}


@cache
def _tls() -> ssl.SSLContext:
    """One for all: reading the certificates takes longer than a frame lasts."""
    return ssl.create_default_context()


async def ask(url: str, patience: float = _PATIENCE) -> Ready:
    """How a server is doing, asked within `patience` seconds. No redirect is followed.

    Raises OSError (TimeoutError) where it does not answer, ValueError where it is not ready, or
    answers too much, or something else.
    """
    parts = urlsplit(url)
    secure = _tls() if parts.scheme == "https" else None
    port = parts.port or (80 if secure is None else 443)
    # HTTP/1.0: the body is not in chunks, and ends with the connection.
    request = f"GET /readyz HTTP/1.0\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    async with asyncio.timeout(patience):
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure)
        try:
            writer.write(request.encode())
            data = await _all_of(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return read_answer(data)


def read_answer(data: bytes) -> Ready:
    """What a server said to that; raises ValueError where it is not ready, or tells no room."""
    head, _, body = data.partition(b"\r\n\r\n")
    if not _OK.match(head):
        said = head[:60].partition(b"\r")[0].decode("ascii", "replace")
        raise ValueError(f"it says {said!r}")
    try:
        return Ready.model_validate_json(body)
    except ValueError:
        raise ValueError("it does not tell its room") from None


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    try:
        await reader.readexactly(_MOST_BYTES + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise ValueError(f"its answer is longer than {_MOST_BYTES} bytes")
