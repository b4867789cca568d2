"""`crispcast store`: its commands, loaded when they are asked for."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from kernels.errors import CrispcastError
from server.encoding.store import default_store
from server.encoding.store_upkeep import list_store, open_store, parse_bytes, tidy, verify_store

_Folder = Annotated[
    Path | None,
    typer.Option("--store", help="The folder; default CRISPCAST_STORE or the user's cache."),
]
_AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, last line.")]


def _ls(folder: _Folder = None, as_json: _AsJson = False) -> None:
    """List the finished jobs, the least used first: key, bytes, last use, job."""
    kept = list_store(open_store(folder or default_store()))
    total = sum(each.bytes for each in kept)
    if as_json:
        typer.echo(json.dumps({"artefacts": [asdict(each) for each in kept], "bytes": total}))
        return
    for each in kept:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
        typer.echo(f"{each.key[:16]}  {each.bytes:>12}  {used}  {each.job or 'damaged'}")
    typer.echo(f"{len(kept)} artefacts, {total} bytes")


def _gc(
    folder: _Folder = None,
    limit: Annotated[
        str | None,
        typer.Option(help="Bytes to keep (500M, 20G); default CRISPCAST_STORE_LIMIT or 20G."),
    ] = None,
    as_json: _AsJson = False,
) -> None:
    """Remove the least used jobs above the limit; what running encodes use stays."""
    wanted = None if limit is None else parse_bytes(limit, "--limit")
    gone = tidy(open_store(folder or default_store()), wanted)
    if as_json:
        typer.echo(json.dumps(asdict(gone)))
        return
    typer.echo(
        f"removed {gone.artefacts} artefacts and what {gone.partials} unfinished jobs had left, "
        f"{gone.bytes} bytes"
    )


def _verify(folder: _Folder = None, as_json: _AsJson = False) -> None:
    """Check every finished job by its hash; damaged ones are removed, to be made again."""
    checked, damaged = 0, []
    for kept, whole in verify_store(open_store(folder or default_store())):
        checked += 1
        if not whole:
            damaged.append(kept.key)
            typer.echo(f"damaged, removed: {kept.key} {kept.job}", err=True)
    if as_json:
        typer.echo(json.dumps({"checked": checked, "damaged": damaged}))
    else:
        typer.echo(f"checked {checked} artefacts, {len(damaged)} were damaged")
    if damaged:
        raise CrispcastError("damaged artefacts were removed; the next encode makes them again")


def store_commands() -> Any:
    """The group of commands as click has it."""
    made = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        help="The finished jobs that encodes go on from: list, check, tidy.",
    )
    for name, command in (("ls", _ls), ("gc", _gc), ("verify", _verify)):
        made.command(name)(command)
    return typer.main.get_command(made)
