"""`python -m benchmarks.quality`: what is compared with what, and one small run of it all."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import quality
from benchmarks.quality_figures import equal_bytes, figures
from benchmarks.quality_footage import BicubicCurve, Excerpt, Footage
from benchmarks.quality_plan import QUICK, Effort, jobs
from benchmarks.quality_plot import plot_curve
from benchmarks.quality_recipe import BATCH, EPOCHS, cost_of, flops, patches_in, recipe, weights_of
from benchmarks.quality_rows import PLAIN, SETTINGS, Bench, Budget, Case, Psnr, Row, measured
from benchmarks.quality_table import tables
from benchmarks.rd_cache import Cache, Clip
from kernels.errors import CrispcastError
from overfit.inference import interpolate
from overfit.metrics import PROTOCOLS, psnr_y
from overfit.networks import NetworkConfig


def row(
    method: str,
    db: float,
    *,
    clip: str = "a",
    lr: str = "clean",
    scale: int = 2,
    steps: int | None = 100,
    network: str = "default",
    chunks: int = 4,
    **facts: Any,
) -> Row:
    case = Case(network, method, chunks, steps)
    psnr: Psnr = {name: {"luma": db, "rgb": db - 2} for name in PROTOCOLS}
    return Row(clip, lr, scale, case, psnr, chosen=method, **facts)


@pytest.fixture(scope="module")
def excerpt(small_video: Path) -> Excerpt:
    return Excerpt.of(Clip.of(small_video), "small", 1.0, 6)


def test_methods_are_compared_on_the_same_clip_scale_network_and_steps() -> None:
    rows = [
        row("stdo", 30.5, plans=4000, macs=1000.0),
        row("nas", 30.0),
        row("jstdo", 30.4, plans=1000),
        row("stdo", 41.0, clip="b", plans=4000, macs=1000.0),
        row("nas", 40.9, clip="b"),
        row("nas", 99.0, clip="b", scale=3),
        row("nas", 99.0, steps=50),
        row("stdo", 99.0, steps=None),
        row("nas", 9.0, steps=None),
    ]
    found = figures(rows)
    assert found["stdo_over_nas"] == pytest.approx(0.3)
    assert found["jstdo_loss"] == pytest.approx(0.1)
    assert found["jstdo_bytes"] == pytest.approx(0.25)
    assert found["dydca_loss"] is None
    assert "dydca" in found["why"]["dydca_loss"]
    assert "stdo_over_nas" not in found["why"]


def test_stdo_over_nas_is_that_of_the_longest_trainings_and_its_curve_has_all() -> None:
    rows = [
        row(method, 30 + gain * (method == "stdo"), steps=steps, scale=scale)
        for steps, scale, gain in ((100, 2, 0.1), (100, 4, 0.3), (900, 2, 0.5))
        for method in ("stdo", "nas")
    ]
    found = figures(rows)
    assert found["stdo_over_nas"] == pytest.approx((0.5 + 0.3) / 2)
    first, last = found["stdo_over_nas_curve"]
    assert (first["steps"], first["of"], last["steps"], last["of"]) == (100, 2, 900, 1)
    assert first["db"] == pytest.approx(0.2)
    assert first["by_scale"] == pytest.approx({2: 0.1, 4: 0.3})


def test_dydca_is_the_variant_with_few_enough_multiplications() -> None:
    rows = [
        row("stdo", 30.0, macs=100.0),
        row("dydca", 29.98, chunks=1, macs=64.0),
        row("dydca 0.25", 29.93, chunks=1, macs=55.0),
    ]
    found = figures(rows)
    assert found["dydca_of"] == "dydca 0.25"
    assert found["dydca_loss"] == pytest.approx(0.07)
    assert found["dydca_macs"] == pytest.approx(0.55)


def test_gain_is_of_the_best_setting_that_every_clip_has() -> None:
    facts: dict[str, Any] = {"lr": "decoded", "chunks": 1}
    rows = [
        row("awdnn", 30, gain=1.0, kbps=250.0, **facts),
        row("awdnn", 30, gain=2.0, kbps=250.0, clip="b", **facts),
        row("awdnn", 30, gain=0.5, kbps=250.0, steps=50, **facts),
        row("awdnn", 30, gain=9.0, kbps=250.0, network="best", **facts),  # of one clip alone
        row("cafm", 30, gain=1.9, kbps=250.0, **facts),
        row("cafm", 30, gain=1.3, kbps=250.0, clip="b", **facts),
    ]
    found = figures(rows)
    assert found["gain_decoded_x2"] == pytest.approx(1.6)
    assert found["gain_decoded_x2_of"] == "default cafm 1"
    assert found["gain_decoded_x4"] is None
    assert found["winner"] == "cafm"
    assert equal_bytes(rows) == pytest.approx({"awdnn": 1.5, "cafm": 1.6})


def test_bicubic_is_read_off_at_the_bytes_of_all_that_is_sent() -> None:
    curve = BicubicCurve((1000.0, 2000.0, 4000.0), (30.0, 31.0, 31.5))
    assert curve.at(2000) == pytest.approx(31)
    assert curve.at(1000 * math.sqrt(2)) == pytest.approx(30.5)
    assert curve.at(8000) == pytest.approx(32)  # on beyond the last two


def test_ours_is_priced_where_it_reaches_the_recipe() -> None:
    assert cost_of(30.5, [(400.0, 31.0), (100.0, 30.0)]) == pytest.approx(200)
    assert cost_of(29.0, [(100.0, 30.0)]) == 100
    assert cost_of(32.0, [(100.0, 30.0), (400.0, 31.0)]) is None
    rows = [
        row("awdnn", 30.0, chunks=1, flops=1e12),
        row("awdnn", 31.0, chunks=1, flops=4e12, steps=400),
        row("awdnn", 30.5, chunks=1, flops=4e13, steps=None),
    ]
    found = figures(rows)
    assert found["train_flops_ratio"] == pytest.approx(20)
    assert figures(rows[:1])["why"]["train_flops_ratio"]


def test_the_recipe_sees_every_patch_fifty_times(excerpt: Excerpt) -> None:
    scene, network = Footage(excerpt, "clean", 2).scene, NetworkConfig(inputs=("luma",))
    training = recipe(network, patches_in(scene), threads=1)
    assert patches_in(scene) == 25 * 4
    assert training.steps == math.ceil(EPOCHS * 100 / BATCH)
    assert training.learning_rate == 1e-3
    assert recipe(NetworkConfig(kind="espcn"), 100, 1).learning_rate == 1e-4
    wide, tall = scene.patch
    pixels = training.steps * BATCH * wide * tall
    counted = flops(scene, network, training, of_recipe=True)
    assert counted == 6 * pixels * weights_of(network)
    assert flops(scene, network, training, of_recipe=False) > counted
    assert weights_of(network) == 9 * 16 + 3 * 2 * 9 * 16 * 32 + 9 * 16 * 4


def test_interpolation_is_measured_by_all_protocols(excerpt: Excerpt) -> None:
    footage = Footage(excerpt, "clean", 2)
    found = measured(footage)
    assert set(found) == set(PROTOCOLS)
    plain = [
        psnr_y(interpolate(footage.lr[n][0], 2), excerpt.frames[n][0]) for n in excerpt.measured
    ]
    assert found["whole_frame"]["luma"] == pytest.approx(np.mean(plain), abs=0.01)
    assert found["stdo"]["luma"] != found["cafm"]["luma"]


@pytest.mark.parametrize("method", ["stdo", "jstdo", "dydca 0.25", "auto"])
def test_a_row_is_trained_once_and_found_again(
    method: str, excerpt: Excerpt, tmp_path: Path
) -> None:
    footage = Footage(excerpt, "decoded" if method == "auto" else "clean", 2)
    curve = BicubicCurve((1.0, footage.video + 1.0), (20.0, 21.0)) if method == "auto" else None
    bench = Bench(footage, Cache(tmp_path), Budget(batch=1, tile=16), curve, done=False)
    chunks = 1 if method in ("dydca 0.25", "auto") else 2
    network = "espcn-mobile" if method in ("stdo", "jstdo") else "edsr-mobile"
    case = Case(network, method, chunks, 6)
    assert replace(bench, done=True).row(case) is None
    made = bench.row(case)
    assert made is not None
    assert made == replace(bench, done=True).row(case)
    assert made.plans > 1000
    assert made.maps > 0
    assert made.macs > 1000
    assert made.flops > 0
    assert (made.gain is None) == (method != "auto")
    assert replace(bench, budget=Budget(batch=2, tile=16), done=True).row(case) is None
    if method == "jstdo":
        twin = bench.row(replace(case, method="stdo"))
        assert twin is not None
        assert made.plans < 0.6 * twin.plans


def test_quick_and_full_runs_have_all_that_the_keys_need() -> None:
    for effort in (QUICK, Effort()):
        todo = list(jobs(effort, ("decoded", "papers", "training"), (2, 3, 4)))
        assert {job.scale for job in todo if job.part == "decoded"} == {2, 4}
        papers = [job for job in todo if job.part == "papers"]
        assert {job.scale for job in papers} == {2, 3, 4}
        for job in papers:
            assert len(set(job.cases)) == len(job.cases)
            names = {case.method for case in job.cases}
            assert {"awdnn", "nas", "cafm", "stdo", "jstdo", "dydca", PLAIN} <= names
            longest = {c.method: c.steps for c in job.cases if c.steps == max(effort.curve)}
            assert {"stdo", "nas"} <= set(longest)
        [trained] = [job for job in todo if job.part == "training"]
        assert [case for case in trained.cases if case.steps is None]


def test_methods_that_are_named_are_the_only_ones() -> None:
    todo = list(jobs(Effort(), ("decoded", "papers"), (2,), methods=("nas",)))
    assert {case.method for job in todo for case in job.cases} == {"nas", PLAIN}


def test_settings_of_decoded_lr_have_the_size_and_density_that_their_name_means(
    excerpt: Excerpt,
) -> None:
    found = {}
    for name in ("default", *SETTINGS):
        case = Case(name, "awdnn", 1, 10)
        shape = case.shape(Footage(excerpt, "decoded", 2))
        training = case.training(Footage(excerpt, "decoded", 2), Budget())
        found[name] = (shape.units, shape.blocks, training.pruning.density)
        assert shape.inputs == ("luma", "previous")
    assert found == {
        "default": (16, 3, 0.25),
        "half": (16, 3, 0.5),
        "wide": (24, 3, 0.5),
        "best": (24, 4, 0.25),
    }


def test_what_is_trained_on_decoded_lr_can_be_chosen() -> None:
    options = ["--settings", "half", "--decoded-steps", "70", "--compared", "0"]
    effort = quality.effort_of(quality._options([*options, "--only", "bbb"]))
    todo = list(jobs(effort, ("decoded",), (2, 4)))
    assert [(job.clip, job.scale) for job in todo] == [("bbb", 2), ("bbb", 4)]
    assert {case for job in todo for case in job.cases} == {Case("half", "awdnn", 1, 70)}
    with pytest.raises(CrispcastError, match="network huge is unknown"):
        quality.effort_of(quality._options(["--settings", "huge"]))


def test_by_the_recipe_every_method_is_trained_by_it() -> None:
    [job] = jobs(replace(QUICK, networks=("wdsr",)), ("papers",), (2,), recipe=True)
    assert {case.steps for case in job.cases if case.method != PLAIN} == {None}


def test_one_small_run_of_it_all(
    small_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(
        QUICK,
        curve=(4, 8),
        steps=8,
        settings=("espcn-mobile",),
        decoded=4,
        ladder=(2, 4),
        clean=Budget(batch=1, tile=16),
        coded=Budget(batch=1, tile=16),
    )
    monkeypatch.setattr(quality, "QUICK", tiny)
    arguments = ["--quick", "--clips", str(small_video.parent), "--only", small_video.stem]
    arguments += ["--scales", "2", "--work", str(tmp_path / "work"), "--threads", "1"]
    arguments += ["--part", "decoded", "papers", "--networks", "espcn-mobile"]
    arguments += ["--json", str(tmp_path / "found.json")]
    quality.main([*arguments, "--steps", "4", "8"])
    found = json.loads((tmp_path / "found.json").read_text())
    for key in ("gain_decoded_x2", "stdo_over_nas", "jstdo_loss"):
        assert math.isfinite(found[key]), key
    assert set(found["why"]) == {
        "gain_decoded_x3",
        "gain_decoded_x4",
        "winner",
        "dydca_loss",  # espcn has no blocks to leave out
        "dydca_macs",
        "train_flops_ratio",
    }
    assert [point["steps"] for point in found["stdo_over_nas_curve"]] == [4, 8]
    [decoded] = [each for each in found["rows"] if each["gain"] is not None]
    assert decoded["kbps"] > 0


def test_tables_have_a_column_a_clip_and_scale() -> None:
    rows = [row("stdo", 31.5), row("nas", 31.0), row("nas", 29.0, scale=4, clip="b")]
    rows += [row(PLAIN, 28.0, network=PLAIN, steps=0), row("awdnn", 30.0, network="edsr-mobile")]
    first, means, other, *_ = tables(rows, "stdo", "rgb")
    assert [column.header for column in first.columns] == ["method", "steps", "a x2", "b x4"]
    assert list(first.columns[2].cells) == ["29.50", "29.00", "26.00"]
    assert list(first.columns[3].cells) == ["", "27.00", ""]
    assert means.row_count == 4
    assert list(other.columns[0].cells) == [PLAIN, "awdnn"]


def test_what_cannot_be_is_said(tmp_path: Path, excerpt: Excerpt) -> None:
    with pytest.raises(CrispcastError, match="no clip"):
        quality.clip_of(tmp_path, "absent")
    with pytest.raises(CrispcastError, match="--seconds"):
        Excerpt.of(excerpt.clip, "small", 0.01, 1)


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [row(method, 30, steps=steps) for method in ("stdo", "nas") for steps in (10, 100)]
    plot_curve(figures(rows)["stdo_over_nas_curve"], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(CrispcastError, match="no pair"):
        plot_curve([], tmp_path / "none.png")


def test_a_row_is_written_as_it_is_named() -> None:
    facts = row("stdo", 30.0).facts()
    assert facts["name"] == "stdo 4"
    assert json.loads(json.dumps(facts))["case"] == asdict(row("stdo", 1).case)
