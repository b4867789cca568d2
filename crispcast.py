"""Crispcast: small videos with tiny networks overfitted to them, shown large.

The version, the two verbs of the public API, and the command line. Every room is imported only when
its command runs, so that a player needs no torch and a server no encoder.

    >>> import crispcast
    >>> crispcast.encode("clip.mp4", "clip.crisp", preset="fast")  # doctest: +SKIP
    >>> crispcast.play("http://127.0.0.1:8080/whep/clip")  # doctest: +SKIP
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

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


@app.command("encode")
def _encode(
    video: Annotated[Path, typer.Argument(help="Any video that FFmpeg reads.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The package: NAME.crisp.")],
    scale: Annotated[
        int | None,
        typer.Option(help="How much smaller the rung is: 1 (not at all) to 4; 2 if unset."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="stdo, jstdo, dydca, awdnn, nas, cafm; auto: what suits the video; none: "
            "interpolation only."
        ),
    ] = "stdo",
    chunks: Annotated[
        int | None, typer.Option(help="Parts of the video, by what the method cuts it by.")
    ] = None,
    network: Annotated[
        str,
        typer.Option(help="default, or as edsr, edsr-mobile, espcn+branches: see docs/methods.md."),
    ] = "default",
    plates: Annotated[str, typer.Option(help="auto, or off: no pictures of places.")] = "auto",
    canvas: Annotated[
        str, typer.Option(help="auto, or off: no plates for cameras that move.")
    ] = "auto",
    chroma: Annotated[str, typer.Option(help="auto, or off: plates without colour.")] = "auto",
    codec: Annotated[
        str, typer.Option(help="Of the rung: h264, av1, or auto: av1 where there is a target.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="Of experts: int8, or fp32.")] = "int8",
    pattern: Annotated[
        str,
        typer.Option(
            help="What is pruned together: taps, unstructured, bcr, n:m, kernels, channels or "
            "regrouped."
        ),
    ] = "taps",
    schedule: Annotated[
        str,
        typer.Option(
            help="How: cubic, one-shot, iss-p, sr-ste, admm, reweighted or grow.",
        ),
    ] = "cubic",
    allocation: Annotated[
        str | None,
        typer.Option(
            help="Where: ranked, uniform, erk or rate-distortion; the pattern's own if unset."
        ),
    ] = None,
    density: Annotated[
        float | None, typer.Option(help="Share of weights that survives; the preset's if unset.")
    ] = None,
    base: Annotated[
        str, typer.Option(help="Where training starts: auto, none, or a base's file.")
    ] = "auto",
    preset: Annotated[str, typer.Option(help="fast, balanced or best.")] = "balanced",
    steps: Annotated[
        int | None, typer.Option(help="Training steps; the preset's if unset.")
    ] = None,
    lr_crf: Annotated[
        float | None, typer.Option(help="The rung's CRF on its codec's scale.")
    ] = None,
    lr_bitrate: Annotated[str | None, typer.Option(help="Or its bit rate, as 250k.")] = None,
    target_kbps: Annotated[
        float | None, typer.Option(help="Bytes of it all; scale, rate and plates are chosen.")
    ] = None,
    target_psnr: Annotated[float | None, typer.Option(help="Or its PSNR of the luma, dB.")] = None,
    ladder: Annotated[
        str | None, typer.Option(help="Or several rungs, by kb/s of it all: 150,300,600, or auto.")
    ] = None,
    plate_quality: Annotated[int | None, typer.Option(help="AVIF's, 1 to 100; 70.")] = None,
    max_compute: Annotated[
        str | None,
        typer.Option(
            help="Multiply-adds a frame that clients can run, or phone-low, phone, laptop."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Seconds that all training may take at most.")
    ] = None,
    max_segment: Annotated[float, typer.Option(help="Longest segment, 2 to 4 seconds.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 for all.")] = 0,
    engine: Annotated[str, typer.Option(help="Where jobs run: local.")] = "local",
    workers: Annotated[int, typer.Option(help="Processes; 0 for one per GPU.")] = 0,
    store: Annotated[Path | None, typer.Option(help="Where intermediate results live.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing package.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Encode VIDEO into a package: a small video, experts, plates and patch maps."""
    from server.encoding.display import EncodeDisplay
    from server.encoding.rates import parse_bitrate, parse_ladder

    with EncodeDisplay() as display:
        result = encode(
            video,
            output,
            on_progress=display,
            scale=scale,
            method=method,
            chunks=chunks,
            network=network,
            plates=plates,
            canvas=canvas,
            chroma=chroma,
            codec=codec,
            precision=precision,
            pattern=pattern,
            schedule=schedule,
            allocation=allocation,
            density=density,
            base=base,
            preset=preset,
            steps=steps,
            lr_crf=lr_crf,
            lr_bitrate=None if lr_bitrate is None else parse_bitrate(lr_bitrate),
            target_kbps=target_kbps,
            target_psnr=target_psnr,
            ladder=None if ladder is None else parse_ladder(ladder),
            plate_quality=plate_quality,
            max_compute=max_compute,
            budget=budget,
            max_segment=max_segment,
            seed=seed,
            threads=threads,
            engine=engine,
            workers=workers,
            store=store,
            force=force,
        )
    _print(result.to_json(), as_json, result.summary())


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


class _ExportCommand(TyperCommand):
    """`export`: what it takes and does is in its room, loaded when the command is asked for."""

    def get_params(self, ctx: Any) -> list[Any]:
        from mobile_export.command import export_command

        found: list[Any] = export_command().get_params(ctx)
        return found

    def invoke(self, ctx: Any) -> Any:
        from mobile_export.command import export_command

        return export_command().invoke(ctx)


@app.command("export", cls=_ExportCommand)
def _export() -> None:
    """Export a package's networks for phones: Core ML for iOS, ONNX for Android's NNAPI."""


@app.command("settings")
def _settings() -> None:
    """Print a settings file for `serve`: every setting with its default, flag and variable."""
    from server.settings_sources import commented_file

    typer.echo(commented_file(), nl=False)


@app.command("play")
def _play(
    url: Annotated[str, typer.Argument(help="http://HOST:PORT/whep/NAME")],
    out: Annotated[Path | None, typer.Option(help="Write what is shown: .mp4 or .y4m.")] = None,
    stats: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    display: Annotated[bool, typer.Option("--display", help="Show it in a window.")] = False,
    no_sr: Annotated[bool, typer.Option("--no-sr", help="Interpolate only.")] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 for all.")] = 0,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps plans and plates.")] = None,
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
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Play a stream with super-resolution in compiled sparse kernels."""
    live = sys.stderr.isatty()

    def show(so_far: PlayStats) -> None:
        if live:
            print(f"\r{_play_line(so_far)}\x1b[K", end="", file=sys.stderr, flush=True)

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
        )
    finally:
        if live:
            print(file=sys.stderr)
    _print(json.loads(played.to_json()), as_json, _play_line(played))


def _play_line(stats: PlayStats) -> str:
    return (
        f"{stats.frames} frames, {stats.fps:.1f} fps, {stats.upscale_ms_median:.1f} ms to upscale "
        f"({stats.isa}), {stats.plan_bytes} bytes of plans, {stats.late_plans} late, "
        f"{stats.frames_interpolated} interpolated, {stats.frames_lost} lost"
    )


@app.command("inspect")
def _inspect(
    plan: Annotated[Path, typer.Argument(help="A wire plan: NAME.crisp/plans/<sha256>.plan.")],
    threads: Annotated[int, typer.Option(min=0, max=256, help="CPU threads; 0 for all.")] = 1,
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
