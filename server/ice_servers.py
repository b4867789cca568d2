"""STUN and TURN servers that viewers are told of, with credentials that soon run out.

    secret, expiry ─► username "EXPIRY:VIEWER", credential HMAC-SHA1 ─► Link: rel="ice-server"

The credentials are those of "A REST API For Access To TURN Services"
(draft-uberti-behave-turn-rest-00, section 2.2), which coturn checks by itself with
`use-auth-secret`; the Link header is WHEP's (draft-ietf-wish-whep-03, section 4.6).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_SERVER = re.compile(
    r"(?:stun|stuns|turn|turns):(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
    r"(?:\?transport=(?:udp|tcp))?"
)


def check_ice_server(uri: str) -> str:
    """The URI itself, where it is one (RFC 7064, RFC 7065); raises ValueError."""
    if not _SERVER.fullmatch(uri):
        raise ValueError(
            f"{uri[:80]!r} is no STUN or TURN server like stun:HOST:3478 or "
            "turn:HOST:3478?transport=udp"
        )
    return uri


def is_turn(uri: str) -> bool:
    """Whether the server relays, and so wants credentials."""
    return uri.startswith("turn")


def turn_credentials(secret: str, viewer: str, expiry: int) -> tuple[str, str]:
    """User name and credential that are good until `expiry` (Unix time, seconds)."""
    username = f"{expiry}:{viewer}"
    # SHA-1 is what the draft and coturn want; HMAC does not rest on its collisions.
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def ice_links(servers: tuple[str, ...], secret: str | None, viewer: str, expiry: int) -> list[str]:
    """The Link headers, one for each server."""
    links = []
    for uri in servers:
        link = f'<{uri}>; rel="ice-server"'
        if is_turn(uri) and secret is not None:
            username, credential = turn_credentials(secret, viewer, expiry)
            link += (
                f'; username="{username}"; credential="{credential}"; credential-type="password"'
            )
        links.append(link)
    return links
