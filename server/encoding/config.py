"""The settings of an encode: the one home of their defaults, and what each preset means."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from kernels import bases
from kernels.cores import MAX_THREADS
from kernels.errors import CrispcastError
from overfit.video.rung_config import DEFAULT_CRF, Codec, Effort
from server.encoding.graph import hash_file

MAX_CHUNKS = 16
MAX_LADDER = 8
BASE_STEPS = 500
"""With more steps an expert ends better from random weights, which keep no base's taps."""
BASE_SECONDS = 15.0
"""About what those take on two cores, where there is a budget instead."""
MAX_STEPS = 10_000_000
MAX_BUDGET = 10_000_000
MAX_SEED = 0xFFFF_FFFF


@dataclass(frozen=True)
class Preset:
    """How much work an encode puts in.

    `steps` are optimiser steps of all experts together, so that more chunks do not take longer;
    `units` and `blocks` shape an expert, `plate_units` one that has a plate in most segments,
    where more units add nothing; `density` is the share of weights that survive pruning; `chunks`
    is the number of experts where none is asked for: at minutes of training several are level
    with one, which is 1/k of the bytes; `scales` are those that a target chooses from.
    """

    steps: int
    units: int
    plate_units: int
    blocks: int
    density: float
    chunks: int
    rung_preset: Effort
    scales: tuple[int, ...]


PRESETS: dict[str, Preset] = {
    "fast": Preset(1500, 16, 8, 3, 0.25, 1, "slow", (1, 2)),
    "balanced": Preset(5000, 16, 8, 3, 0.25, 1, "slower", (1, 2, 4)),
    "best": Preset(20000, 24, 16, 4, 0.25, 2, "veryslow", (1, 2, 3, 4)),
}

DEVICES: dict[str, float] = {"phone-low": 0.6e9, "phone": 2e9, "laptop": 8e9}
"""Multiply-adds a frame that a class of device is taken to run at 30 frames a second."""


@dataclass(frozen=True)
class MethodFacts:
    """What an encode must know of a method before it loads it (`overfit.methods`).

    `experts` there are, or as many as chunks (None). `chunks`: the least where none are asked for;
    0 where none may be. `together`: one training makes all experts. `ranked`: how hard patches are
    is found first, even for one chunk. `blocks`: the fewest that a network of its experts has.
    """

    experts: int | None
    chunks: int
    together: bool = False
    ranked: bool = False
    blocks: int = 1


METHODS: dict[str, MethodFacts] = {
    "none": MethodFacts(0, 1),
    "awdnn": MethodFacts(1, 0),
    "nas": MethodFacts(None, 2),
    "cafm": MethodFacts(None, 2, together=True),
    "stdo": MethodFacts(None, 1),
    "jstdo": MethodFacts(1, 4, ranked=True),
    "dydca": MethodFacts(2, 0, together=True, ranked=True, blocks=2),
    "auto": MethodFacts(1, 0),
}
"""By name. `auto` becomes one of the others before there is a graph of jobs."""

SURVEY_SHARE = 0.2
"""Of the budget, for the survey's networks together."""
CHUNKS_SHARE = 0.1
"""Of the budget, for the network that finds how hard patches are, where a method asks for it."""
_REFINING = 30
"""Rounds in which plates are refined, at most; short trainings refine less."""


TRIALS_SHARE = 0.5
"""Of the budget, for the trials of methods that `auto` chooses by."""


@dataclass(frozen=True)
class Shares:
    """Seconds that trainings may take at most: the survey's, the chunks', each expert's.

    None is no bound, or no such training.
    """

    survey: float | None
    chunks: float | None
    expert: float | None


