"""The settings of an encode: the one home of their defaults, and what each preset means."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kernels.errors import CrispcastError

MAX_CHUNKS = 16
MAX_STEPS = 10_000_000
MAX_THREADS = 256
MAX_SEED = 0xFFFF_FFFF


@dataclass(frozen=True)
class Preset:
    """How much work an encode puts in.

    `steps` are optimiser steps of all experts together, so that more chunks do not take longer;
    `units` and `blocks` shape an expert, `plate_units` one that has a plate in most segments,
    where more units add nothing; `density` is the share of taps that survive pruning; `chunks`
    is the number of experts where none is asked for: at minutes of training several are level
    with one, which is 1/k of the bytes.
    """

    steps: int
    units: int
    plate_units: int
    blocks: int
    density: float
    chunks: int
    rung_preset: Literal["fast", "medium", "slow", "slower", "veryslow"]


PRESETS: dict[str, Preset] = {
    "fast": Preset(1500, 16, 8, 3, 0.25, 1, "slow"),
    "balanced": Preset(5000, 16, 8, 3, 0.25, 1, "slower"),
    "best": Preset(20000, 24, 16, 4, 0.25, 2, "veryslow"),
}


@dataclass(frozen=True)
class EncodeConfig:
    """One encode. `lr_crf` (x264's, up to 51) or `lr_bitrate` (b/s) sets the size of the rung.

    `canvas` is for the plates of shots whose camera moves; without `plates` there is none.

    `precision` is of the values between an expert's layers: int8 takes half the time of fp32, for a
    few hundredths of a dB; `max_segment` is in seconds, 2 to 4; `chunks` and `steps` None are the
    preset's; `threads` and `workers` 0 are what the machine has; `store` None is `default_store()`.
    """

    source: Path
    output: Path
    scale: int = 2
    method: str = "stdo"
    chunks: int | None = None
    plates: str = "auto"
    canvas: str = "auto"
    precision: str = "int8"
    preset: str = "balanced"
    steps: int | None = None
    lr_crf: float | None = None
    lr_bitrate: int | None = None
    max_segment: float = 2.0
    seed: int = 0
    threads: int = 0
    engine: str = "local"
    workers: int = 0
    store: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        _one_of("scale", self.scale, (2, 3, 4))
        _one_of("method", self.method, ("stdo", "none"))
        _one_of("plates", self.plates, ("auto", "off"))
        _one_of("canvas", self.canvas, ("auto", "off"))
        _one_of("precision", self.precision, ("int8", "fp32"))
        _one_of("preset", self.preset, tuple(PRESETS))
        _one_of("engine", self.engine, ("local",))
        if self.chunks is not None and not 1 <= self.chunks <= MAX_CHUNKS:
            raise CrispcastError(f"chunks {self.chunks}: choose 1 to {MAX_CHUNKS}")
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise CrispcastError(f"{self.steps} steps: choose 1 to {MAX_STEPS}")
        if self.lr_crf is not None and self.lr_bitrate is not None:
            raise CrispcastError("choose either a CRF or a bit rate for the rung, not both")
        if not 2.0 <= self.max_segment <= 4.0:
            raise CrispcastError(f"segments of {self.max_segment:g} s: choose 2 to 4 seconds")
        for name, count in (("threads", self.threads), ("workers", self.workers)):
            if not 0 <= count <= MAX_THREADS:
                raise CrispcastError(f"{count} {name}: choose 0 to {MAX_THREADS}")
        if not 0 <= self.seed <= MAX_SEED:
            raise CrispcastError(f"seed {self.seed}: choose 0 to {MAX_SEED}")
        if not self.output.name.removesuffix(".crisp"):
            raise CrispcastError(f"{self.output} has no name; call the output NAME.crisp")

    @property
    def work(self) -> Preset:
        """What the preset's name means, with the steps that were asked for."""
        preset = PRESETS[self.preset]
        return preset if self.steps is None else replace(preset, steps=self.steps)

    @property
    def crf(self) -> float | None:
        """The rung's CRF, or None where a bit rate is set."""
        if self.lr_bitrate is not None:
            return None
        return 30.0 if self.lr_crf is None else self.lr_crf

    @property
    def experts(self) -> int:
        """Number of experts to train."""
        if self.method == "none":
            return 0
        return self.work.chunks if self.chunks is None else self.chunks

    @property
    def canonical(self) -> dict[str, object]:
        """The settings that shape the package, as JSON: what its identity is made of."""
        return {
            "scale": self.scale,
            "method": self.method,
            "chunks": self.experts,
            "plates": self.plates if self.method != "none" else "off",
            "canvas": self.canvas if self.plates != "off" and self.method != "none" else "off",
            "precision": self.precision,
            "preset": self.preset,
            "steps": self.work.steps,
            "lr_crf": self.crf,
            "lr_bitrate": self.lr_bitrate,
            "max_segment": self.max_segment,
            "seed": self.seed,
        }


def parse_bitrate(text: str) -> int:
    """Bits a second from `250k`, `1.5M` or `250000`. Raises CrispcastError on anything else."""
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    try:
        bitrate = round(float(digits) * factor)
    except (ValueError, OverflowError):
        bitrate = 0
    if bitrate <= 0:
        raise CrispcastError(f"bit rate {text!r} is not understood; write it as 250k or 1.5M")
    return bitrate


def _one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise CrispcastError(f"{name} {value} is unknown; choose from {_listed(choices)}")


def _listed(choices: tuple[object, ...]) -> str:
    return ", ".join(str(choice) for choice in choices)
