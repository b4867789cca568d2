"""`encode`: builds the graph of jobs for a configuration, runs it, writes the package."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from client_sdk.contract import Manifest
from kernels.errors import CrispcastError, VideoError
from overfit.package import Ledger, check_target, ledger, write_package
from overfit.trial import Quality, quality_of
from server.encoding.config import METHODS, TRIALS_SHARE, EncodeConfig
from server.encoding.engine import Engine, JobProgress, LocalEngine
from server.encoding.graph import Job, SourceFile, hash_file, in_order
from server.encoding.store import Store, default_store


@dataclass(frozen=True)
class EncodeProgress:
    """How far an encode is: the job at work, the fraction of it all, a running PSNR in dB."""

    job: str
    fraction: float
    psnr: float | None
    reused: bool


OnProgress = Callable[[EncodeProgress], None]


@dataclass(frozen=True)
class EncodeResult:
    """What an encode made, and what it gains on every frame; `seconds` is the time it took."""

    package: Path
    manifest: Manifest
    quality: Quality
    sizes: Ledger
    seconds: float
    reused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """Sentences about what did not go as it was meant."""

    @property
    def minutes_per_minute(self) -> float:
        """Minutes that a minute of video took; jobs that were found done took none."""
        source = self.manifest.source
        return float(self.seconds * source.rate / source.frames)

    def to_json(self) -> dict[str, Any]:
        """The figures, as `crispcast encode --json` prints them."""
        manifest = self.manifest
        kinds = [asset.kind for asset in manifest.assets.values()]
        return {
            "package": str(self.package),
            "id": manifest.id,
            "frames": manifest.source.frames,
            "segments": len(manifest.segments),
            "experts": kinds.count("plan"),
            "plates": kinds.count("plate"),
            "chroma_plates": kinds.count("chroma"),
            "canvases": sum(asset.canvas is not None for asset in manifest.assets.values()),
            "psnr_y": self.quality.psnr_y,
            "psnr_y_bicubic": self.quality.psnr_y_bicubic,
            "psnr_y_lanczos": self.quality.psnr_y_lanczos,
            "kbps_video": self.sizes.kbps(self.sizes.video, manifest),
            "kbps_total": self.sizes.kbps(self.sizes.total, manifest),
            "bytes": asdict(self.sizes),
            "seconds": round(self.seconds, 2),
            "minutes_per_minute": round(self.minutes_per_minute, 3),
            "jobs_reused": list(self.reused),
            "method": manifest.method.name,
            "notes": list(self.notes),
        }

    def summary(self) -> str:
        """Two lines for people."""
        quality, sizes = self.quality, self.sizes
        extra = sizes.total - sizes.video
        total = sizes.kbps(sizes.total, self.manifest)
        found = f", {len(self.reused)} jobs found done" if self.reused else ""
        return (
            f"{self.package}: {self.manifest.source.frames} frames in {self.seconds:.0f} s, "
            f"{self.minutes_per_minute:.3g} minutes a minute of video{found}\n"
            f"PSNR-Y {quality.psnr_y:.2f} dB (bicubic {quality.psnr_y_bicubic:.2f}, Lanczos "
            f"{quality.psnr_y_lanczos:.2f}) at {total:.0f} kb/s: {sizes.video} bytes of video, "
            f"{extra} of plans, plates and maps" + "".join(f"\n{note}" for note in self.notes)
        )


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
    from server.encoding.learning_jobs import check_network

    # Refuses before any work.
    RungConfig(crf=config.crf, bitrate=config.lr_bitrate, codec=config.rung_codec)
    if config.experts:
        check_pruning(config)
    store = Store(config.store or default_store())
    store.tidy()
    try:
        source = SourceFile(config.source, hash_file(config.source))
        budgeted = config.target_kbps is not None
        config, survey = _settled(config, source, store, on_progress)
        check_network(config.method, config.network, config.work.blocks)
        if config.method == "auto":
            config = _with_method(config, source, store, on_progress)
        graph = build_graph(config, source)
        made: frozenset[str] = frozenset()
        if budgeted and "plates" in graph.inputs and "auto" in (config.canvas, config.chroma):
            config, made = _afforded(config, graph, store, on_progress)
            graph = build_graph(config, source)
        tracker = _Tracker(in_order([graph]), on_progress)
        artefacts = _engine(config).run([graph], store, tracker)
        folders = {name: artefact.folder for name, artefact in artefacts.items()}
        trials = load_trials(folders["trial"])
        inputs = {**folders, "source": config.source}
        parts = replace(assemble(inputs, _assembly_config(config), trials), survey=survey)
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
        quality=quality_of(trials, samples),
        sizes=ledger(manifest),
        seconds=time.monotonic() - begun,
        reused=tuple(name for name in tracker.reused if name not in made),
        notes=_notes(folders),
    )


def _notes(folders: Mapping[str, Path]) -> tuple[str, ...]:
    """What jobs have to say to people."""
    from server.encoding.jobs import read_json

    note = read_json(folders["experts"] / "experts.json")["note"] if "experts" in folders else ""
    return (note,) if note else ()


def _settled(
    config: EncodeConfig, source: SourceFile, store: Store, on_progress: OnProgress | None
) -> tuple[EncodeConfig, bytes | None]:
    """The configuration with everything decided that it left open; what a survey expected."""
    from overfit.video import probe
    from server.encoding.decision import decided, expected, sized, survey_job

    if config.targeted:
        job = survey_job(config, source)
        tracker = _Tracker(in_order([job]), on_progress)
        survey = _engine(config).run([job], store, tracker)["survey"].folder
        return decided(config, survey), expected(survey)
    config = replace(config, scale=config.scale or 2)
    if config.max_compute is None:
        return config, None
    info = probe(config.source)
    return sized(config, info.width * info.height), None


def _with_method(
    config: EncodeConfig, source: SourceFile, store: Store, on_progress: OnProgress | None
) -> EncodeConfig:
    """`config` with the method that trials are for, and what is left of its budget."""
    from server.encoding.jobs import read_json

    job = build_graph(config, source).inputs["method"]
    assert isinstance(job, Job)
    tracker = _Tracker(in_order([job]), on_progress)
    chosen = read_json(_engine(config).run([job], store, tracker)["method"].folder / "method.json")
    chunks = chosen["chunks"] if METHODS[chosen["method"]].chunks else None
    budget = None if config.budget is None else (1 - TRIALS_SHARE) * config.budget
    return replace(config, method=chosen["method"], chunks=chunks, budget=budget)


def _afforded(
    config: EncodeConfig, graph: Job, store: Store, on_progress: OnProgress | None
) -> tuple[EncodeConfig, frozenset[str]]:
    """`config` with room for canvases and chroma, which no survey saw; the jobs done."""
    from server.encoding.decision import with_canvases, with_chroma
    from server.encoding.jobs import load_info

    last = graph.inputs["chroma" if "chroma" in graph.inputs else "plates"]
    assert isinstance(last, Job)
    tracker = _Tracker(in_order([last]), on_progress)
    made = _engine(config).run([last], store, tracker)
    done = frozenset(made) - frozenset(tracker.reused)
    info = load_info(made["probe"].folder, config.source)
    seconds = float(info.frames / info.fps)
    config = with_canvases(config, made["plates"].folder, seconds)
    if "chroma" in made:
        config = with_chroma(config, made["chroma"].folder, seconds)
    return config, done


def _engine(config: EncodeConfig) -> Engine:
    return LocalEngine(config.workers)


def _assembly_config(config: EncodeConfig) -> dict[str, Any]:
    name = config.output.name.removesuffix(".crisp")
    # A file's name may hold what no title may: line breaks, bytes that are no UTF-8, any length.
    title = "".join(c if c.isprintable() else "?" for c in name[:200])
    return {**config.canonical, "name": title, "threads": config.threads}


def build_graph(config: EncodeConfig, source: SourceFile) -> Job:
    """The trial job, with all that it needs; each job is given only the settings it reads.

    `config` is settled: it has a scale and no target.
    """
    from server.encoding import chroma_job, jobs, training_jobs

    scale = {"scale": config.scale}
    probe = Job("probe", jobs.probe_source, scale, {"source": source}, 1)
    known: dict[str, Job | SourceFile] = {"source": source, "probe": probe}
    segments = Job("segments", jobs.cut_segments, {"max_segment": config.max_segment}, known, 2)
    audio = Job("audio", jobs.encode_audio, {}, known, 0.5)
    source_parts = {**known, "segments": segments}
    learning: dict[str, Job | SourceFile] = {}
    if config.experts:
        learning["truth"] = Job("truth", jobs.collect_truth, scale, source_parts, 2)
    still: dict[str, Job | SourceFile] = {}
    if config.experts and config.plates == "auto":
        looked_at = {"truth": learning["truth"], "segments": segments}
        still["still"] = Job("still", training_jobs.find_still, scale, looked_at, 2)
    rung = Job(
        "rung",
        jobs.encode_rung,
        {
            **scale,
            "crf": config.crf,
            "bitrate": config.lr_bitrate,
            "codec": config.rung_codec,
            "preset": config.work.rung_preset,
        },
        {**source_parts, **still},
        6,
    )
    parts = {**source_parts, "audio": audio, "rung": rung, **learning}
    if config.experts:
        parts |= _learned(config, learning["truth"], still, rung)
    if still and config.chroma == "auto":
        seen = {**source_parts, "truth": learning["truth"], "rung": rung, "plates": parts["plates"]}
        settings = {**scale, "threads": config.threads}
        parts["chroma"] = Job("chroma", chroma_job.find_chroma, settings, seen, 3)
    # Nobody sees the trial's package, so its name is fixed: a new name reruns nothing.
    trial = {**scale, "method": config.method, "name": "trial", "threads": config.threads}
    return Job("trial", training_jobs.try_all, trial, parts, 12)


def _learned(
    config: EncodeConfig,
    truth: Job | SourceFile,
    still: dict[str, Job | SourceFile],
    rung: Job,
) -> dict[str, Job | SourceFile]:
    """The jobs that experts need of the rung, and the experts."""
    from overfit.plates import PlateConfig
    from server.encoding import jobs, learning_jobs, training_jobs
    from server.encoding.refining import refine_plates

    work = config.work
    bases = {
        f"base-{index}": SourceFile(path, hash_file(path))
        for index, path in enumerate(config.bases)
    }
    runs = {"seed": config.seed, "threads": config.threads}
    low = Job("low", jobs.collect_low, {}, {"truth": truth, "rung": rung}, 1)
    footage: dict[str, Job | SourceFile] = {"truth": truth, "low": low}
    chunks = Job(
        "chunks",
        learning_jobs.find_chunks,
        {
            "method": config.method,
            "chunks": config.chunk_count,
            "asked": config.chunks is not None,
            "units": work.units,
            "steps": work.steps,
            "budget": config.shares.chunks,
            **runs,
        },
        footage,
        10 if config.ranks else 0.1,
    )
    quality = config.plate_quality or PlateConfig.quality
    plates = Job(
        "plates",
        training_jobs.find_plates,
        {"plates": config.plates, "canvas": config.canvas, "quality": quality},
        {**footage, "rung": rung, **still},
        4 if config.plates == "auto" else 0.1,
    )
    learned: dict[str, Job | SourceFile] = {"low": low, "chunks": chunks, "plates": plates}
    training = {
        "method": config.method,
        "network": config.network,
        "steps": max(1, work.steps // config.trainings),
        "budget": config.shares.expert,
        "units": work.units,
        "plate_units": work.plate_units,
        "blocks": work.blocks,
        "pruning": config.pruning,
        "precision": config.precision,
        **runs,
    }
    if config.method == "auto":
        tried = {**footage, "plates": plates, "rung": rung}
        return {**learned, "method": Job("method", learning_jobs.try_methods, training, tried, 30)}
    inputs: dict[str, Job | SourceFile] = {**footage, "chunks": chunks, "plates": plates, **bases}
    experts: dict[str, Job | SourceFile]
    if config.facts.together:
        job = Job("experts", learning_jobs.train_experts, training, inputs, 60)
        experts = {"experts": job}
    else:
        experts = {
            f"expert-{index}": Job(
                f"expert-{index}",
                learning_jobs.train_expert,
                {"chunk": index, **training},
                inputs,
                60 / config.experts,
            )
            for index in range(config.experts)
        }
    if config.plates == "auto":
        refining = {**training, "rounds": config.refining, "quality": quality}
        learned["refined"] = Job("refined", refine_plates, refining, {**inputs, **experts}, 15)
    return {**learned, **experts}


class _Tracker:
    """Adds up the progress of jobs to that of the encode."""

    def __init__(self, ordered: list[Job], on_progress: OnProgress | None) -> None:
        self._weights = {job.name: job.weight for job in ordered}
        self._done = dict.fromkeys(self._weights, 0.0)
        self._on_progress = on_progress
        self.reused: list[str] = []

    def __call__(self, news: JobProgress) -> None:
        self._done[news.job] = news.fraction
        if news.reused:
            self.reused.append(news.job)
        if self._on_progress is not None:
            done = sum(self._weights[name] * self._done[name] for name in self._weights)
            fraction = done / sum(self._weights.values())
            self._on_progress(EncodeProgress(news.job, fraction, news.psnr, news.reused))
