"""The report: figures of every frame, as a viewer sees it, and one self-contained page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from client_sdk.contract import open_package
from client_sdk.upscaler import Upscaler
from kernels.errors import PackageError
from overfit.measurement import frame_hash
from overfit.metrics import SeamErrors, SeamGrid
from overfit.report import report
from overfit.video import probe, read_frames, read_rung


@pytest.fixture(scope="module")
def document(small_video: Path, small_package: Path) -> dict:
    report(small_package, small_video, threads=1)
    return json.loads((small_package / "report" / "report.json").read_text())


def test_every_frame_is_measured(document: dict) -> None:
    for method in ("network", "bicubic", "lanczos"):
        for metric in ("psnr_y", "psnr_rgb", "ssim"):
            values = document["per_frame"][method][metric]
            assert len(values) == document["frames"] == 30
            assert document["methods"][method][metric] == pytest.approx(np.mean(values))
    assert document["psnr_y"] == document["methods"]["network"]["psnr_y"]
    assert sum(segment["frames"] for segment in document["segments"]) == 30


def test_figures_of_the_whole_video(document: dict) -> None:
    for method in ("network", "bicubic", "lanczos"):
        figures = document["methods"][method]
        assert {*figures["protocols"]} == {"stdo", "cafm", "whole_frame"}
        whole = figures["protocols"]["whole_frame"]
        assert whole == {
            "luma": pytest.approx(figures["psnr_y"]),
            "rgb": pytest.approx(figures["psnr_rgb"]),
        }
        assert figures["protocols"]["stdo"] != figures["protocols"]["cafm"]
        xpsnr = document["per_frame"][method]["xpsnr"]
        assert min(xpsnr) <= figures["xpsnr"] <= max(xpsnr)
        assert document["per_frame"][method]["flicker"][0] is None


def test_only_what_knows_patches_may_show_seams(
    document: dict, small_video: Path, small_package: Path
) -> None:
    for method in ("bicubic", "lanczos"):
        figures = document["methods"][method]
        assert abs(figures["seam_gap"]) < 0.5
        assert abs(figures["seam_step"]) < 0.5
    # How much two experts of a few steps differ where their patches meet is the training's affair
    # (and the processor's, whose sums decide it); what the report says of it must be what is seen.
    package = open_package(small_package)
    upscaler = Upscaler.of_package(package)
    seen = []
    for truth, low in zip(
        read_frames(small_video, probe(small_video)), read_rung(package.video_path(0)), strict=True
    ):
        boxes = package.patch_map(0, package.manifest.segment_of(truth.number)).patches()[:, :4] * 2
        assert len(boxes) == 4
        grid = SeamGrid.of([(x, y, w, h) for x, y, w, h in boxes.tolist()], 192, 224, scale=2)
        made = upscaler.upscale(low.number, low.planes).planes
        seen.append(SeamErrors.of(truth.y, made[0], grid))
    network, total = document["methods"]["network"], SeamErrors.total(seen)
    assert network["seam_gap"] == pytest.approx(total.gap)
    assert network["seam_step"] == pytest.approx(total.step)


def test_vmaf_is_there_or_its_absence_explained(document: dict) -> None:
    scores = document["per_frame"]["network"]["vmaf_neg"]
    assert (scores is None) == (document["vmaf_missing"] is not None)


def test_hashes_are_those_of_what_a_viewer_sees(document: dict, small_package: Path) -> None:
    package = open_package(small_package)
    upscaler = Upscaler.of_package(package)
    seen = [
        frame_hash(upscaler.upscale(frame.number, frame.planes).planes)
        for frame in read_rung(package.video_path(0))
    ]
    assert seen == document["frame_sha256"]


def test_the_page_needs_nothing_else(document: dict, small_package: Path) -> None:
    page = (small_package / "report" / "report.html").read_text()
    assert "<svg" in page
    assert "data:image/png;base64," in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert f"{document['psnr_y']:.2f}" in page
    for column in ("XPSNR", "flicker", "seam gap", "cafm luma"):
        assert column in page


def test_a_report_is_no_part_of_a_package(document: dict, small_package: Path) -> None:
    open_package(small_package)
    assert document["bytes"]["total"] < sum(
        path.stat().st_size for path in small_package.rglob("*") if path.is_file()
    )


def test_a_rung_that_is_not_there(small_video: Path, small_package: Path) -> None:
    with pytest.raises(PackageError, match="rungs"):
        report(small_package, small_video, rung_index=3)


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_a_report_is_written_through_no_link(
    small_video: Path, package_copy: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "mine").write_text("mine")
    (package_copy / "report").mkdir(exist_ok=True)
    for place in (name, f".{name}.partial"):
        (package_copy / "report" / place).unlink(missing_ok=True)
        (package_copy / "report" / place).symlink_to(tmp_path / "mine")
    found = report(package_copy, small_video, vmaf=False, threads=1)
    assert (tmp_path / "mine").read_text() == "mine"
    assert found.json_file.read_text().startswith("{")
    assert found.page_file.read_text().startswith("<!doctype html>")


def test_a_report_is_no_link_to_another_folder(
    small_video: Path, package_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.json").write_text("mine")
    shutil.rmtree(package_copy / "report", ignore_errors=True)
    (package_copy / "report").symlink_to(tmp_path / "mine")
    with pytest.raises(PackageError, match="report is a link"):
        report(package_copy, small_video, vmaf=False, threads=1)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["report.json"]
    assert (tmp_path / "mine" / "report.json").read_text() == "mine"
