"""Where a package's manifest and assets are by plain HTTP: a Crispcast server, a CDN, a bucket.

    GET ORIGIN/packages/NAME/manifest.json ─► Manifest, its signature by a header or manifest.sig
    GET ORIGIN/assets/SHA256 ─► pieces (client_sdk.http_assets)

An origin that is away is asked again: what it has is of use whenever it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException

from pydantic import TypeAdapter, ValidationError

from client_sdk.contract.asset_frames import AssetFrame
from client_sdk.contract.bounds import MAX_MANIFEST_BYTES
from client_sdk.contract.control import Want, Wanted
from client_sdk.contract.manifest import Manifest, parse_manifest
from client_sdk.contract.signing import SIGNATURE_FILE, SIGNATURE_HEADER, Signature
from client_sdk.http_assets import HttpAssets
from client_sdk.whep import NO_REDIRECT, Refusal, bearer, checked_url, origin_of
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")

TIMEOUT = 8.0  # seconds without a byte
_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_MOST_SIGNATURE = 1024  # bytes
_SIGNATURE: TypeAdapter[str] = TypeAdapter(Signature)
_AGAIN, _LONGEST = 2.0, 30.0  # seconds between tries of an asset


@dataclass(frozen=True, slots=True)
class Described:
    """A manifest, its bytes and their SHA-256, and its signature, which nobody has checked yet."""

    manifest: Manifest
    data: bytes
    sha256: str
    signature: str | None = None


def fetch_manifest(package: str, token: str | None = None, *, signed: bool = False) -> Described:
    """The manifest of the package at that URL, .../packages/NAME. Blocks.

    `token` goes to the URL's own origin only. `signed`: with its signature, where there is one.
    Raises StreamError, PackageError.
    """
    url = f"{package_url(package)}/manifest.json"
    data, headers = _get(url, token, MAX_MANIFEST_BYTES)
    signature = headers.get(SIGNATURE_HEADER)
    if signed and signature is None:
        # A server of plain files has no headers of ours.
        with contextlib.suppress(StreamError):
            beside = checked_url(SIGNATURE_FILE, url)
            signature = _get(beside, token, _MOST_SIGNATURE)[0].decode("ascii", "replace").strip()
    try:
        signature = None if signature is None else _SIGNATURE.validate_python(signature)
    except ValidationError:
        signature = None  # what is none counts as none
    sha256 = hashlib.sha256(data).hexdigest()
    return Described(parse_manifest(data, url), data, sha256, signature)


def _get(start: str, token: str | None, most: int) -> tuple[bytes, Message]:
    url = start
    for _ in range(_REDIRECTS):
        headers = bearer(token if origin_of(url) == origin_of(start) else None)
        request = urllib.request.Request(url, headers=headers)
        try:
            with NO_REDIRECT.open(request, timeout=TIMEOUT) as response:
                data: bytes = response.read(most + 1)
                told: Message = response.headers
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
        if len(data) > most:
            raise StreamError(f"{url} is longer than it can be")
        return data, told
    raise StreamError(f"{start}: more than {_REDIRECTS} redirects")


class Origin:
    """A package at its origin. `described`: what was found there last.

    `signed`: its signature is asked for, too.
    """

    def __init__(self, package: str, token: str | None, *, signed: bool = False) -> None:
        self.package = package_url(package)
        self.token = token
        self._signed = signed
        self.described: Described | None = None

    async def describe(self) -> Described:
        """The manifest as it is now, or as it was where the origin is away by now.

        Raises StreamError, PackageError where there never was one.
        """
        try:
            self.described = await asyncio.to_thread(
                fetch_manifest, self.package, self.token, signed=self._signed
            )
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
