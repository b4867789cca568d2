"""What an encode with a target decides before it begins: scale, rate, plates, network.

source -> survey (a job, so found done the next time) -> choice -> the settings of the encode
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kernels.errors import CrispcastError
from overfit.video.rung_config import LARGEST_BITRATE, LEAST_BITRATE
from server.encoding.config import SURVEY_SHARE, EncodeConfig, Preset
from server.encoding.graph import Job, SourceFile, Task, job_function
from server.encoding.jobs import cores, cut_segments, load_info, probe_source, read_json, write_json

_SIZES = ((48, 4), (32, 4), (24, 4), (16, 3), (8, 3), (8, 2), (8, 1), (4, 1))
"""(units, blocks) of experts, the largest first."""
_BYTES_PER_WEIGHT = {"luma": 0.73, "plate": 1.22}
"""Of a plan without and with a plate, for each weight that survives (docs/encoding.md)."""
_BYTES_PER_VIEW = 5
"""Of motion, for each frame that has a view of a canvas (docs/canvas.md)."""
_LEAST_STEP = 0.7
"""dB that the highest rung of an automatic ladder gains, by the survey, over half of its rate."""
_SHARING = 0.5
"""dB that a rung may lose, by the survey, for having the plates of another: viewers who change
between them need no others."""
_RATE_STEPS = 24
"""Rates that are looked at for a ladder: 10 kb/s to 29 Mb/s."""
_SIZE_GAIN = 0.21
"""dB that twice the weights gain where there is no plate (measured, 7 to 63 thousand weights) …"""
_SIZE_SHARE = 0.15
"""… and no more than this part of what networks gain at all: 1.4 dB there, 0.2 elsewhere."""


def survey_job(config: EncodeConfig, source: SourceFile) -> Job:
    """The job that surveys; it reads the source itself, as its scale is not chosen yet.

    Each scale is a job before it, so that a kill costs no other scale.
    """
    scales = list(config.work.scales) if config.scale is None else [config.scale]
    probe = Job("survey-probe", probe_source, {"scale": min(scales)}, {"source": source}, 1)
    known: dict[str, Job | SourceFile] = {"source": source, "probe": probe}
    segments = Job("survey-segments", cut_segments, {"max_segment": config.max_segment}, known, 2)
    seconds = config.shares.survey
    settings = {
        "codec": config.rung_codec,
        "qualities": _qualities(config),
        "networks": config.experts > 0,
        "budget": None if seconds is None else seconds / max(1, sum(scale > 1 for scale in scales)),
        "seed": config.seed,
        "threads": config.threads,
    }
    parts: dict[str, Job | SourceFile] = {**known, "segments": segments}
    surveys: dict[str, Job | SourceFile] = {
        f"scale-{scale}": Job(f"survey-{scale}", survey_scale, {**settings, "scale": scale}, parts)
        for scale in scales
    }
    return Job("survey", join_surveys, {"scales": scales}, {**parts, **surveys}, 0.1)


def _qualities(config: EncodeConfig) -> list[int]:
    from overfit.survey import SurveyConfig

    if config.plates == "off" or not config.experts:
        return []
    return (
        list(SurveyConfig().qualities) if config.plate_quality is None else [config.plate_quality]
    )


@job_function(
    "client_sdk.contract.bounds",
    "client_sdk.contract.patch_map",
    "client_sdk.contract.plain_files",
    "client_sdk.contract.plate",
    "client_sdk.contract.rung_mp4",
    "kernels.compiler",
    "kernels.plan",
    "kernels.range_coder",
    "kernels.runtime",
    "overfit.survey",
    "overfit.survey_point",
    "overfit.acceleration",
    "overfit.adam",
    "overfit.avif",
    "overfit.checkpoint",
    "overfit.chunking",
    "overfit.convergence",
    "overfit.gradients",
    "overfit.inference",
    "overfit.metrics",
    "overfit.muon",
    "overfit.networks",
    "overfit.plate_pieces",
    "overfit.plates",
    "overfit.pruning",
    "overfit.training",
    "overfit.training_config",
    "overfit.training_data",
    "overfit.video",
)
def survey_scale(task: Task) -> None:
    """→ points.json: the points of a scale; none where the video is too small for it."""
    from overfit.chunking import Segment
    from overfit.survey import SurveyConfig, survey
    from overfit.video import check_scale

    info = load_info(task.inputs["probe"], task.inputs["source"])
    scale: int = task.config["scale"]
    try:
        check_scale(info, scale)
    except CrispcastError:  # the smallest scale has passed, or the probe had failed
        write_json(task.out / "points.json", [])
        return
    starts = read_json(task.inputs["segments"] / "starts.json")
    shots = read_json(task.inputs["segments"] / "shots.json")
    ends = [*starts[1:], info.frames]
    segments = [Segment(start, stop - start) for start, stop in zip(starts, ends, strict=True)]
    settings = SurveyConfig(
        codec=task.config["codec"],
        qualities=tuple(task.config["qualities"]),
        networks=task.config["networks"],
        budget=task.config["budget"],
        seed=task.config["seed"],
        threads=cores(task.config["threads"]),
    )
    points = survey(
        info,
        segments,
        shots,
        scale,
        settings,
        checkpoint=task.checkpoint / "state.pt",
        on_progress=lambda _, progress, psnr: task.report(progress, psnr),
    )
    write_json(task.out / "points.json", [asdict(point) for point in points])


@job_function()
def join_surveys(task: Task) -> None:
    """→ survey.json: the points of every scale, and the facts that a choice needs."""
    info = load_info(task.inputs["probe"], task.inputs["source"])
    scales: list[int] = task.config["scales"]
    facts = {
        "points": [
            point
            for scale in scales
            for point in read_json(task.inputs[f"scale-{scale}"] / "points.json")
        ],
        "seconds": float(info.frames / info.fps),
        "segments": len(read_json(task.inputs["segments"] / "starts.json")),
        "frames": info.frames,
        "samples": info.width * info.height,
    }
    write_json(task.out / "survey.json", facts)


def expected(survey: Path) -> bytes:
    """What the survey job left in `survey`, for the report of the package."""
    from overfit.rd_curves import surveyed
    from overfit.survey_point import SurveyPoint

    facts: Mapping[str, Any] = read_json(survey / "survey.json")
    return surveyed([SurveyPoint(**point) for point in facts["points"]], facts["seconds"])


def decided(config: EncodeConfig, survey: Path, quality: int | None = None) -> EncodeConfig:
    """The settings that meet the target of `config`, by what the survey job left in `survey`.

    `quality`: of plates that another rung has already; they are taken where that costs no more than
    `_SHARING`. Raises CrispcastError where no surveyed combination meets it.
    """
    from overfit.choice import choose_by_bytes, choose_by_psnr
    from overfit.survey_point import SurveyPoint

    facts: Mapping[str, Any] = read_json(survey / "survey.json")
    points = [SurveyPoint(**point) for point in facts["points"]]
    plans, fixed = _beside(config, facts)
    networks = config.experts > 0
    if config.target_kbps is not None:
        total = config.target_kbps * 125 * facts["seconds"]
        asked = f"{config.target_kbps:g} kb/s"
        choice = choose_by_bytes(points, total - fixed, asked, plans, networks=networks)
        shared = [point for point in points if point.quality == quality]
        with suppress(CrispcastError):  # too few bytes for those
            common = choose_by_bytes(shared, total - fixed, "sharing", plans) if shared else choice
            choice = common if common.psnr_y >= choice.psnr_y - _SHARING else choice
        bitrate = _bit_rate(choice.video_bytes, facts["seconds"])
        rate: dict[str, Any] = {"lr_bitrate": bitrate, "lr_crf": None}
    else:
        assert config.target_psnr is not None
        choice = choose_by_psnr(points, config.target_psnr, plans, networks=networks)
        rate = {"lr_crf": choice.crf, "lr_bitrate": None}
    if not choice.networks:
        config = replace(config, method="none", plates="off")
    surveyed_plates = any(point.quality for point in points)
    settled = replace(
        config,
        codec=choice.codec,
        scale=choice.scale,
        # A survey that saw no still shot says nothing about plates: those that move get canvases.
        plates="off" if surveyed_plates and not choice.quality else config.plates,
        plate_quality=choice.quality or None,
        target_kbps=None,
        target_psnr=None,
        budget=None if config.budget is None else (1 - SURVEY_SHARE) * config.budget,
        **rate,
    )
    total = choice.video_bytes + choice.plate_bytes + fixed + plans
    made = sized(settled, facts["samples"], Rate(total, choice.slope, choice.gain))
    if made.lr_bitrate is None or not choice.networks:
        return made
    # What smaller networks leave over is the video's.
    left = plans - made.experts * plan_bytes(made.work, plate=choice.quality > 0)
    return replace(made, lr_bitrate=_bit_rate(choice.video_bytes + left, facts["seconds"]))


def without_networks(
    config: EncodeConfig, survey: Path, video: int, beside: int, gain: float
) -> EncodeConfig | None:
    """`config` with a larger video and no networks, where that is better at the same bytes.

    `video`: bytes of the rung that was made; `beside`: those of its plans and plates; `gain`: the
    dB that they turned out to gain over interpolation. None where they pay.
    """
    from overfit.choice import worth_as_video
    from overfit.survey_point import SurveyPoint

    facts: Mapping[str, Any] = read_json(survey / "survey.json")
    points = [SurveyPoint(**point) for point in facts["points"]]
    if gain >= worth_as_video(points, config.scale or 2, video, beside):
        return None
    bitrate = _bit_rate(video + beside, facts["seconds"])
    return replace(config, method="none", plates="off", lr_crf=None, lr_bitrate=bitrate)


def _bit_rate(video: float, seconds: float) -> int:
    """That of a rung of `video` bytes, or the nearest that a rung may have."""
    return min(max(LEAST_BITRATE, round(8 * video / seconds)), LARGEST_BITRATE)


def _beside(config: EncodeConfig, facts: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes of the plans, and of all else that is neither video nor plates."""
    plated = any(point["quality"] for point in facts["points"])
    plans = config.experts * plan_bytes(config.work, plate=plated)
    # The manifest and the maps: a few hundred bytes a segment.
    fixed = 3000 + 250 * facts["segments"]
    if config.rung_codec == "h264":
        # MP4 tables, which x264's bit rate does not count, and the search for AV1's CRF does.
        fixed += 16 * facts["frames"]
    return plans, fixed


