"""One row of `benchmarks.quality`: a method and a network, trained on an excerpt and measured.

    Case, Footage ─► run_method ─► plans, maps ─► runtime, as a viewer runs it ─► protocols ─► Row

From clean LR networks are trained as papers have them: one frame, dense, values between layers not
rounded. From decoded LR they are what an encode makes. Rows are kept by the settings and the code
that made them, so a killed run goes on where it was.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.quality_footage import BicubicCurve, Footage
from benchmarks.quality_recipe import flops, patches_in, recipe
from benchmarks.rd_cache import Cache
from client_sdk.contract.patch_map import Cell, PatchMap, encode_record
from kernels.runtime import Engine, Plan
from overfit.chunking.difficulty import F64
from overfit.methods import METHODS, Division, Dydca, Scene, choose_method, find_difficulty, make_by
from overfit.methods.interface import DIFFICULTY_STEPS, patch_means
from overfit.methods.plans import base_among
from overfit.metrics import PROTOCOLS, Errors, Planes, Protocol, squares
from overfit.networks import NetworkConfig
from overfit.pruning import DENSE, PruningConfig
from overfit.training_config import TrainingConfig
from server.encoding.config import PRESETS
from server.encoding.graph import code_hash


@dataclass(frozen=True)
class Setting:
    """A size of the default network for decoded LR, and how much of it is left."""

    units: int
    blocks: int
    density: float


SETTINGS = {
    "best": Setting(PRESETS["best"].units, PRESETS["best"].blocks, PRESETS["best"].density),
    "half": Setting(16, 3, 0.5),
    "wide": Setting(24, 3, 0.5),
}
"""By name, beside the networks that have one (docs/methods.md)."""
PLAIN = "bicubic"
"""The method that trains nothing."""
VARIANTS = {**METHODS, "dydca 0.25": Dydca(deep_share=0.25)}
"""Methods by name, and with other parameters than their defaults."""
SPACES = ("luma", "rgb")
MADE_BY = (
    "kernels.compiler",
    "overfit.acceleration",
    "overfit.adam",
    "overfit.chunking",
    "overfit.convergence",
    "overfit.gradients",
    "overfit.methods",
    "overfit.muon",
    "overfit.networks",
    "overfit.pruning",
    "overfit.training",
    "overfit.training_config",
    "overfit.training_data",
)
_TRIAL_STEPS = (40, 600)

Psnr = dict[str, dict[str, float]]
"""dB by protocol, then by space."""


@dataclass(frozen=True)
class Budget:
    """How networks are trained: windows an update and their side, and threads."""

    batch: int = TrainingConfig.batch
    tile: int = TrainingConfig.tile
    threads: int = 1


@dataclass(frozen=True)
class Case:
    """What is trained. `network`: a name of docs/methods.md or of `SETTINGS`, or `PLAIN`.

    `steps` are those of all experts together; None is the papers' recipe, which says itself.
    """

    network: str
    method: str
    chunks: int
    steps: int | None

    def shape(self, footage: Footage) -> NetworkConfig:
        """The network: it reads one frame of clean LR, and two of decoded LR."""
        inputs = ("luma", "previous") if footage.kind == "decoded" else ("luma",)
        plain = NetworkConfig(scale=footage.scale, inputs=inputs)
        setting = SETTINGS.get(self.network)
        if setting is not None:
            return replace(plain, units=setting.units, blocks=setting.blocks)
        return plain.shaped(self.network)

    def training(self, footage: Footage, budget: Budget) -> TrainingConfig:
        """As an encode trains; from clean LR dense, and rounded only when it is done."""
        if self.steps is None:
            return recipe(self.shape(footage), patches_in(footage.scene), budget.threads)
        plain = TrainingConfig(
            steps=self.steps, batch=budget.batch, tile=budget.tile, threads=budget.threads
        )
        if footage.kind == "decoded":
            setting = SETTINGS.get(self.network)
            density = PruningConfig.density if setting is None else setting.density
            return replace(plain, pruning=PruningConfig(density=density))
        return replace(plain, pruning=DENSE, round_begin=1.0, bits=8, codes=False)


@dataclass(frozen=True)
class Row:
    """What a case came to on one excerpt at one scale.

    `chosen`: the method that was trained. `plans` and `maps` in bytes. `macs`: multiply-adds an LR
    pixel, the mean over the picture. `flops`: of training. `seconds`: of training here.
    """

    clip: str
    lr: str
    scale: int
    case: Case
    psnr: Psnr
    chosen: str = ""
    plans: int = 0
    maps: int = 0
    macs: float = 0.0
    flops: float = 0.0
    seconds: float = 0.0
    gain: float | None = None
    kbps: float | None = None
    """Of decoded LR: dB over plain interpolation at equal bytes, and what those come to."""

    @property
    def name(self) -> str:
        """What the method is called in tables."""
        chunked = self.case.method in METHODS and METHODS[self.case.method].chunked
        name = f"{self.case.method} {self.case.chunks}" if chunked else self.case.method
        return f"{name} ({self.chosen})" if self.chosen != self.case.method else name

    def psnr_of(self, protocol: str = "whole_frame", space: str = "luma") -> float:
        """In dB."""
        return self.psnr[protocol][space]

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "name": self.name}


def patches_of(scene: Scene, division: Division, row: int) -> PatchMap:
    """The map of a segment: experts from 1, as 0 is plain interpolation."""

    def shifted(cell: Cell) -> Cell:
        if isinstance(cell, int):
            return cell + 1
        a, b, c, d = cell
        return (a + 1, b + 1, c + 1, d + 1)

    return PatchMap(scene.grid, tuple(shifted(cell) for cell in division.cells(row)))


def measured(
    footage: Footage, plans: tuple[bytes, ...] = (), division: Division | None = None
) -> Psnr:
    """What a viewer sees of the measured frames, by all protocols; interpolation without plans."""
    engine = Engine(1)
    loaded = [Plan(wire, base_among(wire, plans)) for wire in plans]
    protocols = {name: Protocol(name, footage.scale) for name in PROTOCOLS}
    found: dict[tuple[str, str], list[Errors]] = {}
    data = footage.scene
    starts = {n: row for row, s in enumerate(data.segments) for n in range(s.start, s.stop)}
    for number in footage.excerpt.measured:
        row = starts[number]
        before = footage.lr[max(number - 1, data.segments[row].start)][0]
        patches = None if division is None else patches_of(data, division, row).patches()
        made = engine.upscale(
            footage.lr[number], footage.scale, previous=before, patches=patches, plans=loaded
        )
        truth = footage.excerpt.frames[number]
        seen = cropped(made, truth)
        both = {
            "luma": squares(seen[0], truth[0]),
            "rgb": squares(footage.rgb(seen), footage.rgb(truth)),
        }
        for name, protocol in protocols.items():
            for space, squared in both.items():
                found.setdefault((name, space), []).append(protocol.frame(squared))
    return {
        name: {space: protocol.psnr(found[name, space]) for space in SPACES}
        for name, protocol in protocols.items()
    }


def cropped(made: Planes, truth: Planes) -> Planes:
    """`made` without what was padded."""
    y, u, v = (
        plane[: wanted.shape[0], : wanted.shape[1]]
        for plane, wanted in zip(made, truth, strict=True)
    )
    return y, u, v


@dataclass(frozen=True)
class Bench:
    """Trains cases on one footage, or finds them. `curve`: of decoded LR. `done`: only finds."""

    footage: Footage
    cache: Cache
    budget: Budget
    curve: BicubicCurve | None = None
    done: bool = False

    def row(self, case: Case) -> Row | None:
        """The row of a case; None where it is not done and shall not be.

        Raises CrispcastError where the method refuses the footage, or a training diverges.
        """
        facts = {
            **self.footage.facts,
            "case": asdict(case),
            "training": [self.budget.batch, self.budget.tile],
            "code": code_hash(MADE_BY),
        }
        if self.done and self.cache.find("quality", facts) is None:
            return None
        made = self.cache.get("quality", facts, lambda: self._make(case))
        place = (self.footage.excerpt.name, self.footage.kind, self.footage.scale)
        video = made.pop("video")
        row = Row(*place, case, **made)
        if self.curve is None or case.method == PLAIN:
            return row
        total = video + row.plans + row.maps
        gain = row.psnr_of() - self.curve.at(total)
        return replace(row, gain=gain, kbps=self.footage.excerpt.kbps(total))

    def _make(self, case: Case) -> dict[str, Any]:
        if case.method == PLAIN:
            return {"psnr": measured(self.footage), "chosen": PLAIN, "video": self.footage.video}
        if case.method == "auto":
            return self._auto(case)
        scene, training = self.footage.scene, case.training(self.footage, self.budget)
        method, shape = VARIANTS[case.method], case.shape(self.footage)
        difficulty = None
        if method.ranked and (case.chunks > 1 or method.fine):
            ranks = self._difficulty(shape.units, training)
            difficulty = ranks if method.fine else patch_means(ranks)
        run = make_by(method, scene, shape, training, case.chunks, difficulty=difficulty)
        division = run.outcome.division
        records = {
            encode_record(patches_of(scene, division, row)) for row in range(len(scene.segments))
        }
        return {
            "psnr": measured(self.footage, run.plans, division),
            "chosen": case.method,
            "video": self.footage.video,
            "plans": run.bytes,
            "maps": sum(map(len, records)),
            "macs": run.macs,
            "flops": flops(scene, shape, training, of_recipe=case.steps is None),
            "seconds": sum(trained.seconds for trained in run.outcome.trained),
        }

    def _difficulty(self, units: int, training: TrainingConfig) -> F64:
        """PSNR of all quarters: the same for every ranked method."""
        brief = asdict(replace(training, steps=min(DIFFICULTY_STEPS, training.steps), threads=1))
        facts = {
            **self.footage.facts,
            "units": units,
            "training": brief,
            "code": code_hash(MADE_BY),
        }

        def make() -> dict[str, Any]:
            ranks = find_difficulty(self.footage.scene, units, training, fine=True)
            return {"db": ranks.round(4).tolist()}

        return np.array(self.cache.get("quality-difficulty", facts, make)["db"])

    def _auto(self, case: Case) -> dict[str, Any]:
        """Trials, then the row of what they chose."""
        training = case.training(self.footage, self.budget)
        steps = int(np.clip(0.1 * training.steps, *_TRIAL_STEPS))
        best, _ = choose_method(
            self.footage.scene,
            case.shape(self.footage),
            replace(training, steps=min(steps, training.steps)),
            self.footage.video,
        )
        row = self.row(replace(case, method=best.method, chunks=best.chunks))
        assert row is not None
        own = asdict(row)
        kept = ("psnr", "plans", "maps", "macs", "flops", "seconds")
        facts = {key: own[key] for key in kept}
        return {"chosen": best.method, "video": self.footage.video, **facts}
