"""The server's settings: the one definition of names, defaults, bounds and what each is for.

The flags of `crispcast serve`, the environment variables and the commented file are all made from
it (`server.settings_sources`).
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from server.ice_servers import check_ice_server, is_turn

_TOKEN = re.compile(r"[^=]{1,200}=[A-Za-z0-9._~+/-]{16,512}=*")  # the token: RFC 6750, section 2.1
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s,?#]+")
_BASE = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?/?")


def _listed(value: Any) -> Any:
    """A list may be written as one string with commas, as flags and variables must be."""
    if isinstance(value, str):
        return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())
    return value


def _read(value: Any) -> Any:
    """A secret that begins with @ is in the file of that name; an empty one is none."""
    if isinstance(value, str) and value.startswith("@"):
        try:
            value = Path(value[1:]).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ValueError(f"its file cannot be read: {reason}") from None
    return value or None if isinstance(value, str) else value


def _token(secret: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(secret.get_secret_value()):
        raise ValueError(
            "write PACKAGE=TOKEN, or *=TOKEN for all packages, with a token of 16 or more letters, "
            "digits and ._~+/-"
        )
    return secret


def _origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError(f"{origin[:80]!r} is no web origin like https://example.org")
    return origin


def _base(url: str) -> str:
    try:
        usable = _BASE.fullmatch(url) is not None and urlsplit(url).port != 0
    except ValueError:  # a port or an address that cannot be
        usable = False
    if not usable:
        raise ValueError(f"{url[:80]!r} is no base URL like https://b.example.org")
    return url.rstrip("/")


def _proxy(network: str) -> str:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        raise ValueError(f"{network[:80]!r} is no address or network like 10.0.0.0/8") from None
    return network


Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Patience = Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)]  # none would refuse all
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Secret = Annotated[SecretStr | None, BeforeValidator(_read)]
File = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_listed)]
Proxies = Annotated[tuple[Annotated[str, AfterValidator(_proxy)], ...], BeforeValidator(_listed)]
BaseUrls = Annotated[
    tuple[Annotated[str, AfterValidator(_base)], ...],
    BeforeValidator(_listed),
    Field(max_length=64),
]
IceServers = Annotated[
    tuple[Annotated[str, AfterValidator(check_ice_server)], ...],
    BeforeValidator(_listed),
    Field(max_length=8),
]
Tokens = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_token)], ...],
    BeforeValidator(_listed),
    BeforeValidator(_read),
]


class Settings(BaseModel):
    """What an operator may set. Frozen; every limit has a safe default."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: Annotated[str, Field(min_length=1, max_length=255)] = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every one of this machine's."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to listen on; 0 takes a free one."""
    tls_certificate: File = None
    """Certificate chain (PEM) for https; with tls_key."""
    tls_key: File = None
    """Private key (PEM) of that certificate."""
    trusted_proxies: Proxies = ()
    """Addresses and networks of reverse proxies whose X-Forwarded-For is believed."""
    cors_origins: Origins = ("*",)
    """Web origins whose pages may play from here, as https://example.org; * for all."""
    tokens: Tokens = ()
    """Bearer tokens, as PACKAGE=TOKEN, or *=TOKEN for all packages; @FILE reads them from a file.
    With any token or a jwt_key, whatever is not public wants one."""
    public_packages: Names = ()
    """Packages that want no token even so; * for all."""
    channels: Names = ()
    """Packages that play for ever and at the same moment for all viewers, who cannot seek in them;
    * for all."""
    jwt_key: Secret = None
    """Key of the JWTs that are taken as tokens: a public key in PEM (RSA, P-256 or Ed25519), or a
    secret of 32 bytes or more (HS256); @FILE reads it from a file. Their claim `packages` lists
    what they open; `exp`, `iss` and `aud` must be there."""
    jwt_issuer: str = ""
    """The `iss` of those JWTs."""
    jwt_audience: str = ""
    """The `aud` of those JWTs."""
    metrics_token: Secret = None
    """A bearer token that GET /metrics wants; @FILE reads it from a file."""
    ice_servers: IceServers = ()
    """STUN and TURN servers that viewers are told of, as turn:HOST:3478?transport=udp."""
    turn_secret: Secret = None
    """The secret shared with the TURN servers (coturn: static-auth-secret), from which viewers get
    credentials; @FILE reads it from a file."""
    turn_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    """How many seconds those credentials are good."""
    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 600
    """POST, PATCH and DELETE that one address may send a minute, and at once; 0 for no limit."""
    assets_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 6000
    """GET and HEAD of assets that one address may send a minute, and at once; 0 for no limit."""
    messages_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 1200
    """Messages that a viewer may send a minute, and at once, on its channel; 0 for no limit. One
    that wants many assets counts as several."""
    max_viewers: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Connected viewers at once; one more gets 503 with Retry-After."""
    max_viewers_of_address: Annotated[int, Field(ge=0, le=100_000)] = 64
    """Connected viewers at once of one address; one more gets 429 with Retry-After; 0 for no
    bound."""
    replicas: BaseUrls = ()
    """Base URLs, as viewers reach them, of servers with the same packages, as
    https://b.example.org. A viewer without a place here is sent on to one that has room. This
    server's own may stand among them."""
    max_offer_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 64 << 10
    """Longest body of a POST or PATCH."""
    offer_timeout: Patience = 5.0
    """How many seconds that body may take to come."""
    http_timeout: Patience = 20.0
    """A connection that has not sent the whole head of a request after so many seconds, or takes
    nothing of an answer for as long, is ended."""
    retry_after: Annotated[int, Field(ge=1, le=3600)] = 5
    """Seconds that a refused viewer is asked to wait."""
    adaptive: bool = True
    """Whether viewers get the rung that their network and machine can take; else only the one that
    they choose."""
    start_delay: Seconds = 0.5
    """Seconds that media waits for a viewer that still fetches its first segment's plans."""
    connect_timeout: Patience = 20.0
    """A viewer that is not connected after so many seconds is dropped."""
    pause_timeout: Annotated[float, Field(ge=0, le=604_800, allow_inf_nan=False)] = 3600.0
    """A viewer that is paused for longer than so many seconds is let go; 0 for never."""
    leave_timeout: Seconds = 5.0
    """How many seconds after the end a viewer may stay to collect what was lost."""
    high_water: Annotated[int, Field(ge=1 << 14, le=1 << 28)] = 64 << 10
    """Bytes buffered on a data channel at which delivery pauses."""
    low_water: Annotated[int, Field(ge=1 << 10, le=1 << 28)] = 16 << 10
    """Bytes buffered on a data channel at which delivery goes on."""
    asset_cache: Annotated[int, Field(ge=0, le=1 << 40)] = 64 << 20
    """Bytes of plans, plates and patch maps that are kept in memory, for all viewers together."""
    look_seconds: Seconds = 2.0
    """How often the folder is looked through for packages that came, went or changed, in seconds;
    0 for never."""
    drain_timeout: Seconds = 30.0
    """After SIGTERM no new viewer is taken, and those that are here have so many seconds."""
    metrics: bool = True
    """Whether GET /metrics has figures for Prometheus."""
    log_format: Literal["text", "json"] = "text"
    """Of the log on stderr: text for people, json for machines, an object a line."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least that is logged: debug, info (sessions), warning or error."""

    def is_channel(self, package: str) -> bool:
        """Whether the package of this name plays for ever, for all at the same moment."""
        return package in self.channels or "*" in self.channels

    @model_validator(mode="after")
    def _agree(self) -> Settings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; give both or neither")
        if self.jwt_key is not None and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("jwt_key wants jwt_issuer and jwt_audience too")
        if self.turn_secret is None and any(map(is_turn, self.ice_servers)):
            raise ValueError("a TURN server in ice_servers wants turn_secret too")
        if self.low_water > self.high_water:
            raise ValueError("low_water is above high_water")
        return self
