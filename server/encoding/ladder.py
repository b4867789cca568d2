"""What the rungs of an encode are, and what they share.

survey ─► a target for each rung ─► settings ─► graphs; the plates of one rung are those of all

A switch of rungs is to cost a plan and a map, not a picture of the place: so the plates of one
rung, coded and refined for it, are given to those others that they suit, whose experts are trained
to read them. A rung whose bytes are too few for its canvases has the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from overfit.compute import multiply_adds
from overfit.package import PackageParts, RungParts
from overfit.video import VideoInfo, padded_size
from server.encoding.config import METHODS, TRIALS_SHARE, EncodeConfig
from server.encoding.decision import (
    auto_targets,
    decided,
    sized,
    survey_job,
    with_canvases,
    with_chroma,
    without_networks,
)
from server.encoding.experts import with_fitting_base
from server.encoding.graph import Job, SourceFile, join_graphs
from server.encoding.jobs import load_info, read_json
from server.encoding.learning_jobs import check_network
from server.encoding.progress import Tracker
from server.encoding.rung_graph import build_graph, probe_job
from server.encoding.store import Artefact
from server.encoding.training_jobs import still_plates

Run: TypeAlias = Callable[[list[Job]], tuple[dict[str, Artefact], Tracker]]


@dataclass(frozen=True)
class PlannedRung:
    """A rung: its settings with everything decided, and its graph, whose last job is the trial.

    `label` is what it is called in a ladder; `leads`: its plates are those of the others.
    """

    label: str
    config: EncodeConfig
    graph: Job
    leads: bool

    @property
    def assembly(self) -> dict[str, Any]:
        """What its part of the package is made with."""
        name = self.config.output.name.removesuffix(".crisp")
        # A file's name may hold what no title may: line breaks, bytes that are no UTF-8, any
        # length.
        title = "".join(c if c.isprintable() else "?" for c in name[:200])
        return {**self.config.canonical, "name": title, "threads": self.config.threads}


@dataclass(frozen=True)
class Plan:
    """The rungs from the smallest on, the survey that chose them, the jobs done to decide it."""

    rungs: tuple[PlannedRung, ...]
    survey: Path | None
    made: frozenset[str]

    def mended(
        self, made: Sequence[PackageParts], gains: Sequence[float], source: SourceFile
    ) -> "Plan":
        """The plan without networks in rungs where they turned out not to pay for their bytes.

        `made` are the rungs, each as a package; `gains` dB over interpolation. A rung that nobody
        surveyed has what was asked for.
        """
        if self.survey is None:
            return self
        rungs = []
        for rung, parts, gain in zip(self.rungs, made, gains, strict=True):
            plain = None
            if rung.config.experts:
                [own] = parts.rungs
                beside = beside_video(own)
                plain = without_networks(rung.config, self.survey, own.bytes, beside, gain)
            rungs.append(
                rung
                if plain is None
                else replace(rung, config=plain, graph=build_graph(plain, source))
            )
        return replace(self, rungs=tuple(rungs))


@dataclass
class _Planner:
    """Plans one rung after another."""

    source: SourceFile
    run: Run
    budgeted: bool
    """Whether there is a target in bytes, which all that no survey saw must be taken from."""
    made: set[str] = field(default_factory=set)
    known: VideoInfo | None = None

    def info(self, scale: int | None) -> VideoInfo:
        """The facts of the source, as the job finds them that the rungs begin with.

        They are the same at every scale that a rung may have.
        """
        if self.known is None:
            job = probe_job(self.source, scale)
            artefacts, tracker = self.run([job])
            self.made |= artefacts.keys() - set(tracker.reused)
            self.known = load_info(artefacts[job.name].folder, self.source.path)
        return self.known

    def plan(self, label: str, config: EncodeConfig, lead: PlannedRung | None) -> PlannedRung:
        """A rung of these settings, with the plates of `lead` where they fit it."""
        check_network(config.method, config.network, config.work.blocks)
        if config.method == "auto":
            config = self._with_method(config)
        graph = self._graph(config, lead)
        if self.budgeted and "plates" in graph.inputs and "auto" in (config.canvas, config.chroma):
            config = self._afforded(label, config, graph)
            graph = self._graph(config, lead)
        return PlannedRung(label, config, graph, lead is None)

    def _graph(self, config: EncodeConfig, lead: PlannedRung | None) -> Job:
        plates = None if lead is None else self._shared(config, lead)
        return build_graph(config, self.source, plates)

    def _shared(self, config: EncodeConfig, lead: PlannedRung) -> Job | None:
        """The job that has the plates of `lead` as a rung of these settings may have them."""
        if config.plates != "auto" or not self._fits(config, lead.config):
            return None
        plates = lead.graph.inputs.get("refined", lead.graph.inputs.get("plates"))
        if not isinstance(plates, Job):
            return None
        if config.canvas == lead.config.canvas:
            return plates
        return Job("plates", still_plates, {}, {"plates": plates}, 0.1)

    def _fits(self, config: EncodeConfig, other: EncodeConfig) -> bool:
        """Whether a rung wants the plates of the other.

        Of one quality, of HR frames of one size, and with canvases if there may be some.
        """
        if config.plate_quality != other.plate_quality:
            return False
        if config.canvas == "auto" and other.canvas == "off":
            return False
        info = self.info(config.scale)
        sizes = [padded_size(info.width, info.height, c.scale or 2) for c in (config, other)]
        return (sizes[0].hr_width, sizes[0].hr_height) == (sizes[1].hr_width, sizes[1].hr_height)

    def _with_method(self, config: EncodeConfig) -> EncodeConfig:
        """`config` with the method that trials are for, and what is left of its budget."""
        job = build_graph(config, self.source).inputs["method"]
        assert isinstance(job, Job)
        chosen = read_json(self.run([job])[0]["method"].folder / "method.json")
        chunks = chosen["chunks"] if METHODS[chosen["method"]].chunks else None
        budget = None if config.budget is None else (1 - TRIALS_SHARE) * config.budget
        return replace(config, method=chosen["method"], chunks=chunks, budget=budget)

    def _afforded(self, label: str, config: EncodeConfig, graph: Job) -> EncodeConfig:
        """`config` with room for canvases and chroma, which no survey saw."""
        last = graph.inputs["chroma" if "chroma" in graph.inputs else "plates"]
        assert isinstance(last, Job)
        joined = join_graphs({label: graph})[label]
        wanted = joined.inputs["chroma" if "chroma" in graph.inputs else "plates"]
        assert isinstance(wanted, Job)
        artefacts, tracker = self.run([wanted])
        self.made |= artefacts.keys() - set(tracker.reused)
        known = {name: job for name, job in joined.inputs.items() if isinstance(job, Job)}
        info = load_info(artefacts[known["probe"].name].folder, config.source)
        seconds = float(info.frames / info.fps)
        config = with_canvases(config, artefacts[known["plates"].name].folder, seconds)
        if "chroma" in known:
            config = with_chroma(config, artefacts[known["chroma"].name].folder, seconds)
        return config


def plan_rungs(config: EncodeConfig, source: SourceFile, run: Run) -> Plan:
    """Everything decided that `config` left open, for each of its rungs."""
    budgeted = config.target_kbps is not None or config.ladder is not None
    planner = _Planner(source, run, budgeted)
    if not config.targeted:
        config = replace(config, scale=config.scale or 2)
        if config.max_compute is not None:
            info = planner.info(config.scale)
            config = sized(config, info.width * info.height)
        [config] = with_fitting_base([config])
        return Plan((planner.plan("", config, None),), None, frozenset(planner.made))
    survey = run([survey_job(config, source)])[0]["survey"].folder
    if config.ladder is None:
        [config] = with_fitting_base([decided(config, survey)])
        rung = planner.plan("", config, None)
        return Plan((rung,), survey, frozenset(planner.made))
    targets = auto_targets(config, survey) if isinstance(config.ladder, str) else config.ladder
    asked = [replace(config, ladder=None, target_kbps=target) for target in targets]
    first = [decided(each, survey) for each in asked]
    leading = _leading(first)
    quality = first[leading].plate_quality if first[leading].plates == "auto" else None
    settled = with_fitting_base([decided(each, survey, quality) for each in asked])
    if config.budget is not None:
        settled = [replace(c, budget=c.budget and c.budget / len(settled)) for c in settled]
    labels = [f"{target:g}k" for target in targets]
    lead = planner.plan(labels[leading], settled[leading], None)
    ladder = []
    for label, each in zip(labels, settled, strict=True):
        if label == lead.label:
            ladder.append(lead)
            continue
        # A rung whose network is too small for that method tries for itself.
        if each.method == "auto" and each.work.blocks >= lead.config.facts.blocks:
            each = replace(each, method=lead.config.method, chunks=lead.config.chunks)
        ladder.append(planner.plan(label, each, lead))
    return Plan(tuple(ladder), survey, frozenset(planner.made))


def _leading(settled: Sequence[EncodeConfig]) -> int:
    """Whose plates are everybody's: the middle rung's, or else those of one near it."""
    middle = (len(settled) - 1) // 2
    plated = [n for n, config in enumerate(settled) if config.plates == "auto" and config.experts]
    return min(plated, key=lambda n: abs(n - middle), default=middle)


def parts_of(rungs: Sequence[PlannedRung], made: Sequence[PackageParts]) -> PackageParts:
    """One package of several rungs, each of which was made as a package of its own."""
    first = made[0]
    if len(rungs) == 1:
        return first
    settings: list[Mapping[str, object]] = [dict(rung.config.canonical) for rung in rungs]
    shared = {k: v for k, v in settings[0].items() if all(s.get(k) == v for s in settings)}
    own = [{k: v for k, v in s.items() if k not in shared} for s in settings]
    config = {**shared, "rungs": own}
    return replace(
        first,
        config=config,
        method=_method_name(rungs),
        rungs=tuple(
            replace(
                each,
                name=f"{each.height}p-{rung.label}",
                quality=parts.quality,
                compute=multiply_adds(each.segments),
            )
            for rung, parts in zip(rungs, made, strict=True)
            for each in parts.rungs
        ),
    )


def beside_video(rung: RungParts) -> int:
    """Bytes of the plans and plates of a rung, each counted once."""
    found = {plan for segment in rung.segments for plan in segment.experts}
    pieces = [piece for segment in rung.segments for piece in segment.plate]
    found |= {piece.data for piece in pieces} | {piece.chroma or b"" for piece in pieces}
    return sum(map(len, found))


def _method_name(rungs: Sequence[PlannedRung]) -> str:
    """The first that is not `none`, as a rung in the video's own size may be."""
    names = [rung.config.method for rung in rungs]
    return next((name for name in names if name != "none"), "none")