def auto_targets(config: EncodeConfig, survey: Path) -> tuple[float, ...]:
    """The rates of a ladder in kb/s, each twice the one before: one to four.

    The highest is the last that gains `_LEAST_STEP` over half of it. Raises CrispcastError where
    the survey found nothing.
    """
    from overfit.choice import choose_by_bytes
    from overfit.survey_point import SurveyPoint

    facts: Mapping[str, Any] = read_json(survey / "survey.json")
    points = [SurveyPoint(**point) for point in facts["points"]]
    plans, fixed = _beside(config, facts)
    networks = config.experts > 0
    choose = partial(choose_by_bytes, points, what="a ladder", plans=plans, networks=networks)
    found: dict[int, float] = {}
    for step in range(_RATE_STEPS):
        try:
            total = _rate(step) * 125 * facts["seconds"]
            found[step] = choose(total - fixed).psnr_y
        except CrispcastError:  # too few bytes for anything
            continue
    if not found:
        choose(0)
    gains = {step: psnr - found[step - 2] for step, psnr in found.items() if step - 2 in found}
    top = max((step for step, gain in gains.items() if gain >= _LEAST_STEP), default=min(found))
    steps = [step for step in range(top - 6, top + 1, 2) if step in found]
    return tuple(_rate(step) for step in steps)


