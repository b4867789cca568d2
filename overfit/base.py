"""Trains a base: one network on many clips at many bit rates, where an expert's training may start.

    python -m overfit.base CLIPS... -o x2.plan [--plate] [--leave-out NAME]

Dense first, then pruned as experts are, so that an expert begins with taps that are worth having
and keeps most of them. A base is a wire plan (docs/plan-format.md): an expert may be sent as a
difference to it, so its channels stay in the order of training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from kernels.compiler import compile_module, decode_plan
from kernels.errors import CrispcastError
from overfit.base_footage import FootageConfig, base_footage
from overfit.networks import NetworkConfig
from overfit.pruning import DENSE, PruningConfig
from overfit.training import train
from overfit.training_config import TrainingConfig
from overfit.training_data import TrainingData

VIDEOS = frozenset({".264", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


@dataclass(frozen=True)
class BaseConfig:
    """What a base is for, and how it is trained.

    With `plate` it reads a plate too and has 8 units, else 16, as the experts of the presets have.
    `steps` train it dense, `prune_steps` cut it down to `density` of its taps.
    """

    scale: int = 2
    plate: bool = False
    steps: int = 2500
    prune_steps: int = 1000
    density: float = 0.25
    footage: FootageConfig = field(default_factory=FootageConfig)
    threads: int = 1

    @property
    def network(self) -> NetworkConfig:
        """The shape that experts of the presets have."""
        if self.plate:
            return NetworkConfig(self.scale, units=8, inputs=("luma", "previous", "plate"))
        return NetworkConfig(self.scale, units=16)

    @property
    def dense(self) -> TrainingConfig:
        """The first part. Values between layers stay exact: each expert rounds its own."""
        return TrainingConfig(
            steps=self.steps, pruning=DENSE, codes=False, bits=8, threads=self.threads
        )

    @property
    def pruned(self) -> TrainingConfig:
        """The second part."""
        return TrainingConfig(
            steps=self.prune_steps,
            pruning=PruningConfig(density=self.density, begin=0.0),
            codes=False,
            bits=8,
            learning_rate=2e-3,
            threads=self.threads,
        )


def train_base(
    data: TrainingData,
    config: BaseConfig,
    on_progress: Callable[[str, int, float], None] | None = None,
) -> bytes:
    """The wire plan of a base for `data`; `on_progress` gets the part, its step and PSNR-Y in dB.

    Raises CrispcastError where the training diverges.
    """
    wire: bytes | None = None
    for part, training in (("dense", config.dense), ("pruned", config.pruned)):

        def told(step: int, _: float, psnr: float, part: str = part) -> None:
            if on_progress is not None:
                on_progress(part, step, psnr)

        start = None if wire is None else decode_plan(wire)
        trained = train(data, config.network, training, base=start, on_progress=told)
        wire = compile_module(trained.network, config.scale, reorder=False)
    assert wire is not None
    return wire


def clips_in(paths: Sequence[Path], leave_out: str | None = None) -> list[Path]:
    """Videos among `paths` and in the folders among them, but those with `leave_out` in their name.

    Raises CrispcastError where none is left, or where nothing has that name.
    """
    found = [
        clip
        for path in paths
        for clip in (sorted(path.iterdir()) if path.is_dir() else [path])
        if clip.suffix.lower() in VIDEOS
    ]
    kept = [clip for clip in found if leave_out is None or leave_out not in clip.name]
    if leave_out is not None and len(kept) == len(found):
        raise CrispcastError(f"no clip has {leave_out!r} in its name; leave out another, or none")
    if not kept:
        raise CrispcastError("no video is left to learn from; name clips or folders of them")
    return kept


def main(
    clips: Annotated[list[Path], typer.Argument(help="Videos, or folders of them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The base: NAME.plan.")],
    scale: Annotated[int, typer.Option(help="2, 3 or 4.")] = 2,
    plate: Annotated[bool, typer.Option("--plate", help="For experts that have a plate.")] = False,
    leave_out: Annotated[str | None, typer.Option(help="Part of a clip's name.")] = None,
    steps: Annotated[int, typer.Option(help="Training steps, dense.")] = BaseConfig.steps,
    prune_steps: Annotated[int, typer.Option(help="Then, while taps go.")] = BaseConfig.prune_steps,
) -> None:
    """Train a base on CLIPS; an expert that starts from it needs a fraction of the steps."""

    def show(part: str, step: int, psnr: float) -> None:
        if step % 100 == 0:
            print(f"{part} {step}: {psnr:.2f} dB", file=sys.stderr, flush=True)

    config = BaseConfig(scale, plate, steps, prune_steps)
    try:
        data = base_footage(clips_in(clips, leave_out), scale, config.footage, plates=plate)
        output.write_bytes(train_base(data, config, show))
    except CrispcastError as error:
        raise SystemExit(f"crispcast: {error}") from None
    except OSError as error:
        raise SystemExit(f"crispcast: {error.filename}: {error.strerror}") from None


if __name__ == "__main__":
    typer.run(main)
