"""`crispcast encode`: its options, loaded when the command is asked for, before any encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kernels.errors import CrispcastError

if TYPE_CHECKING:
    from server.encoding import EncodeConfig


def _encode(
    videos: Annotated[
        list[Path],
        typer.Argument(help="What FFmpeg reads; several, or a folder of them."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The package, NAME.crisp; of several, their folder."),
    ],
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
    engine: Annotated[str, typer.Option(help="Where jobs run: local, or ray.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster, or auto; unset: one of this machine alone."),
    ] = None,
    gpus: Annotated[
        float, typer.Option(help="The part of a GPU that a training takes on the cluster.")
    ] = 1.0,
    workers: Annotated[int, typer.Option(help="Processes; 0: one per GPU, more share them.")] = 0,
    store: Annotated[
        str | None, typer.Option(help="Where intermediate results live: a folder, or a URL.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing package.")] = False,
    sign_key: Annotated[
        Path | None,
        typer.Option(
            envvar="CRISPCAST_SIGN_KEY",
            help="Sign with this private key, of `crispcast key new`.",
        ),
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip-existing", help="Of several: pass over those that are there.")
    ] = False,
    part: Annotated[
        str | None, typer.Option(help="Of several: I/N, every N-th; I is 0 to N - 1.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """Encode VIDEOS into packages: a small video, experts, plates and patch maps."""
    from server.encoding import EncodeConfig
    from server.encoding.many import part_of, videos_of
    from server.encoding.rates import parse_bitrate, parse_ladder

    def config_of(source: Path, package: Path) -> EncodeConfig:
        return EncodeConfig(
            source=source,
            output=package,
            scale=scale,
            method=method,
            chunks=chunks,
            network=network,
            plates=plates,
            canvas=canvas,
            chroma=chroma,
            codec=codec,  # type: ignore[arg-type]  # any word will do: it is checked there
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
            address=address,
            gpus=gpus,
            workers=workers,
            store=store,
            force=force,
            sign_key=sign_key,
        )

    several = len(videos) > 1 or videos[0].is_dir() or skip or part is not None
    if not several:
        _encode_one(config_of(videos[0], output), as_json)
    else:
        found = part_of(videos_of(videos), part)
        if skip:
            found = [path for path in found if not (output / f"{path.stem}.crisp").exists()]
        _encode_several([config_of(path, output / f"{path.stem}.crisp") for path in found], as_json)


def _encode_one(config: EncodeConfig, as_json: bool) -> None:
    from server.encoding import encode
    from server.encoding.display import EncodeDisplay

    with EncodeDisplay() as display:
        result = encode(config, display)
    typer.echo(json.dumps(result.to_json()) if as_json else result.summary())


def _encode_several(configs: list[EncodeConfig], as_json: bool) -> None:
    from server.encoding.display import ManyDisplay
    from server.encoding.many import encode_many

    with ManyDisplay(len(configs)) as display:
        outcomes = encode_many(configs, display)
    if as_json:
        typer.echo(json.dumps({"packages": [outcome.to_json() for outcome in outcomes]}))
    else:
        for outcome in outcomes:
            typer.echo(outcome.summary())
    failed = sum(outcome.result is None for outcome in outcomes)
    if failed:
        raise CrispcastError(f"{failed} of {len(outcomes)} videos were not encoded")


def encode_command() -> Any:
    """The command as click has it."""
    made = typer.Typer(add_completion=False)
    made.command()(_encode)
    return typer.main.get_command(made)
