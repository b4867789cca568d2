"""`crispcast play`: its options, loaded when the command is asked for."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernels.cores import MAX_THREADS
from kernels.errors import CrispcastError

if TYPE_CHECKING:
    from client_sdk import PlayStats

_TRUST = "CRISPCAST_TRUST"


def _play(
    url: Annotated[str, typer.Argument(help="http://HOST:PORT/whep/NAME")],
    out: Annotated[Path | None, typer.Option(help="Write what is shown: .mp4 or .y4m.")] = None,
    stats: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    display: Annotated[bool, typer.Option("--display", help="Show it in a window.")] = False,
    no_sr: Annotated[bool, typer.Option("--no-sr", help="Interpolate only.")] = False,
    threads: Annotated[
        int, typer.Option(min=0, max=MAX_THREADS, help="CPU threads; 0 for all.")
    ] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps plans and plates for another play.",
            show_default="the user's cache folder, as ~/.cache/crispcast",
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep nothing on disk.")] = False,
    cache_limit: Annotated[
        int, typer.Option(min=0, help="Bytes that it may hold; the least used go first.")
    ] = 256 << 20,
    delivery: Annotated[
        str,
        typer.Option(
            help="How plans and plates are asked for first: channel, http, or auto: the large ones "
            "by http."
        ),
    ] = "auto",
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    reconnect: Annotated[
        float, typer.Option(min=0, help="Seconds to look for a server that is lost; 0: none.")
    ] = 30.0,
    token: Annotated[
        str | None,
        typer.Option(envvar="CRISPCAST_TOKEN", help="Bearer token, where the server wants one."),
    ] = None,
    token_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Who else may see the token when the server sends the play there, as "
            "https://b.example.org; may be given again."
        ),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            envvar=_TRUST,
            help="Super-resolve only what this public key has signed; may be given again.",
        ),
    ] = None,
    media: Annotated[
        str | None,
        typer.Option(
            help="Take the media from an SFU's WHEP endpoint; URL is then http://HOST/packages/NAME."
        ),
    ] = None,
    media_token: Annotated[
        str | None,
        typer.Option(envvar="CRISPCAST_MEDIA_TOKEN", help="Bearer token that the SFU wants."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Play a stream with super-resolution in compiled sparse kernels."""
    from client_sdk import play
    from client_sdk.cache import user_folder

    if cache is not None and no_cache:
        raise CrispcastError("--cache and --no-cache contradict each other; give one of them")
    if cache is None and not no_cache:
        cache = user_folder()
    _end_whole()
    live = sys.stderr.isatty()

    def show(so_far: PlayStats) -> None:
        if live:
            print(f"\r{_line(so_far)}\x1b[K", end="", file=sys.stderr, flush=True)

    try:
        played = play(
            url,
            out=out,
            stats=stats,
            display=display,
            sr=not no_sr,
            on_status=show,
            threads=threads,
            cache=cache,
            cache_limit=cache_limit,
            delivery=delivery,
            loop=loop,
            reconnect=reconnect,
            token=token,
            token_origins=token_origin or (),
            trust=trust or _said_to_trust(),
            media=media,
            media_token=media_token,
        )
    finally:
        if live:
            print(file=sys.stderr)
    if played.untrusted:
        print(f"crispcast: nothing was super-resolved: {played.untrusted}", file=sys.stderr)
    typer.echo(played.to_json() if as_json else _line(played))


def _end_whole() -> None:
    """End by SIGTERM as by ctrl-C, and so with whole files: `timeout` and services end plays so.

    Shells have ctrl-C ignored in what runs beside a script; it is heard again, or SIGTERM were not.
    Signals are for main threads alone: a program that plays in another one has its own way to end.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _said_to_trust() -> tuple[str, ...]:
    """What the variable holds where it names no key: it is set, so a signature is asked for."""
    said = os.environ.get(_TRUST)
    return () if said is None else (said,)


def _line(stats: PlayStats) -> str:
    return (
        f"{stats.frames} frames, {stats.fps:.1f} fps, {stats.upscale_ms_median:.1f} ms to upscale "
        f"({stats.isa}), {stats.plan_bytes} bytes of plans, {stats.late_plans} late, "
        f"{stats.frames_interpolated} interpolated, {stats.frames_lost} lost"
    )


def play_command() -> Any:
    """The command as click has it."""
    made = typer.Typer(add_completion=False)
    made.command()(_play)
    return typer.main.get_command(made)
