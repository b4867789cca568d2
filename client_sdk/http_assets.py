"""Assets by `GET /assets/SHA256`: with a range where something is there already (RFC 9110, 14.2).

Blocking reads happen in threads of its own, two at a time; pieces come back in the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.client import HTTPException, HTTPResponse

from client_sdk.contract.asset_frames import MAX_CHUNK_BYTES, AssetFrame
from client_sdk.contract.control import Wanted
from client_sdk.whep import NO_REDIRECT, checked_url, origin_of
from kernels.errors import StreamError

TIMEOUT = 8.0  # seconds without a byte
_AT_ONCE = 2
_TRIES = 3
_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_AGAIN = 0.2  # seconds before another try


class _RefusedError(Exception):
    """The server will not give it: no use to ask again."""


class HttpAssets:
    """Fetches in the order of asking. `take` hears of every piece, `failed` of each vain end.

    `url` is of the WHEP endpoint, beside which the assets are; `token` goes to its origin only.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        take: Callable[[AssetFrame], None],
        failed: Callable[[str], None],
    ) -> None:
        self._url = url
        self._token = token
        self._take = take
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[Wanted, int] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._threads = 0

    def fetch(self, wanted: Wanted, size: int) -> None:
        """Get the asset of `size` bytes from `wanted.offset` on."""
        if self._threads < _AT_ONCE:
            self._threads += 1
            threading.Thread(target=self._run, name="assets", daemon=True).start()
        self._jobs.put((wanted, size))

    def close(self) -> None:
        """Get nothing more, and fail at nothing. Does not wait for what is on its way."""
        self._closed.set()
        for _ in range(self._threads):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            wanted, size = job
            if not self._closed.is_set() and not self._get(wanted.sha256, wanted.offset, size):
                self._tell(partial(self._fail, wanted.sha256))

    def _fail(self, sha256: str) -> None:
        # Whoever has closed it asks another for what this one fails to get.
        if not self._closed.is_set():
            self._failed(sha256)

    def _get(self, sha256: str, offset: int, size: int) -> bool:
        for attempt in range(_TRIES):
            if attempt and self._closed.wait(_AGAIN):
                return True
            try:
                for frame in self._pieces(sha256, offset, size):
                    if self._closed.is_set():
                        return True
                    offset = frame.offset + len(frame.data)
                    self._tell(partial(self._take, frame))
                if offset == size:
                    return True
            except _RefusedError:
                return False
            except (OSError, HTTPException):
                continue
        return False

    def _pieces(self, sha256: str, offset: int, size: int) -> Iterator[AssetFrame]:
        with self._open(sha256, offset) as response:
            if response.status == 200:
                offset = 0  # it does not do ranges
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                raise _RefusedError
            while offset < size and (data := response.read(min(MAX_CHUNK_BYTES, size - offset))):
                yield AssetFrame(sha256, offset, size, data)
                offset += len(data)

    def _open(self, sha256: str, offset: int) -> HTTPResponse:
        """The answer to the GET, after redirects. Raises _RefusedError, OSError, HTTPException."""
        url = checked_url(f"../assets/{sha256}", self._url)
        for _ in range(_REDIRECTS):
            request = urllib.request.Request(url)
            if offset:
                request.add_header("Range", f"bytes={offset}-")
            if self._token is not None and origin_of(url) == origin_of(self._url):
                request.add_header("Authorization", f"Bearer {self._token}")
            try:
                response: HTTPResponse = NO_REDIRECT.open(request, timeout=TIMEOUT)
                return response
            except urllib.error.HTTPError as error:
                location = error.headers.get("Location")
                error.close()
                if error.code >= 500:
                    raise OSError(f"status {error.code}") from None
                if error.code not in _MOVED or not location:
                    raise _RefusedError from None
                try:
                    url = checked_url(location, url)
                except StreamError:
                    raise _RefusedError from None
        raise _RefusedError

    def _tell(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be gone
            self._loop.call_soon_threadsafe(function)
