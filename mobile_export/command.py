"""`crispcast export`: its options, loaded when the command is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mobile_export import TARGETS, export


def _export(
    package: Annotated[Path, typer.Argument(help="A package, NAME.crisp.")],
    target: Annotated[str, typer.Option(help=f"One of {', '.join(TARGETS)}.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")],
    features: Annotated[
        str, typer.Option(help="Of Core ML models: image (grey, 8 bits) or array (fp16).")
    ] = "image",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing export.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Export a package's networks for phones: Core ML, ONNX for NNAPI, or an SDK to embed."""
    from kernels.errors import CrispcastError

    if features not in ("image", "array"):
        raise CrispcastError(f"no features {features}: choose image or array")
    done = export(package, target, output, image=features == "image", force=force)
    typer.echo(json.dumps(done.to_json()) if as_json else done.summary())


def export_command() -> Any:
    """The command as click has it."""
    made = typer.Typer(add_completion=False)
    made.command()(_export)
    return typer.main.get_command(made)
