"""The HTTP half of WHEP, from the player's side (draft-ietf-wish-whep-03, sections 4.2 to 4.5)."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from http.client import HTTPException

from kernels.errors import StreamError

SDP = "application/sdp"
MAX_ANSWER_BYTES = 256 << 10
TIMEOUT = 15.0  # seconds
_REDIRECTS = 3
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_URL_SAFE = "/:@!$&'()*+,;=%?~"


@dataclass(frozen=True, slots=True)
class Answer:
    """The 201: the answer's SDP, the session's own URL for DELETE, and who answered."""

    sdp: str
    session: str
    endpoint: str


class Refusal(StreamError):  # noqa: N818 - the server's word, not a fault of ours
    """The server answered with another status than 201. `wait`: its Retry-After, in seconds."""

    def __init__(self, sentence: str, status: int, wait: float) -> None:
        super().__init__(sentence)
        self.status = status
        self.wait = wait


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib turns a redirected POST into a GET; we follow 307 ourselves, as a POST."""

    def redirect_request(self, *arguments: object, **options: object) -> None:
        return None


NO_REDIRECT = urllib.request.build_opener(_NoRedirect)
"""Opens URLs and raises HTTPError on a redirect, so that it can be looked at first."""


def post_offer(
    url: str,
    sdp: str,
    timeout: float = TIMEOUT,
    token: str | None = None,
    token_origins: Collection[str] = (),
) -> Answer:
    """POST the offer and take the answer. Blocks. Raises StreamError in one sentence.

    A redirect to another origin does not get the token, but for `token_origins`.
    """
    trusted = origins_of(url, *token_origins)
    if token is not None and not _TOKEN.fullmatch(token):
        raise StreamError("the token is no bearer token: letters, digits and -._~+/ only")
    for _ in range(_REDIRECTS):
        headers = {"Content-Type": SDP}
        if token is not None and origin_of(checked_url(url)) in trusted:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            checked_url(url), data=sdp.encode(), method="POST", headers=headers
        )
        try:
            with NO_REDIRECT.open(request, timeout=timeout) as response:
                body = response.read(MAX_ANSWER_BYTES + 1)
                location = response.headers.get("Location")
                kind = response.headers.get_content_type()
                status = response.status
        except urllib.error.HTTPError as error:
            location = error.headers.get("Location")
            if error.code == 307 and location:
                url = checked_url(location, url)
                continue
            raise Refusal(f"{url}: {_refusal(error)}", error.code, _wait(error)) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise StreamError(f"{url} does not answer: {reason}; is the server there?") from None
        if status != 201 or kind != SDP or not location or len(body) > MAX_ANSWER_BYTES:
            raise StreamError(f"{url} does not speak WHEP (status {status}, {kind})")
        return Answer(body.decode("utf-8", "replace"), checked_url(location, url), url)
    raise StreamError(f"{url}: more than {_REDIRECTS} redirects")


def delete_session(session: str, timeout: float = 5.0) -> None:
    """End the session. A server that is gone already is no error."""
    request = urllib.request.Request(checked_url(session), method="DELETE")
    try:
        NO_REDIRECT.open(request, timeout=timeout).close()
    except (OSError, HTTPException):
        return


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host with its port: who gets to see a token (RFC 6454, section 4)."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def without_query(url: str) -> str:
    """The URL without its query: where a redirect led, without what it said of the way there."""
    return urllib.parse.urlunsplit(urllib.parse.urlsplit(url)._replace(query=""))


def origins_of(*urls: str) -> frozenset[tuple[str, str]]:
    """The origins of some URLs. Raises StreamError where one is none of http or https."""
    return frozenset(origin_of(checked_url(url)) for url in urls)


def checked_url(url: str, base: str = "") -> str:
    """The URL, from `base` on, with all escaped that HTTP cannot carry (RFC 3986, section 2.1).

    Raises StreamError where it is none of http or https.
    """
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(base, url))
        host = (parts.hostname or "").encode("idna")
        usable = bool(host) and parts.port != 0 and parts.netloc.isascii()
        if usable and parts.scheme in ("http", "https"):
            path, query = (urllib.parse.quote(p, _URL_SAFE) for p in (parts.path, parts.query))
            return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, query, ""))
    except ValueError:  # brackets, a port or a name that cannot be
        pass
    raise StreamError(f"{url!r} is not an http or https address like http://HOST:PORT/whep/NAME")


def _wait(error: urllib.error.HTTPError) -> float:
    text = error.headers.get("Retry-After") or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0


def _refusal(error: urllib.error.HTTPError) -> str:
    """What the server said (RFC 9457 problem or FastAPI's detail), else its status."""
    try:
        said = json.loads(error.read(4096)).get("detail")
    except (ValueError, AttributeError, OSError):
        said = None
    wait = error.headers.get("Retry-After")
    again = f"; try again in {wait} s" if wait else ""
    return f"{said or error.reason} (status {error.code}){again}"
