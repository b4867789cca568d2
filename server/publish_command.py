"""`crispcast publish`: its options, loaded when the command is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from server.publishing import PublishStats


def _publish(
    package: Annotated[Path, typer.Argument(help="A package, NAME.crisp.")],
    to: Annotated[str, typer.Option(help="The WHIP endpoint: https://sfu.example.org/NAME/whip")],
    rung: Annotated[int, typer.Option(min=0, help="Index of the rung.")] = 0,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CRISPCAST_PUBLISH_TOKEN",
            help="Bearer token, where the endpoint wants one.",
        ),
    ] = None,
    token_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Who else may see the token when the endpoint sends us there, as "
            "https://b.example.org; may be given again."
        ),
    ] = None,
    reconnect: Annotated[
        float, typer.Option(min=0, help="Seconds to look for an SFU that is lost; 0: none.")
    ] = float("inf"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Publish a package to an SFU (WHIP) as a channel, a loop without an end, until interrupted."""
    from server.logs import set_up_logs
    from server.publishing import PublishOptions, publish
    from server.settings import Settings

    live = sys.stderr.isatty()

    def show(so_far: PublishStats) -> None:
        if live:
            print(f"\r{_line(so_far)}\x1b[K", end="", file=sys.stderr, flush=True)

    set_up_logs(Settings())
    options = PublishOptions(to, rung, token, tuple(token_origin or ()), reconnect)
    try:
        published = publish(package, options, on_status=show)
    finally:
        if live:
            print(file=sys.stderr)
    typer.echo(json.dumps(published.to_json()) if as_json else _line(published))


def _line(stats: PublishStats) -> str:
    way = "" if stats.round_trip is None else f", {stats.round_trip * 1000:.0f} ms to and fro"
    return (
        f"{'on' if stats.connected else 'off'}, {stats.frames} frames, {stats.bytes} bytes, "
        f"{stats.reconnects} times again, {stats.lost:.1%} lost{way}"
    )


def publish_command() -> Any:
    """The command as click has it."""
    made = typer.Typer(add_completion=False)
    made.command()(_publish)
    return typer.main.get_command(made)