def _rate(step: int) -> float:
    """kb/s; two steps are twice as much."""
    return float(round(10 * 2 ** (step / 2)))


def with_canvases(config: EncodeConfig, plates: Path, seconds: float) -> EncodeConfig:
    """`config` with a bit rate that makes room for the canvases that a `plates` job left.

    The survey sees plates of cameras that stand still only. Where canvases would take more than
    half of the video's bytes, there are none.
    """
    facts = read_json(plates / "plates.json")
    kinds = zip(facts["files"], facts["canvases"], strict=True)
    files = {file["name"] for pieces, canvas in kinds if canvas is not None for file in pieces}
    views = sum(len(seen) for seen in facts["views"] if seen is not None)
    taken = sum((plates / name).stat().st_size for name in files) + _BYTES_PER_VIEW * views
    if not files or config.lr_bitrate is None:
        return config
    bitrate = _left(config.lr_bitrate, taken, seconds)
    if bitrate is None:
        return replace(config, canvas="off")
    return replace(config, lr_bitrate=bitrate)


def with_chroma(config: EncodeConfig, chroma: Path, seconds: float) -> EncodeConfig:
    """`config` with a bit rate that makes room for the chroma that a `chroma` job left.

    The survey sees luma only. Where chroma would take more than half of the video's bytes, there is
    none.
    """
    taken = sum(file.stat().st_size for file in chroma.glob("*.avif"))
    if not taken or config.lr_bitrate is None:
        return config
    bitrate = _left(config.lr_bitrate, taken, seconds)
    if bitrate is None:
        return replace(config, chroma="off")
    return replace(config, lr_bitrate=bitrate)


