"""A ladder: several rungs in one package, of which each can be switched to at every segment."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from client_sdk.contract import Package, open_package
from kernels.errors import CrispcastError
from overfit.compute import multiply_adds
from overfit.measurement import measure
from overfit.survey_point import SurveyPoint
from server.encoding import EncodeConfig, EncodeResult, encode
from server.encoding.decision import auto_targets, decided
from server.encoding.graph import Job, SourceFile, Task, in_order, job_function, join_graphs
from server.encoding.ladder import PlannedRung, _Planner, plan_rungs
from server.encoding.rates import parse_ladder
from server.encoding.store import Artefact
from server.encoding.training_jobs import find_plates, still_plates
from tests.overfit.making import passed_by, texture, write_frames

TARGETS = (120.0, 360.0)


@job_function()
def nothing(task: Any) -> None: ...


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still place that something passes, twice as long as a segment."""
    frames = passed_by(texture(1, 256, 192)) * 2
    return write_frames(tmp_path_factory.mktemp("videos") / "still.mp4", frames)


def config(source: Path, output: Path, **settings: Any) -> EncodeConfig:
    few: dict[str, Any] = {"preset": "fast", "steps": 30, "base": "none", "threads": 1, "scale": 2}
    return EncodeConfig(source, output, **{"ladder": TARGETS, **few, **settings})


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> EncodeResult:
    return encode(config(source, tmp_path_factory.mktemp("ladder") / "a.crisp"))


@pytest.fixture(scope="module")
def package(made: EncodeResult) -> Package:
    return open_package(made.package)


def test_each_target_has_a_rung_with_its_own_figures(made: EncodeResult, package: Package) -> None:
    rungs = package.manifest.rungs
    assert package.manifest.version == "1.4"
    assert [rung.name.split("-")[1] for rung in rungs] == ["120k", "360k"]
    assert len({rung.codec for rung in rungs}) == 1
    totals = [r.sizes.kbps(r.sizes.total, package.manifest) for r in made.rungs]
    assert 0.4 * TARGETS[0] < totals[0] < 1.1 * TARGETS[0]
    assert 1.1 * totals[0] < totals[1] < 1.1 * TARGETS[1]
    low, high = (result.quality.psnr_y for result in made.rungs)
    assert high > low
    assert package.manifest.quality == rungs[0].quality
    assert "360k: PSNR-Y" in made.summary()
    assert [rung["name"] for rung in made.to_json()["rungs"]] == [rung.name for rung in rungs]


def test_every_rung_is_measured_as_it_says(package: Package, source: Path) -> None:
    for index, rung in enumerate(package.manifest.rungs):
        measured = measure(package, source, index, vmaf=False)
        assert rung.quality is not None
        for segment, told in zip(package.manifest.segments, rung.quality, strict=True):
            found = measured.scores.mean("network", "psnr_y", segment.start, segment.end)
            assert found is not None
            assert round(found, 2) == told.psnr_y


def test_rungs_switch_at_key_frames_of_the_same_numbers(package: Package) -> None:
    for index in range(len(package.manifest.rungs)):
        with av.open(str(package.video_path(index))) as container:
            packets = [p for p in container.demux(video=0) if p.size]
        keys = {number for number, packet in enumerate(packets) if packet.is_keyframe}
        assert {segment.start for segment in package.manifest.segments} <= keys


def test_the_plate_of_a_place_is_sent_once_for_all_rungs(package: Package) -> None:
    plated = [rung for rung in package.manifest.rungs if rung.plates]
    assert plated
    pieces = [{p.sha256 for plate in rung.plates for p in plate} for rung in plated]
    assert all(each == pieces[0] for each in pieces)
    plates = [asset for asset in package.manifest.assets.values() if asset.kind == "plate"]
    assert len(plates) == len(pieces[0])


