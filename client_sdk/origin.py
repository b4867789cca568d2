"""Where a package's manifest and assets are by plain HTTP: a Crispcast server, a CDN, a bucket.

    GET ORIGIN/packages/NAME/manifest.json ─► Manifest
    GET ORIGIN/assets/SHA256 ─► pieces (client_sdk.http_assets)

An origin that is away is asked again: what it has is of use whenever it comes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException

from client_sdk.contract.asset_frames import AssetFrame
from client_sdk.contract.control import Want, Wanted
from client_sdk.contract.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from client_sdk.http_assets import HttpAssets
from client_sdk.whep import NO_REDIRECT, Refusal, bearer, checked_url, origin_of
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")

TIMEOUT = 8.0  # seconds without a byte
_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_AGAIN, _LONGEST = 2.0, 30.0  # seconds between tries of an asset


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest, its bytes and their SHA-256."""

    manifest: Manifest
    data: bytes
    sha256: str


def fetch_manifest(package: str, token: str | None = None) -> Described:
    """The manifest of the package at that URL, .../packages/NAME. Blocks.

    `token` goes to the URL's own origin only. Raises StreamError, PackageError.
    """
    url = start = f"{package_url(package)}/manifest.json"
    for _ in range(_REDIRECTS):
        headers = bearer(token if origin_of(url) == origin_of(start) else None)
        request = urllib.request.Request(url, headers=headers)
        try:
            with NO_REDIRECT.open(request, timeout=TIMEOUT) as response:
                data: bytes = response.read(MAX_MANIFEST_BYTES + 1)
        except urllib.error.HTTPError as error:
            location = error.headers.get("Location")
            error.close()
            if error.code in _MOVED and location:
                url = checked_url(location, url)
                continue
            raise Refusal(f"{url}: {error.reason} (status {error.code})", error.code, 0) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise StreamError(f"{url} does not answer: {reason}; is the server there?") from None
        if len(data) > MAX_MANIFEST_BYTES:
            raise StreamError(f"{url} is longer than a manifest can be")
        return Described(parse_manifest(data, url), data, hashlib.sha256(data).hexdigest())
    raise StreamError(f"{start}: more than {_REDIRECTS} redirects")


class Origin:
    """A package at its origin. `described`: what was found there last."""

    def __init__(self, package: str, token: str | None) -> None:
        self.package = package_url(package)
        self.token = token
        self.described: Described | None = None

    async def describe(self) -> Described:
        """The manifest as it is now, or as it was where the origin is away by now.

        Raises StreamError, PackageError where there never was one.
        """
        try:
            self.described = await asyncio.to_thread(fetch_manifest, self.package, self.token)
        except Refusal:
            raise
        except StreamError as error:
            if self.described is None:
                raise
            log.warning("%s; the manifest that was there counts", error)
        return self.described


def package_url(url: str) -> str:
    """The URL of a package without what may follow it; raises StreamError on what is no URL."""
    parts = urllib.parse.urlsplit(checked_url(url))
    path = parts.path.removesuffix("/manifest.json").rstrip("/")
    return urllib.parse.urlunsplit(parts._replace(path=path, query=""))


class OriginAssets:
    """Fetches what is wanted, for as long as it takes. Lives in the event loop.

    `manifest`: of the package; what it does not name is not fetched. `bring` hears of pieces.
    """

    def __init__(
        self, origin: Origin, manifest: Manifest, bring: Callable[[AssetFrame], None]
    ) -> None:
        self._sizes: dict[str, int] = {}
        for rung in range(len(manifest.rungs)):
            self._sizes |= manifest.size_of(rung)
        self._bring = bring
        self._offsets: dict[str, int] = {}
        self._waits: dict[str, float] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._http = HttpAssets(origin.package, origin.token, self._take, self._failed)

    def want(self, want: Want) -> None:
        """Get these, each from its offset on."""
        for wanted in want.assets:
            size = self._sizes.get(wanted.sha256)
            if size is not None and wanted.offset < size:
                self._offsets[wanted.sha256] = wanted.offset
                self._http.fetch(wanted, size)

    def close(self) -> None:
        """Get nothing more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._http.close()

    def _take(self, frame: AssetFrame) -> None:
        self._offsets[frame.sha256] = frame.offset + len(frame.data)
        self._waits.pop(frame.sha256, None)
        self._bring(frame)

    def _failed(self, sha256: str) -> None:
        wait = self._waits.get(sha256, _AGAIN)
        self._waits[sha256] = min(2 * wait, _LONGEST)

        def again() -> None:
            self._timers.discard(timer)
            self.want(Want(assets=(Wanted(sha256=sha256, offset=self._offsets[sha256]),)))

        timer = asyncio.get_running_loop().call_later(wait, again)
        self._timers.add(timer)
