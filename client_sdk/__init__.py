"""The client: the formats on the wire, the upscaler, and the reference player.

from client_sdk import play
stats = play("http://127.0.0.1:8080/whep/juggle", out="juggle.y4m")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from client_sdk.play_stats import PlayStats, check_stats_file

__all__ = ["PlayStats", "play"]


def play(
    url: str,
    out: str | os.PathLike[str] | None = None,
    stats: str | os.PathLike[str] | None = None,
    display: bool = False,
    sr: bool = True,
    on_status: Callable[[PlayStats], None] | None = None,
    *,
    threads: int = 0,
    cache: str | os.PathLike[str] | None = None,
    cache_limit: int = 256 << 20,
    delivery: str = "auto",
    loop: bool = False,
    reconnect: float = 30.0,
    token: str | None = None,
    token_origins: Sequence[str] = (),
    trust: Sequence[str] = (),
    media: str | None = None,
    media_token: str | None = None,
) -> PlayStats:
    """Play a stream to its end and say how it went. Blocks.

    `url`: http://HOST:PORT/whep/NAME. `out`: a .y4m file (every sample exact) or an .mp4.
    `stats`: a file for the figures as JSON. `sr` False: interpolation only. `on_status` is called
    twice a second and at the end. `threads` 0: all cores. `cache`: a folder that keeps assets,
    `cache_limit` bytes at most. `delivery`: how assets are asked for first, `channel`, `http`, or
    `auto`: the large ones by HTTP; what fails one way is asked for the other way. `loop`: begin
    again at the end. `reconnect`: seconds for which a lost server is looked for; 0: not at all.
    `token`: the bearer token that the server wants, where it wants one; `token_origins`: who
    else may see it, when the server sends the play there, as https://b.example.org.
    `trust`: public keys, as ed25519:…; where there are any, all is interpolated unless one of them
    signed the manifest, and `untrusted` of the figures says why.
    `media`: the WHEP endpoint of an SFU that the package is published to, as a loop without an end;
    `url` is then http://HOST/packages/NAME, where everything else is, `media_token` what the SFU
    wants.
    Raises StreamError, in one sentence, where the play cannot start or breaks off. Ctrl-C ends it
    with a KeyboardInterrupt, after output and figures are written: a loop has no other end.
    """
    import asyncio

    from client_sdk.contract.signing import parse_trust
    from client_sdk.play_options import PlayOptions, check_preference
    from client_sdk.session import play_async

    figures = PlayStats()

    def heed(so_far: PlayStats) -> None:
        nonlocal figures
        figures = so_far
        if on_status is not None:
            on_status(so_far)

    options = PlayOptions(
        out=out,
        display=display,
        sr=sr,
        threads=threads,
        cache=cache,
        cache_limit=cache_limit,
        delivery=check_preference(delivery),
        loop=loop,
        reconnect=reconnect,
        on_status=heed,
        token=token,
        token_origins=tuple(token_origins),
        trust=parse_trust(trust),
        media=media,
        media_token=media_token,
    )
    if stats is not None:
        check_stats_file(stats)
    try:
        figures = asyncio.run(play_async(url, options))
    except KeyboardInterrupt:
        if stats is not None:
            replace(figures, ended="interrupted").save(stats)
        raise
    if stats is not None:
        figures.save(stats)
    return figures