def _left(bitrate: int, taken: int, seconds: float) -> int | None:
    """The bit rate without `taken` bytes; None where that is less than half, or than any rung's."""
    left = bitrate - 8 * taken / seconds
    return None if left < max(LEAST_BITRATE, bitrate / 2) else round(left)


@dataclass(frozen=True)
class Rate:
    """Bytes of the whole package, the dB that twice as many would add, and those of networks."""

    total: float
    slope: float
    gain: float


def sized(config: EncodeConfig, samples: int, rate: Rate | None = None) -> EncodeConfig:
    """`config` with experts that pay for their bytes and that the client can run.

    `samples` are the luma samples of an HR frame; `rate` is what the package will be, where that is
    known. Sizes only shrink from the preset's. Raises CrispcastError where even the smallest
    network takes more multiply-adds a frame than `max_compute`.
    """
    work, compute = config.work, config.compute
    if config.experts == 0 or (compute is None and rate is None):
        return config
    if config.network != "default":
        raise CrispcastError(
            "max_compute chooses the size of the network: leave network or max_compute out"
        )
    scale = config.scale or 2

    def runnable(units: int, planes: int) -> list[tuple[float, tuple[int, int]]]:
        """Weights and sizes of the networks that a client can run."""
        counted = [
            (weights(*size, planes, scale, work.density), size)
            for size in _SIZES
            if size[0] <= units and config.facts.blocks <= size[1] <= work.blocks
        ]
        found = [one for one in counted if not compute or one[0] * samples / scale**2 <= compute]
        if not found:
            least = min(counted)[0] * samples / scale**2
            raise CrispcastError(
                f"{compute:.3g} multiply-adds a frame are too few for any network: the smallest "
                f"takes {least:.3g}; allow more, choose a larger --scale, or --method none"
            )
        return found

    def worth(one: tuple[float, tuple[int, int]]) -> float:
        """What it gains, less what its bytes would gain as video."""
        if rate is None:
            return one[0]
        plans = _BYTES_PER_WEIGHT["luma"] * one[0] * config.experts
        lost = rate.slope * math.log2(1 + plans / rate.total)
        return min(_SIZE_GAIN, _SIZE_SHARE * rate.gain) * math.log2(one[0]) - lost

    _, (units, blocks) = max(runnable(work.units, 2), key=worth)
    plate_units = work.plate_units
    if config.plates == "auto":
        # Beside a plate experts are small, and a tenth of a per cent of the bytes.
        _, (plate_units, plate_blocks) = max(runnable(work.plate_units, 2 + scale**2))
        blocks = min(blocks, plate_blocks)
    return replace(
        config,
        sizes=replace(work, units=units, plate_units=plate_units, blocks=blocks),
    )


def weights(units: int, blocks: int, planes: int, scale: int, density: float) -> float:
    """Weights that survive in an expert, each a multiply-add for each LR pixel."""
    ends = 9 * units * (planes + scale**2)
    return ends + density * blocks * 2 * 9 * units * 2 * units


def plan_bytes(work: Preset, *, plate: bool) -> int:
    """About how long a plan of the preset becomes."""
    units, planes = (work.plate_units, 6) if plate else (work.units, 2)
    each = _BYTES_PER_WEIGHT["plate" if plate else "luma"]
    return round(each * weights(units, work.blocks, planes, 2, work.density))
