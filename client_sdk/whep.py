"""The HTTP half of WHEP, from the player's side (draft-ietf-wish-whep-03, sections 4.2 to 4.5).

WHIP (RFC 9725) is the same with the media going the other way, and is spoken from here too.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import Literal

from kernels.errors import StreamError

SDP = "application/sdp"
MAX_ANSWER_BYTES = 256 << 10
TIMEOUT = 15.0  # seconds
_REDIRECTS = 3
_MOVED = (307, 308)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_URL_SAFE = "/:@!$&'()*+,;=%?~"
# RFC 8288, section 3: <target>; name="value"; name=value, and links with commas between them.
_LINK = re.compile(r'<([^<>"\s]*)>\s*((?:;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^\s",;]+)\s*)?)*)')
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^\s",;]+))')
_ICE_SERVER = re.compile(r"(?:stuns?|turns?):[A-Za-z0-9.:\[\]-]+(?:\?transport=(?:udp|tcp))?")
_LONGEST_LINKS = 8192  # characters
_MOST_ICE_SERVERS = 8


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server that an endpoint names by `Link` (RFC 9725, section 4.6)."""

    url: str
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The 201: the answer's SDP, the session's own URL for DELETE, and who answered.

    `session`: None where it is elsewhere than `post_offer` says. `counter`: it was a 406, and the
    SDP is the server's own offer, which it wants answered by PATCH of the session
    (draft-ietf-wish-whep-04, "Server Sends Counter-Offer").
    """

    sdp: str
    session: str | None
    endpoint: str
    counter: bool = False
    ice_servers: tuple[IceServer, ...] = ()


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
    *,
    protocol: Literal["WHEP", "WHIP"] = "WHEP",
    counter_offers: bool = False,
) -> Answer:
    """POST the offer and take the answer. Blocks. Raises StreamError in one sentence.

    A redirect to another origin does not get the token, but for `token_origins`. A session is of
    the origin that answered or of one that may see the token. One that is said to be elsewhere is
    not contacted, lest a server send our requests to others: no DELETE ends it, and a counter-offer
    from there is refused. Without `counter_offers` a 406 is a refusal like any other.
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
                status, told, body = _read(response)
        except urllib.error.HTTPError as error:
            moved = error.headers.get("Location")
            if error.code in _MOVED and moved:
                url = checked_url(moved, url)
                continue
            if error.code != 406 or not counter_offers or error.headers.get_content_type() != SDP:
                raise Refusal(f"{url}: {_refusal(error)}", error.code, _wait(error)) from None
            status, told, body = _read(error)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise StreamError(f"{url} does not answer: {reason}; is the server there?") from None
        location, kind = told.get("Location"), told.get_content_type()
        if status not in (201, 406) or kind != SDP or not location or len(body) > MAX_ANSWER_BYTES:
            raise StreamError(f"{url} does not speak {protocol} (status {status}, {kind})")
        sdp, counter, session = body.decode("utf-8", "replace"), status == 406, None
        if origin_of(said := checked_url(location, url)) in trusted | origins_of(url):
            session = said
        elif counter:
            raise StreamError(f"{url} wants its offer answered at another origin, {said}")
        return Answer(sdp, session, url, counter, ice_servers_in(told))
    raise StreamError(f"{url}: more than {_REDIRECTS} redirects")


def _read(response: HTTPResponse | urllib.error.HTTPError) -> tuple[int, Message, bytes]:
    status = response.status
    assert status is not None
    return status, response.headers, response.read(MAX_ANSWER_BYTES + 1)


def send_answer(session: str, sdp: str, token: str | None = None, timeout: float = TIMEOUT) -> None:
    """Answer a counter-offer. Blocks. Raises StreamError in one sentence."""
    headers = {"Content-Type": SDP, **bearer(token)}
    url = checked_url(session)
    request = urllib.request.Request(url, data=sdp.encode(), method="PATCH", headers=headers)
    try:
        NO_REDIRECT.open(request, timeout=timeout).close()
    except urllib.error.HTTPError as error:
        raise Refusal(f"{url}: {_refusal(error)}", error.code, _wait(error)) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise StreamError(f"{url} does not take our answer: {reason}") from None


def ask_ice_servers(url: str, token: str | None = None, timeout: float = 3.0) -> list[IceServer]:
    """The STUN and TURN servers that an endpoint tells before it is asked for anything. Blocks.

    By OPTIONS (RFC 9725, section 4.6), for those who cannot take them later; none where it fails.
    """
    request = urllib.request.Request(checked_url(url), method="OPTIONS", headers=bearer(token))
    try:
        with NO_REDIRECT.open(request, timeout=timeout) as response:
            return list(ice_servers_in(response.headers))
    except (OSError, HTTPException):
        return []


def ice_servers_in(headers: Message) -> tuple[IceServer, ...]:
    """The STUN and TURN servers that an answer's `Link` headers name; what is none is left out."""
    found = []
    for header in headers.get_all("Link") or ():
        for url, rest in _LINK.findall(header[:_LONGEST_LINKS]):
            told = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}
            if "ice-server" in told.get("rel", "").split() and _ICE_SERVER.fullmatch(url):
                found.append(IceServer(url, told.get("username"), told.get("credential")))
    return tuple(found[:_MOST_ICE_SERVERS])


def bearer(token: str | None) -> dict[str, str]:
    """The header that shows a token (RFC 6750, section 2.1); none without one."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def bearer_for(session: str | None, endpoint: str, token: str | None) -> str | None:
    """The token, where a session's URL is of the endpoint's own origin; else none."""
    same = session is not None and origin_of(session) == origin_of(checked_url(endpoint))
    return token if same else None


def delete_session(session: str | None, token: str | None = None, timeout: float = 5.0) -> None:
    """End the session, where it may be contacted. A server that is gone already is no error."""
    if session is None:
        return
    url = checked_url(session)
    request = urllib.request.Request(url, method="DELETE", headers=bearer(token))
    try:
        NO_REDIRECT.open(request, timeout=timeout).close()
    except (OSError, HTTPException):
        return


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and host with its port: who gets to see a token (RFC 6454, section 4)."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, f"{parts.hostname}:{port}"


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