@dataclass(frozen=True)
class EncodeConfig:
    """One encode.

    `codec` is the rung's: h264, which every viewer has, or av1, which takes about half the bytes;
    auto is av1 where a target counts them. `lr_crf` (on the codec's own scale) or `lr_bitrate`
    (b/s) sets the size of the rung. Or a target is set,
    `target_kbps` for all that a viewer downloads but audio, or `target_psnr` (of the luma, in dB):
    then a survey chooses the rate, the plates' quality, the networks' size and, where `scale` is
    None, the scale. `ladder` has a target in kb/s for each of several rungs, ascending, or is auto,
    and then a survey chooses them too. Without a target a `scale` of None is 2. `plate_quality` is
    AVIF's, 1 to 100. `max_compute` bounds the multiply-adds a frame of what a client must run: a
    number, or a name of `DEVICES`. `sizes` is set by what was decided, else the preset's.

    `method` is a name of `METHODS`, and `chunks` what it cuts the video into, where it does;
    `network` is one of the networks that have a name (docs/methods.md), or `default`: a small one
    of the preset's size.

    `budget` bounds the seconds of all training together (`shares`): then the result depends on how
    fast the machine is, without it only on the settings.

    `canvas` is for the plates of shots whose camera moves, `chroma` for the colour of the others;
    without `plates` there is neither.

    `precision` is of the values between an expert's layers: int8 takes half the time of fp32, for a
    few hundredths of a dB; `pattern`, `schedule` and `allocation` say how experts are pruned and
    `density` how much of them is left (`overfit.pruning`; None is its default, or the preset's);
    `base` is where training starts: auto (a shipped one of the expert's
    shape, if training is short), none, or a file; `max_segment` is in seconds, 2 to 4; `chunks` and
    `steps` None are the preset's; `threads` and `workers` 0 are what the machine has; `store` is a
    folder or, for several machines, a URL (`server.encoding.shared_store`), None `default_store()`.
    `address` and `gpus` are the engine ray's (`server.encoding.ray_engine`). `sign_key`: the
    file of the private key that signs the package (docs/signing.md), read on this machine only.
    """

    source: Path
    output: Path
    scale: int | None = None
    method: str = "stdo"
    chunks: int | None = None
    plates: str = "auto"
    canvas: str = "auto"
    chroma: str = "auto"
    codec: Codec | Literal["auto"] = "auto"
    precision: str = "int8"
    pattern: str = "taps"
    schedule: str = "cubic"
    allocation: str | None = None
    density: float | None = None
    base: str = "auto"
    network: str = "default"
    preset: str = "balanced"
    steps: int | None = None
    lr_crf: float | None = None
    lr_bitrate: int | None = None
    target_kbps: float | None = None
    target_psnr: float | None = None
    ladder: tuple[float, ...] | str | None = None
    plate_quality: int | None = None
    max_compute: str | float | None = None
    budget: float | None = None
    sizes: Preset | None = None
    max_segment: float = 2.0
    seed: int = 0
    threads: int = 0
    engine: str = "local"
    address: str | None = None
    gpus: float = 1.0
    workers: int = 0
    store: str | Path | None = None
    force: bool = False
    sign_key: Path | None = None

    def __post_init__(self) -> None:
        _one_of("scale", self.scale, (None, 1, 2, 3, 4))
        _one_of("method", self.method, tuple(METHODS))
        _one_of("plates", self.plates, ("auto", "off"))
        _one_of("canvas", self.canvas, ("auto", "off"))
        _one_of("chroma", self.chroma, ("auto", "off"))
        _one_of("codec", self.codec, ("auto", *DEFAULT_CRF))
        _one_of("precision", self.precision, ("int8", "fp32"))
        _one_of("preset", self.preset, tuple(PRESETS))
        _one_of("engine", self.engine, ("local", "ray"))
        if self.chunks is not None and not 1 <= self.chunks <= MAX_CHUNKS:
            raise CrispcastError(f"chunks {self.chunks}: choose 1 to {MAX_CHUNKS}")
        if self.chunks is not None and self.facts.chunks == 0:
            raise CrispcastError(
                f"method {self.method} does not cut a video into chunks: leave chunks out"
            )
        if self.network != "default" and self.targeted:
            raise CrispcastError(
                "a target chooses the size of the network too: set the rate by lr_crf or "
                "lr_bitrate, or leave network out"
            )
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            raise CrispcastError(f"{self.steps} steps: choose 1 to {MAX_STEPS}")
        rates = (self.lr_crf, self.lr_bitrate, self.target_kbps, self.target_psnr, self.ladder)
        if sum(rate is not None for rate in rates) > 1:
            raise CrispcastError(
                "choose one of the rung's CRF, the rung's bit rate, a target in kb/s, one in dB, "
                "a ladder"
            )
        _within("target_kbps", self.target_kbps, 5, 1_000_000)
        _within("target_psnr", self.target_psnr, 10, 60)
        self._check_ladder()
        _within("plate_quality", self.plate_quality, 1, 100)
        _within("density", self.density, 1e-3, 1)
        if self.budget is not None and not 0 < self.budget <= MAX_BUDGET:
            raise CrispcastError(
                f"a budget of {self.budget:g} s: choose above 0, up to {MAX_BUDGET} seconds"
            )
        _within("max_compute", self.compute, 1e5, 1e15)
        if not 2.0 <= self.max_segment <= 4.0:
            raise CrispcastError(f"segments of {self.max_segment:g} s: choose 2 to 4 seconds")
        for name, count in (("threads", self.threads), ("workers", self.workers)):
            if not 0 <= count <= MAX_THREADS:
                raise CrispcastError(f"{count} {name}: choose 0 to {MAX_THREADS}")
        if self.address is not None and self.engine != "ray":
            raise CrispcastError("an address is a Ray cluster's: choose engine ray, or leave it")
        _within("gpus", self.gpus, 0.01, 64)
        if not 0 <= self.seed <= MAX_SEED:
            raise CrispcastError(f"seed {self.seed}: choose 0 to {MAX_SEED}")
        for path in self.bases:
            if not path.is_file():
                raise CrispcastError(f"base {path}: no such file; give one, or auto, or none")
        if self.pattern != "taps" and self.names_base:
            raise CrispcastError(
                f"bases are pruned by taps, not by {self.pattern}; choose base none or pattern taps"
            )
        if not self.output.name.removesuffix(".crisp"):
            raise CrispcastError(f"{self.output} has no name; call the output NAME.crisp")

    def _check_ladder(self) -> None:
        ladder = self.ladder
        if ladder is None or ladder == "auto":
            return
        if isinstance(ladder, str) or not 2 <= len(ladder) <= MAX_LADDER:
            raise CrispcastError(f"ladder {ladder}: give 2 to {MAX_LADDER} rates in kb/s, or auto")
        for rate in ladder:
            _within("ladder", rate, 5, 1_000_000)
        if any(low >= high for low, high in pairwise(ladder)):
            raise CrispcastError(f"ladder {_listed(ladder)}: give the rates from the lowest up")

    @property
    def work(self) -> Preset:
        """What the preset's name means, with the steps and the sizes that were asked for."""
        preset = self.sizes or PRESETS[self.preset]
        steps = preset.steps if self.steps is None else self.steps
        density = preset.density if self.density is None else self.density
        return replace(preset, steps=steps, density=density)

    @property
    def targeted(self) -> bool:
        """Whether a survey must choose the rate."""
        return any(t is not None for t in (self.target_kbps, self.target_psnr, self.ladder))

    @property
    def compute(self) -> float | None:
        """`max_compute` as multiply-adds a frame."""
        if self.max_compute is None or isinstance(self.max_compute, float | int):
            return self.max_compute
        if self.max_compute in DEVICES:
            return DEVICES[self.max_compute]
        try:
            return float(self.max_compute)
        except ValueError:
            raise CrispcastError(
                f"max_compute {self.max_compute!r} is neither a number of multiply-adds a frame "
                f"nor one of {_listed(tuple(DEVICES))}"
            ) from None

    @property
    def rung_codec(self) -> Codec:
        """What `codec` means."""
        if self.codec == "auto":
            return "av1" if self.targeted else "h264"
        return self.codec

    @property
    def crf(self) -> float | None:
        """The rung's CRF, or None where a bit rate is set."""
        if self.lr_bitrate is not None:
            return None
        return DEFAULT_CRF[self.rung_codec] if self.lr_crf is None else self.lr_crf

    @property
    def pruning(self) -> dict[str, object]:
        """How experts are pruned: fields of `overfit.pruning.PruningConfig`."""
        return {
            "pattern": self.pattern,
            "schedule": self.schedule,
            "allocation": self.allocation,
            "density": self.work.density,
        }

    @property
    def names_base(self) -> bool:
        """Whether `base` is a file, which must be a start for some expert."""
        return self.base not in ("auto", "none")

    @property
    def bases(self) -> tuple[Path, ...]:
        """Files of the bases that an expert may start from."""
        if self.pattern != "taps":
            return ()  # bases are pruned by taps
        if self.base == "auto":
            seconds = self.shares.expert
            short = self.work.steps <= BASE_STEPS * max(1, self.trainings)
            short = short or (seconds is not None and seconds <= BASE_SECONDS)
            return bases.shipped() if short else ()
        return () if self.base == "none" else (Path(self.base),)

    @property
    def facts(self) -> MethodFacts:
        """Of the method."""
        return METHODS[self.method]

    @property
    def chunk_count(self) -> int:
        """What the method is to cut the video into."""
        if not self.facts.chunks:
            return 1
        return max(self.facts.chunks, self.work.chunks) if self.chunks is None else self.chunks

    @property
    def experts(self) -> int:
        """Number of experts to train."""
        return self.chunk_count if self.facts.experts is None else self.facts.experts

    @property
    def trainings(self) -> int:
        """Number of trainings that make them."""
        return min(1, self.experts) if self.facts.together else self.experts

    @property
    def ranks(self) -> bool:
        """Whether a network is trained to find how hard patches are."""
        return self.facts.ranked or (self.method == "stdo" and self.experts > 1)

    @property
    def shares(self) -> "Shares":
        """What each training has of the budget."""
        if self.budget is None:
            return Shares(None, None, None)
        survey = SURVEY_SHARE * self.budget if self.targeted else 0.0
        chunks = CHUNKS_SHARE * self.budget if self.ranks else 0.0
        left = self.budget - survey - chunks
        return Shares(survey or None, chunks or None, left / max(1, self.trainings))

    @property
    def refining(self) -> int:
        """Rounds in which plates are refined: none where a budget bounds all training."""
        return 0 if self.budget is not None else min(_REFINING, self.work.steps // 50)

    @property
    def canonical(self) -> dict[str, object]:
        """The settings that shape the package, as JSON: what its identity is made of."""
        return {
            "scale": self.scale or 2,
            "method": self.method,
            "chunks": self.chunk_count if self.experts else 0,
            "plates": self.plates if self.method != "none" else "off",
            "canvas": self.canvas if self.plates != "off" and self.method != "none" else "off",
            "codec": self.rung_codec,
            "precision": self.precision,
            "bases": [hash_file(path)[:32] for path in self.bases],
            "preset": self.preset,
            "steps": self.work.steps,
            "units": self.work.units,
            "plate_units": self.work.plate_units,
            "blocks": self.work.blocks,
            "plate_quality": self.plate_quality or 70,
            "lr_crf": self.crf,
            "lr_bitrate": self.lr_bitrate,
            "max_segment": self.max_segment,
            "seed": self.seed,
            **({} if self.budget is None else {"budget": self.budget}),
            **({} if self.network == "default" else {"network": self.network}),
            **({} if self.chroma == "auto" else {"chroma": self.chroma}),
            **self._asked_of_pruning,
        }

    @property
    def _asked_of_pruning(self) -> dict[str, object]:
        """What differs from the preset and the default."""
        names = ("pattern", "schedule", "allocation", "density")
        fields = type(self).__dataclass_fields__
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value != fields[name].default}


def _within(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:  # NaN is in no range
        raise CrispcastError(f"{name} {value:g}: choose {least:g} to {most:g}")


def _one_of(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise CrispcastError(f"{name} {value} is unknown; choose from {_listed(choices)}")


def _listed(choices: tuple[object, ...]) -> str:
    return ", ".join(str(choice) for choice in choices if choice is not None)
