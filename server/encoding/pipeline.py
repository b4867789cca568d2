"""`encode`: builds the graphs of jobs for a configuration, runs them, writes the package."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kernels.errors import CrispcastError, VideoError
from overfit.package import check_target, ledger, write_package
from overfit.trial import quality_of
from server.encoding.config import EncodeConfig
from server.encoding.engine import LocalEngine
from server.encoding.graph import Job, SourceFile, hash_file, in_order, join_graphs
from server.encoding.progress import OnProgress, Tracker
from server.encoding.result import EncodeResult, RungResult
from server.encoding.store import Artefact, Store, default_store


def encode(config: EncodeConfig, on_progress: OnProgress | None = None) -> EncodeResult:
    """Encode a video into a package.

    Finished jobs are found in the store and not done again, and training goes on from its
    checkpoint: so a killed encode that is started again goes on where it was.

    Raises CrispcastError: the source is no video or too small, the output exists or cannot be
    written, the disk is full. Then no package is written, and one that was there is untouched.
    """
    begun = time.monotonic()
    if not config.source.is_file():
        raise VideoError(f"{config.source}: no such file; give the path of a video")
    check_target(config.output, config.force)
    # Torch comes in here: slow to load, so that what is refused above is refused at once.
    from overfit.video import RungConfig
    from server.encoding.assembly import assemble, load_trials
    from server.encoding.experts import check_pruning
    from server.encoding.ladder import parts_of, plan_rungs

    # Refuses before any work.
    RungConfig(crf=config.crf, bitrate=config.lr_bitrate, codec=config.rung_codec)
    if config.experts:
        check_pruning(config)
    store = Store(config.store or default_store())
    store.tidy()

    def run(targets: list[Job]) -> tuple[dict[str, Artefact], Tracker]:
        tracker = Tracker(in_order(targets), on_progress)
        return LocalEngine(config.workers).run(targets, store, tracker), tracker

    try:
        source = SourceFile(config.source, hash_file(config.source))
        plan = plan_rungs(config, source, run)
        # The rung that gives others its plates comes first, so that its jobs keep their names.
        ordered = sorted(plan.rungs, key=lambda rung: not rung.leads)
        joined = join_graphs({rung.label: rung.graph for rung in ordered})
        artefacts, tracker = run(list(joined.values()))
        made, trials = [], []
        notes: dict[str, None] = {}
        for rung in plan.rungs:
            last = joined[rung.label]
            folders = {
                name: artefacts[job.name].folder if isinstance(job, Job) else job.path
                for name, job in last.inputs.items()
            }
            trials.append(load_trials(artefacts[last.name].folder))
            made.append(assemble(folders, rung.assembly, trials[-1]))
            notes |= dict.fromkeys(_notes(folders))
        parts = replace(parts_of(plan.rungs, made), survey=plan.survey)
    except OSError as error:
        where = error.filename or store.root
        raise CrispcastError(
            f"{where}: {error.strerror}; free some space, or keep intermediate results elsewhere "
            "with --store"
        ) from error
    manifest = write_package(config.output, parts, force=config.force)
    samples = manifest.source.width * manifest.source.height
    return EncodeResult(
        package=config.output,
        manifest=manifest,
        rungs=tuple(
            RungResult(rung.name, quality_of(tried, samples), ledger(manifest, index))
            for index, (rung, tried) in enumerate(zip(manifest.rungs, trials, strict=True))
        ),
        seconds=time.monotonic() - begun,
        reused=tuple(name for name in tracker.reused if name not in plan.made),
        notes=tuple(notes),
    )


def _notes(folders: Mapping[str, Path]) -> tuple[str, ...]:
    """What jobs have to say to people."""
    from server.encoding.jobs import read_json

    note = read_json(folders["experts"] / "experts.json")["note"] if "experts" in folders else ""
    return (note,) if note else ()
