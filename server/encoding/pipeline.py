"""`encode`: builds the graphs of jobs for a configuration, runs them, writes the package."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernels.errors import CrispcastError, VideoError
from overfit.package import PackageParts, Sign, check_target, ledger, write_package
from overfit.trial import Quality, quality_of
from server.encoding.config import EncodeConfig
from server.encoding.engine import Engine, LocalEngine
from server.encoding.graph import Job, SourceFile, hash_file, in_order, join_graphs
from server.encoding.progress import OnProgress, Tracker
from server.encoding.result import EncodeResult, RungResult
from server.encoding.shared_store import open_any_store
from server.encoding.store import Artefact, Store
from server.encoding.store_upkeep import tidy

if TYPE_CHECKING:
    from overfit.video import VideoInfo
    from server.encoding.ladder import Plan, Run

_INTERLACED = (
    "the video is interlaced: each picture was made whole from its two fields, and the quality is "
    "told against that"
)
_UNPAID = "networks would not have paid for their bytes: there are none, and the video is larger"


def encode(config: EncodeConfig, on_progress: OnProgress | None = None) -> EncodeResult:
    """Encode a video into a package.

    Finished jobs are found in the store and not done again, and training goes on from its
    checkpoint: so a killed encode that is started again goes on where it was.

    Raises CrispcastError: the source is no video or too small, the output exists or cannot be
    written, the disk is full or cannot be read, the key is none. Then no package is written, and
    one that was there is untouched.
    """
    begun = time.monotonic()
    if not config.source.is_file():
        raise VideoError(f"{config.source}: no such file; give the path of a video")
    check_target(config.output, config.force)
    sign = _signer(config)
    # Torch comes in here: slow to load, so that what is refused above is refused at once.
    from overfit.video import RungConfig
    from server.encoding.experts import check_pruning

    # Refuses before any work.
    RungConfig(crf=config.crf, bitrate=config.lr_bitrate, codec=config.rung_codec)
    if config.experts:
        check_pruning(config)
    store = open_any_store(config.store)
    try:
        tidy(store)
        with store.leased() as leased:
            return _encode(config, leased, on_progress, begun, sign)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise CrispcastError(
            f"{error.filename or store.root}: {error.strerror or error}; "
            f"{'free some space' if full else 'look after that disk'}, or keep intermediate "
            "results elsewhere with --store"
        ) from error


def _signer(config: EncodeConfig) -> Sign | None:
    if config.sign_key is None:
        return None
    from server.encoding.signing import SigningKey

    return SigningKey.load(config.sign_key).sign


def _encode(
    config: EncodeConfig,
    store: Store,
    on_progress: OnProgress | None,
    begun: float,
    sign: Sign | None,
) -> EncodeResult:
    from server.encoding.decision import expected
    from server.encoding.ladder import parts_of, plan_rungs

    engine = _engine(config)

    def run(targets: list[Job]) -> tuple[dict[str, Artefact], Tracker]:
        tracker = Tracker(in_order(targets), on_progress)
        return engine.run(targets, store, tracker), tracker

    try:
        source = SourceFile(config.source, hash_file(config.source))
    except OSError as error:
        raise VideoError(f"{config.source} cannot be read: {error.strerror}") from error
    plan = plan_rungs(config, source, run)
    made = _make(plan, run)
    mended = plan.mended(made.parts, [quality.gain for quality in made.qualities], source)
    if mended.rungs != plan.rungs:
        again = _make(mended, run)
        notes = (*made.notes, *again.notes, _UNPAID)
        made = replace(again, notes=notes, reused=made.reused)
    parts = parts_of(mended.rungs, made.parts)
    if plan.survey is not None:
        parts = replace(parts, survey=expected(plan.survey))
    manifest = write_package(config.output, parts, force=config.force, sign=sign)
    return EncodeResult(
        package=config.output,
        manifest=manifest,
        rungs=tuple(
            RungResult(rung.name, quality, ledger(manifest, index))
            for index, (rung, quality) in enumerate(
                zip(manifest.rungs, made.qualities, strict=True)
            )
        ),
        seconds=time.monotonic() - begun,
        reused=tuple(name for name in made.reused if name not in plan.made),
        notes=tuple(dict.fromkeys((*_baseless(config, plan), *made.notes))),
    )


def _engine(config: EncodeConfig) -> Engine:
    if config.engine == "local":
        return LocalEngine(config.workers)
    from server.encoding.ray_engine import RayEngine

    return RayEngine(config.address, config.gpus, config.threads)


@dataclass(frozen=True)
class _Made:
    """What became of a plan: each rung as a package, what it gains, what there is to say."""

    parts: tuple[PackageParts, ...]
    qualities: tuple[Quality, ...]
    notes: tuple[str, ...]
    reused: tuple[str, ...]


def _make(plan: Plan, run: Run) -> _Made:
    """Run the jobs of all rungs."""
    from server.encoding.assembly import assemble, load_trials
    from server.encoding.jobs import load_info

    # The rung that gives others its plates comes first, so that its jobs keep their names.
    ordered = sorted(plan.rungs, key=lambda rung: not rung.leads)
    joined = join_graphs({rung.label: rung.graph for rung in ordered})
    artefacts, tracker = run(list(joined.values()))
    parts: list[PackageParts] = []
    qualities: list[Quality] = []
    notes: list[str] = []
    for rung in plan.rungs:
        last = joined[rung.label]
        folders = {
            name: artefacts[job.name].folder if isinstance(job, Job) else job.path
            for name, job in last.inputs.items()
        }
        trials = load_trials(artefacts[last.name].folder)
        parts.append(assemble(folders, rung.assembly, trials))
        info = load_info(folders["probe"], rung.config.source)
        qualities.append(quality_of(trials, info.width * info.height))
        notes += _notes(folders, info)
    return _Made(tuple(parts), tuple(qualities), tuple(notes), tuple(tracker.reused))


def _baseless(config: EncodeConfig, plan: Plan) -> tuple[str, ...]:
    """What there is to say of rungs whose experts cannot begin at the base that was named."""
    without = [r.label for r in plan.rungs if r.config.experts and r.config.base != config.base]
    if not without:
        return ()
    rungs = f"rung {without[0]}" if len(without) == 1 else f"rungs {', '.join(without)}"
    return (f"the base {config.base} fits no expert of {rungs}: they began at random weights",)


def _notes(folders: Mapping[str, Path], info: VideoInfo) -> tuple[str, ...]:
    """What jobs have to say to people."""
    from server.encoding.jobs import read_json

    aspect = info.sample_aspect_ratio
    squared = (
        f"the video's pixels are {aspect.numerator}:{aspect.denominator} and were made square: "
        f"the picture is {info.width}x{info.height}"
    )
    note = read_json(folders["experts"] / "experts.json")["note"] if "experts" in folders else ""
    said = (_INTERLACED if info.interlaced else "", squared if aspect != 1 else "", note)
    return tuple(each for each in said if each)