def test_what_is_common_is_done_once_and_a_rung_more_redoes_no_other(
    source: Path, made: EncodeResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = encode(config(source, tmp_path / "b.crisp", ladder=(*TARGETS, 500.0)))
    assert {"probe", "segments", "audio", "truth", "still"} <= set(more.reused)
    # The video is not even opened where all is found.
    monkeypatch.setattr("overfit.video.source.open_source", None)
    again = encode(config(source, tmp_path / "c.crisp"))
    assert set(again.reused) >= {"rung", "expert-0", "trial", "360k rung", "360k trial"}
    ids = {result.manifest.id for result in (made, more, again)}
    assert len(ids) == 2


def test_compute_counts_the_patches_that_networks_upscale(package: Package) -> None:
    for rung in package.manifest.rungs:
        assert rung.compute is not None
        used = any(segment.experts for segment in rung.segments)
        assert (rung.compute > rung.width * rung.height) == used
    assert multiply_adds(()) == 0


def test_equal_jobs_of_two_graphs_become_one_and_others_get_their_graphs_name() -> None:
    film = SourceFile(Path("a"), "0" * 64)

    def graph(rate: int) -> Job:
        probe = Job("probe", nothing, {}, {"source": film})
        return Job("rung", nothing, {"rate": rate}, {"probe": probe})

    joined = join_graphs({"1k": graph(1), "2k": graph(2), "again": graph(1)})
    assert joined["1k"] is joined["again"]
    assert joined["1k"].inputs["probe"] is joined["2k"].inputs["probe"]
    assert [job.name for job in in_order(list(joined.values()))] == ["probe", "rung", "2k rung"]


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Twice the bytes gain 2 dB up to 800 kB, and little beyond."""
    points = [
        SurveyPoint("av1", 2, 55 - 9 * n, q, round(1e5 * 2.0**n), 60_000 * (q > 0), psnr + q / 40)
        for q in (0, 50, 70, 80)
        for n, psnr in enumerate((30, 32, 34, 36, 36.2, 36.3))
    ]
    facts = {"points": [asdict(p) for p in points], "seconds": 10.0, "segments": 5, "frames": 250}
    (tmp_path / "survey.json").write_text(json.dumps({**facts, "samples": 1280 * 720}))
    return tmp_path


def test_an_automatic_ladder_ends_where_more_bytes_gain_little(survey: Path) -> None:
    targets = auto_targets(EncodeConfig(Path("a"), Path("b"), ladder="auto"), survey)
    assert 2 <= len(targets) <= 4
    assert all(b == pytest.approx(2 * a, rel=0.02) for a, b in pairwise(targets))
    assert 640 <= targets[-1] <= 1300


def test_a_rung_too_small_for_the_method_of_the_one_that_leads_tries_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settled(config: EncodeConfig, *_: object) -> EncodeConfig:
        assert config.target_kbps is not None
        sizes = replace(config.work, blocks=1 if config.target_kbps < 50 else 3)
        return replace(
            config, scale=2, plates="off", lr_bitrate=100_000, target_kbps=None, sizes=sizes
        )

    def run(targets: list[Job]) -> Any:
        jobs = in_order(targets)
        for job in jobs:
            if job.name == "method":
                chosen = {"method": "dydca" if job.config["blocks"] > 1 else "stdo", "chunks": 1}
                (tmp_path / "method.json").write_text(json.dumps(chosen))
        (tmp_path / "plates.json").write_text('{"files": [], "canvases": [], "views": []}')
        made = {job.name: Artefact(job.name, tmp_path, "0" * 64, 1) for job in jobs}
        return made, SimpleNamespace(reused=[])

    info = SimpleNamespace(width=1280, height=720, frames=250, fps=Fraction(25))
    monkeypatch.setattr("server.encoding.ladder.load_info", lambda *_: info)
    monkeypatch.setattr("server.encoding.ladder.decided", settled)
    asked = EncodeConfig(Path("a"), Path("b"), method="auto", ladder=(20.0, 300.0, 600.0))
    plan = plan_rungs(asked, SourceFile(Path("a"), "0" * 64), run)
    assert [rung.config.method for rung in plan.rungs] == ["stdo", "dydca", "dydca"]


def test_a_rung_takes_the_plates_that_another_has_where_that_costs_little(survey: Path) -> None:
    asked = EncodeConfig(Path("a"), Path("b"), target_kbps=600)
    assert decided(asked, survey).plate_quality == 80  # 0.25 dB more than 70
    assert decided(asked, survey, 70).plate_quality == 70
    assert decided(asked, survey, 50).plate_quality == 80


def planned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *rates: int
) -> list[tuple[PlannedRung, Job]]:
    """Rungs of these b/s, the first of which leads, and the jobs that they have their plates of.

    10 s of video; all plates are one canvas of 100 kB.
    """
    (folder / "c.avif").write_bytes(b"x" * 100_000)
    facts = {"files": [[{"name": "c.avif"}]], "canvases": [[900, 400]], "views": []}
    (folder / "plates.json").write_text(json.dumps(facts))
    info = SimpleNamespace(width=1280, height=720, frames=300, fps=Fraction(30))
    monkeypatch.setattr("server.encoding.ladder.load_info", lambda *_: info)

    def run(targets: list[Job]) -> Any:
        made = {job.name: Artefact(job.name, folder, "0" * 64, 1) for job in in_order(targets)}
        return made, SimpleNamespace(reused=[])

    planner = _Planner(SourceFile(Path("a"), "0" * 64), run, budgeted=True)
    settled = {"scale": 2, "plate_quality": 60, "codec": "av1", "chroma": "off"}
    rungs: list[PlannedRung] = []
    for rate in rates:
        settings = EncodeConfig(Path("a"), Path("b"), lr_bitrate=rate, **settled)  # type: ignore[arg-type]
        rungs.append(planner.plan(f"{rate}", settings, rungs[0] if rungs else None))
    plates = [rung.graph.inputs["plates"] for rung in rungs]
    return [(rung, job) for rung, job in zip(rungs, plates, strict=True) if isinstance(job, Job)]


def test_a_rung_that_cannot_afford_the_canvases_of_another_has_its_still_plates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lead, _), (low, given), (high, shared) = planned(
        tmp_path, monkeypatch, 280_000, 130_000, 560_000
    )
    assert (lead.config.canvas, lead.config.lr_bitrate) == ("auto", 200_000)
    assert (high.config.canvas, high.config.lr_bitrate) == ("auto", 480_000)
    assert (low.config.canvas, low.config.lr_bitrate) == ("off", 130_000)
    refined = lead.graph.inputs["refined"]
    assert shared is refined
    assert given.function is still_plates
    assert given.inputs == {"plates": refined}


def test_a_rung_has_canvases_that_the_one_that_leads_cannot_afford(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lead, _), (high, own), (low, shared) = planned(tmp_path, monkeypatch, 140_000, 280_000, 90_000)
    assert lead.config.canvas == low.config.canvas == "off"
    assert (high.config.canvas, high.config.lr_bitrate) == ("auto", 200_000)
    assert own.function is find_plates
    assert shared is lead.graph.inputs["refined"]


def test_plates_without_their_canvases(tmp_path: Path) -> None:
    for folder in ("plates", "out"):
        (tmp_path / folder).mkdir()
    names = ("still", "wide", "other", "both")
    for name in names:
        (tmp_path / "plates" / f"{name}.avif").write_text(name)
    files = [["still", "both"], ["wide"], ["other", "both"]]
    facts: dict[str, Any] = {
        "files": [[{"name": f"{name}.avif"} for name in pieces] for pieces in files],
        "of_segment": [1, 0, -1, 2, 1],
        "canvases": [None, [900, 400], None],
        "views": [[[0] * 8], None, None, None, [[1] * 8]],
    }
    (tmp_path / "plates" / "plates.json").write_text(json.dumps(facts))
    task = Task({"plates": tmp_path / "plates"}, {}, tmp_path / "out", tmp_path, lambda *_: None)
    still_plates.run(task)
    assert sorted(file.stem for file in (tmp_path / "out").glob("*.avif")) == [
        "both",
        "other",
        "still",
    ]
    assert json.loads((tmp_path / "out" / "plates.json").read_text()) == {
        "files": [facts["files"][0], facts["files"][2]],
        "of_segment": [-1, 0, -1, 1, -1],
        "canvases": [None, None],
        "views": [None] * 5,
    }


@pytest.mark.parametrize(("text", "ladder"), [("auto", "auto"), ("150,300", (150.0, 300.0))])
def test_ladders_are_read(text: str, ladder: object) -> None:
    assert parse_ladder(text) == ladder


@pytest.mark.parametrize(
    ("ladder", "says"),
    [
        ((300.0,), "2 to 8"),
        ((300.0, 150.0), "lowest up"),
        ((300.0, 300.0), "lowest up"),
        ((1.0, 300.0), "choose 5 to"),
        ("fast", "2 to 8"),
    ],
)
def test_ladders_that_are_none_are_refused(ladder: Any, says: str) -> None:
    with pytest.raises(CrispcastError, match=says):
        EncodeConfig(Path("a"), Path("b"), ladder=ladder)
    with pytest.raises(CrispcastError, match="150,300,600"):
        parse_ladder("150k,300k")
    with pytest.raises(CrispcastError, match="choose one of"):
        EncodeConfig(Path("a"), Path("b"), ladder="auto", target_kbps=100)
