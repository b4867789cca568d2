"""How a stream is to be played."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from client_sdk.cache import DEFAULT_LIMIT
from client_sdk.contract.signing import Trust
from client_sdk.play_stats import PlayStats
from kernels.errors import StreamError

Preference: TypeAlias = Literal["auto", "channel", "http"]
OnStatus: TypeAlias = Callable[[PlayStats], None]


def check_preference(text: str) -> Preference:
    """The preference of that name. Raises StreamError on any other."""
    for preference in get_args(Preference):
        if text == preference:
            return text  # type: ignore[return-value]
    raise StreamError(f"delivery {text!r} is none of auto, channel and http")


@dataclass(frozen=True)
class PlayOptions:
    """How to play. `out`: .y4m or .mp4; `threads` 0: all cores; `cache`: a folder, or None.

    `cache_limit`: bytes that the cache may hold. `delivery`: the way that assets are asked for
    first; what fails one way is asked for the other way. `loop`: begin again at the end, for ever.
    `reconnect`: seconds for which a lost server is looked for; 0: not at all. `token`: the bearer
    token that the server wants, where it wants one; `token_origins`: who else may see it when the
    server sends the play there, as https://b.example.org. `trust`: public keys, one of which must
    have signed the manifest, or all is interpolated; none: signatures are not asked for. `media`:
    the WHEP endpoint of an SFU that the media comes from, with `media_token` where it wants one;
    the URL that is played is then a package's at its origin (`client_sdk.sfu_connection`).
    """

    out: str | os.PathLike[str] | None = None
    display: bool = False
    sr: bool = True
    threads: int = 0
    cache: str | os.PathLike[str] | None = None
    cache_limit: int = DEFAULT_LIMIT
    delivery: Preference = "auto"
    loop: bool = False
    reconnect: float = 30.0
    on_status: OnStatus | None = None
    status_interval: float = 0.5
    token: str | None = field(default=None, repr=False)
    token_origins: tuple[str, ...] = ()
    trust: Trust = ()
    media: str | None = None
    media_token: str | None = field(default=None, repr=False)
