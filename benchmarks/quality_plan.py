"""What `benchmarks.quality` trains: methods x networks x scales, what tells most first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.quality_rows import PLAIN, VARIANTS, Budget, Case
from kernels.errors import CrispcastError
from overfit.networks import NetworkConfig

PARTS = ("decoded", "papers", "training")
CLIPS = ("juggle", "cups", "bbb")
DECODED_CLIPS = ("juggle", "cups", "coffee")
"""Those of 720p, for which the bit rate is meant."""
SCALES = (2, 3, 4)
CHUNKS = 4
METHODS = ("stdo", "nas", "awdnn", "jstdo", "dydca", "dydca 0.25", "cafm")
WHOLE = ("awdnn", "dydca", "dydca 0.25")
"""Those without chunks."""
DECODED_CHUNKS = {"nas": 2, "cafm": 2, "stdo": 2, "jstdo": 4}
"""Where a package pays for them; others have one."""


@dataclass(frozen=True)
class Effort:
    """How much is trained. `curve`: steps of stdo and nas, of which `steps` are those of all.

    `decoded`: steps of the settings whose gain counts; `compared`: of methods at equal bytes.
    `seconds` of clean LR. `ladder`: steps of ours beside the recipe, at scale 4.
    """

    clips: tuple[str, ...] = CLIPS
    scales: tuple[int, ...] = SCALES
    decoded_clips: tuple[str, ...] = DECODED_CLIPS
    networks: tuple[str, ...] = ("default", "espcn-mobile")
    curve: tuple[int, ...] = (1000, 3000, 9000)
    steps: int = 3000
    settings: tuple[str, ...] = ("default", "wide")
    decoded: int = 5000
    compared: int = 1500
    ladder: tuple[int, ...] = (100, 200, 400, 800, 1600)
    trained: tuple[str, ...] = ("default", "espcn-mobile")
    seconds: float = 3.0
    every: int = 6
    clean: Budget = field(default_factory=lambda: Budget(batch=4, tile=48))
    coded: Budget = field(default_factory=Budget)


QUICK = Effort(
    clips=("juggle",),
    scales=(2, 4),
    decoded_clips=("juggle",),
    networks=("default",),
    curve=(100, 300),
    steps=300,
    settings=("default",),
    decoded=600,
    compared=0,
    ladder=(25, 50, 100, 200, 400),
    trained=("espcn-mobile",),
    seconds=1.0,
    clean=Budget(batch=2, tile=48),
    coded=Budget(batch=4, tile=48),
)


def decoded_cases(effort: Effort) -> Iterator[Case]:
    """What tells most comes first, for runs that are killed."""
    for network in effort.settings:
        yield Case(network, "awdnn", 1, effort.decoded)
    if effort.compared:
        for method in ("awdnn", *DECODED_CHUNKS, "dydca", "auto"):
            chunks = DECODED_CHUNKS.get(method, 1)
            yield Case("default", method, chunks, effort.compared)


def papers_cases(effort: Effort, scale: int, recipe: bool) -> Iterator[Case]:
    """Every method and network at equal steps, or by the recipe; stdo and nas at other steps too.

    Methods that leave blocks out go with networks that have some to spare.
    """
    yield Case(PLAIN, PLAIN, 1, 0)
    steps = None if recipe else effort.steps
    for network in effort.networks:
        shape = NetworkConfig(scale=scale).shaped(network)
        for method in METHODS:
            try:
                VARIANTS[method].sharing(shape, 2)
            except CrispcastError:
                continue
            yield Case(network, method, 1 if method in WHOLE else CHUNKS, steps)
    if not recipe:
        for steps in effort.curve:
            for network in effort.networks:
                yield Case(network, "stdo", CHUNKS, steps)
                yield Case(network, "nas", CHUNKS, steps)


def training_cases(effort: Effort) -> Iterator[Case]:
    """The recipe on one network for all, and ours for several numbers of steps."""
    for network in effort.trained:
        for steps in effort.ladder:
            yield Case(network, "awdnn", 1, steps)
        yield Case(network, "awdnn", 1, None)


@dataclass(frozen=True)
class Job:
    """Cases on one excerpt of a clip at one scale."""

    clip: str
    part: str
    scale: int
    cases: tuple[Case, ...]


def jobs(
    effort: Effort,
    parts: Sequence[str],
    scales: Sequence[int],
    *,
    methods: Collection[str] = (),
    recipe: bool = False,
) -> Iterator[Job]:
    """All work, part by part; of `methods` alone where some are named."""
    for part in PARTS:
        if part not in parts:
            continue
        clips = effort.decoded_clips if part == "decoded" else effort.clips
        for name in clips[: 1 if part == "training" else None]:
            for scale in scales:
                if part == "decoded" and scale == 3 and len(scales) > 1:
                    continue  # no target counts it
                if part == "training" and scale != max(scales):
                    continue  # the recipe's patches grow with the LR
                if part == "decoded":
                    cases = decoded_cases(effort)
                elif part == "papers":
                    cases = papers_cases(effort, scale, recipe)
                else:
                    cases = training_cases(effort)
                kept = [case for case in cases if not methods or case.method in (PLAIN, *methods)]
                yield Job(name, part, scale, tuple(dict.fromkeys(kept)))
