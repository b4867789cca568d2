"""The jobs of one rung of an encode, and what each of them reads.

    source ─► probe ─► segments ─► truth ─► still ─► rung ─► low ─► chunks, plates ─► experts, trial

A ladder has such a graph for each rung; what is equal in them is done once (`join_graphs`), and the
plates of one rung may be given to the others.
"""

from server.encoding.config import EncodeConfig
from server.encoding.graph import Job, SourceFile, hash_file


def build_graph(config: EncodeConfig, source: SourceFile, plates: Job | None = None) -> Job:
    """The trial job, with all that it needs; each job is given only the settings it reads.

    `config` is settled: it has a scale and no target. `plates`: the job that made those of another
    rung of the same ladder, which this one has too.
    """
    from server.encoding import chroma_job, jobs, training_jobs

    scale = {"scale": config.scale}
    probe = probe_job(source, config.scale)
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
        parts |= _learned(config, learning["truth"], still, rung, plates)
    if still and config.chroma == "auto":
        seen = {**source_parts, "truth": learning["truth"], "rung": rung, "plates": parts["plates"]}
        settings = {**scale, "threads": config.threads}
        parts["chroma"] = Job("chroma", chroma_job.find_chroma, settings, seen, 3)
    # Nobody sees the trial's package, so its name is fixed: a new name reruns nothing.
    trial = {**scale, "method": config.method, "name": "trial", "threads": config.threads}
    return Job("trial", training_jobs.try_all, trial, parts, 12)


def probe_job(source: SourceFile, scale: int | None) -> Job:
    """The job that finds the facts of the source, which every rung of this scale begins with."""
    from server.encoding import jobs

    return Job("probe", jobs.probe_source, {"scale": scale}, {"source": source}, 1)


def _learned(
    config: EncodeConfig,
    truth: Job | SourceFile,
    still: dict[str, Job | SourceFile],
    rung: Job,
    given: Job | None,
) -> dict[str, Job | SourceFile]:
    """The jobs that experts need of the rung, and the experts."""
    from overfit.plates import PlateConfig
    from server.encoding import jobs, learning_jobs, training_jobs
    from server.encoding.refining import refine_plates

    work = config.work
    bases = {
        "base" if config.names_base else f"base-{index}": SourceFile(path, hash_file(path))
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
    plates = given or Job(
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
    if config.plates == "auto" and given is None:
        refining = {**training, "rounds": config.refining, "quality": quality}
        learned["refined"] = Job("refined", refine_plates, refining, {**inputs, **experts}, 15)
    return {**learned, **experts}
