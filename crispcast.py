"""Crispcast: small videos with tiny networks overfitted to them, shown large.

The version, the two verbs of the public API, and the command line. Every room is imported only when
its command runs, so that a player needs no torch and a server no encoder.

    >>> import crispcast
    >>> crispcast.encode("clip.mp4", "clip.crisp", preset="fast")  # doctest: +SKIP
    >>> crispcast.play("http://127.0.0.1:8080/whep/clip")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from kernels.cores import MAX_THREADS
from kernels.errors import CrispcastError

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_sdk import PlayStats
    from server.catalogue import Catalogue
    from server.encoding import EncodeProgress, EncodeResult

__version__ = "0.1.0"
__all__ = ["CrispcastError", "encode", "main", "play"]


def encode(
    source: str | Path,
    output: str | Path,
    *,
    on_progress: Callable[[EncodeProgress], None] | None = None,
    **settings: Any,
) -> EncodeResult:
    """Encode a video into a package (a folder) and return what was gained.

    `settings` are the fields of `server.encoding.EncodeConfig`: scale, method, preset, chunks,
    plates, canvas, chroma, lr_crf, lr_bitrate, force, … Killed and called again, it goes on where
    it was.

    Raises CrispcastError: bad input, bad settings, or an output that cannot be written.
    """
    from server.encoding import EncodeConfig
    from server.encoding import encode as run

    return run(EncodeConfig(source=Path(source), output=Path(output), **settings), on_progress)


def play(url: str, **options: Any) -> PlayStats:
    """Play a stream, super-resolved, until it ends, and return its figures.

    `url` is a WHEP endpoint; `options` are those of `client_sdk.play`.

    Raises CrispcastError where the stream cannot be opened or the output not be written.
    """
    from client_sdk import play as run

    return run(url, **options)


class _Commands(TyperGroup):
    """Turns what goes wrong in any command into one sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CrispcastError as error:
            _say(str(error))
            raise typer.Exit(1) from error
        except ModuleNotFoundError as error:
            _say(f"{error.name} is not installed; `crispcast doctor` says what is missing")
            raise typer.Exit(1) from error
        except OSError as error:
            if error.filename is None or error.strerror is None:
                raise  # nothing that the user named
            _say(f"{error.filename}: {error.strerror}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(130) from None


def _say(sentence: str) -> None:
    print(f"crispcast: {sentence}", file=sys.stderr)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Small videos with tiny networks overfitted to them, shown large.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crispcast {__version__}")
        raise typer.Exit


@app.callback()
def _crispcast(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def _of_room(module: str, made: str) -> type[TyperCommand]:
    """A command that its room has: what it takes and does is loaded when it is asked for."""

    class Found(TyperCommand):
        def get_params(self, ctx: Any) -> list[Any]:
            params: list[Any] = _found(module, made).get_params(ctx)
            return params

        def invoke(self, ctx: Any) -> Any:
            return _found(module, made).invoke(ctx)

    return Found


def _group_of_room(module: str, made: str) -> type[TyperGroup]:
    """A room's group of commands, likewise."""

    class Found(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            return list(_found(module, made).list_commands(ctx))

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return _found(module, made).get_command(ctx, cmd_name)

    return Found


def _found(module: str, made: str) -> Any:
    return getattr(importlib.import_module(module), made)()


@app.command("encode", cls=_of_room("server.encoding.command", "encode_command"))
def _encode() -> None:
    """Encode VIDEO into a package: a small video, experts, plates and patch maps."""


@app.command("report")
def _report(
    package: Annotated[Path, typer.Argument(help="A package, NAME.crisp.")],
    source: Annotated[Path, typer.Option(help="The video it was made from.")],
    rung: Annotated[int, typer.Option(help="Index of the rung.")] = 0,
    vmaf: Annotated[bool, typer.Option(help="Measure VMAF-NEG too, if libvmaf is there.")] = True,
    curves: Annotated[
        Path | None, typer.Option(help="Of the same clip, from benchmarks.rd --json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Measure bytes and quality on exactly the frames a viewer sees; writes report/ in PACKAGE."""
    from overfit.report import report
    from server.encoding.display import FrameDisplay

    with FrameDisplay("measuring") as display:
        result = report(
            package, source, rung_index=rung, vmaf=vmaf, curves=curves, on_progress=display
        )
    _print(result.to_json(), as_json, result.summary())


class _ServeCommand(TyperCommand):
    """`serve`: a flag for each of the server's settings, made when the command is asked for."""

    def get_params(self, ctx: Any) -> list[Any]:
        from server.settings_flags import setting_flags

        return super().get_params(ctx) + setting_flags()


@app.command("serve", cls=_ServeCommand)
def _serve(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A package, or a folder of packages.")],
    settings: Annotated[
        Path | None,
        typer.Option(
            envvar="CRISPCAST_SETTINGS", help="TOML; `crispcast settings` prints one to begin with."
        ),
    ] = None,
) -> None:
    """Serve packages over WebRTC (WHEP) until interrupted."""
    import os
    from urllib.parse import quote

    from server.serving import serve
    from server.settings_sources import load_settings

    def ready(url: str, catalogue: Catalogue) -> None:
        for name in catalogue.packages:
            typer.echo(f"{url}/whep/{quote(name)}")
        _say(f"serving at {url}; ctrl-C ends it")

    serve(path, load_settings(settings, os.environ, context.meta), on_ready=ready)


@app.command("publish", cls=_of_room("server.publish_command", "publish_command"))
def _publish() -> None:
    """Publish a package to an SFU (WHIP) as a channel, a loop without an end, until interrupted."""


@app.command("origin")
def _origin(
    path: Annotated[Path, typer.Argument(help="A package, or a folder of packages.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that a web server serves.")],
) -> None:
    """Write what viewers fetch by HTTP as plain files: for a bucket, a CDN, any web server."""
    from server.origin_files import write_origin

    for name in write_origin(path, out).packages:
        typer.echo(f"packages/{name}")


@app.command("export", cls=_of_room("mobile_export.command", "export_command"))
def _export() -> None:
    """Export a package's networks for phones: Core ML, ONNX for NNAPI, or an SDK to embed."""


app.add_typer(
    typer.Typer(
        cls=_group_of_room("server.encoding.store_command", "store_commands"), no_args_is_help=True
    ),
    name="store",
    help="The finished jobs that encodes go on from: list, check, tidy.",
)
app.add_typer(
    typer.Typer(
        cls=_group_of_room("server.encoding.key_command", "key_commands"), no_args_is_help=True
    ),
    name="key",
    help="Keys that sign packages, so that players take nothing of anybody else.",
)


@app.command("settings")
def _settings() -> None:
    """Print a settings file for `serve`: every setting with its default, flag and variable."""
    from server.settings_sources import commented_file

    typer.echo(commented_file(), nl=False)


@app.command("play", cls=_of_room("client_sdk.play_command", "play_command"))
def _play() -> None:
    """Play a stream with super-resolution in compiled sparse kernels."""


@app.command("inspect")
def _inspect(
    plan: Annotated[Path, typer.Argument(help="A wire plan: NAME.crisp/plans/<sha256>.plan.")],
    threads: Annotated[
        int, typer.Option(min=0, max=MAX_THREADS, help="CPU threads; 0 for all.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """The layers of a plan, its bytes, and what it costs here, predicted and measured."""
    from kernels.compiler import base_of
    from kernels.errors import PlanError
    from kernels.inspect import inspect_plan

    try:
        wire = plan.read_bytes()
        identity = base_of(wire)
        # A plan may be a difference to another of its package: files are named by their hashes.
        beside = [] if identity is None else sorted(plan.parent.glob(f"{identity.hex()}*.plan"))
        base = beside[0].read_bytes() if beside else None
    except IsADirectoryError:
        raise PlanError(f"{plan} is a folder; name one of its plans/*.plan") from None
    except OSError as error:
        raise PlanError(f"cannot read the plan {plan}: {error.strerror}") from error
    report = inspect_plan(wire, threads, base)
    _print(report.to_json(), as_json, report.summary())


@app.command("doctor")
def _doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """What this machine has, what is missing, and how to get it."""
    from server.encoding.doctor import examine

    findings = examine()
    _print(findings.to_json(), as_json, findings.summary())


def _print(result: dict[str, Any], as_json: bool, summary: str) -> None:
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(summary)


def main(arguments: list[str] | None = None) -> NoReturn:
    """The command line; ends the process. Exit codes: 0 done, 1 refused, 2 usage, 130 ^C."""
    app(arguments, prog_name="crispcast")
    sys.exit(0)


if __name__ == "__main__":
    main()
