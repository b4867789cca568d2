"""The report's page: what it draws is what was measured, and anybody can use it."""

from __future__ import annotations

import base64
import io
import json
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.page import chromium, run_page
from client_sdk.contract import Grid, Package, PatchMap, Segment, Source, open_package
from client_sdk.contract.plate import decode_plate
from client_sdk.upscaler import Upscaler
from kernels.canvas import render
from kernels.errors import CrispcastError
from kernels.runtime import Engine
from overfit.measurement import Picture, check_source, paired_frames
from overfit.metrics import Planes, RgbConversion, psnr_of, squared_error
from overfit.package import PackageParts, PlateParts, RungParts, SegmentParts, write_package
from overfit.patch_quality import SegmentPatches
from overfit.plates import PlateConfig, encode_plate
from overfit.rd_curves import OURS, PLAIN, Curve, read_curves, read_survey, surveyed
from overfit.report import report
from overfit.report_page.charts import bytes_bar, over_time, rate_distortion
from overfit.report_page.crops import BEST, SIDE, choose, crops
from overfit.report_page.maps import Assets, frame_maps, plates
from overfit.survey_point import SurveyPoint
from server.encoding.graph import hash_file

VOID = {"meta", "img", "input", "br"}
TO_RGB = RgbConversion(1, False)


class Outline(HTMLParser):
    """The elements of a page; refuses tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def curves_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `python -m benchmarks.rd --json` writes it, of the clip `small`."""

    def point(kbps: float, psnr: float | None) -> dict[str, object]:
        return {"setting": "", "size": 1, "kbps": kbps, "figures": {"psnr_y": psnr, "ssim": None}}

    clip = {
        "ours": [{"total": point(400.0, 31.0)}, {"total": point(200.0, 29.0)}],
        "natives": {"x265": [point(150.0, 27.0), point(300.0, 29.5), point(350.0, 20.0)]},
        "plain": [{"bytes": 30_000, "psnr_y": 26.0}],
    }
    path = tmp_path_factory.mktemp("curves") / "figures.json"
    path.write_text(json.dumps({"bd_rate_x265": -10.0, "curves": {"small": clip}}))
    return path


@pytest.fixture(scope="module")
def page(small_video: Path, small_package: Path, curves_file: Path) -> str:
    found = report(small_package, small_video, vmaf=False, threads=1, curves=curves_file)
    return found.page_file.read_text()


@pytest.fixture(scope="module")
def measured(page: str, small_package: Path) -> dict:
    return json.loads((small_package / "report" / "report.json").read_text())


def test_the_page_is_whole_by_itself(page: str) -> None:
    outline = Outline(page)
    for _, attributes in outline.elements:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in page.replace("url(#plot", "")
    assert "@import" not in page
    assert outline.all("link") == []


def test_the_page_is_for_keyboards_phones_and_ears(page: str) -> None:
    outline = Outline(page)
    assert {"name": "viewport", "content": "width=device-width,initial-scale=1"} in outline.all(
        "meta"
    )
    assert all(image["alt"] for image in outline.all("img"))
    assert all(picture["aria-label"] for picture in outline.all("svg"))
    sliders = [i for i in outline.all("input") if i["type"] == "range"]
    assert sliders
    assert all(slider["aria-label"] for slider in sliders)
    # What is wider than a phone scrolls by itself, and the keyboard gets there.
    assert page.count("<table>") + page.count('class="chart"') == page.count('class="wide" tab')
    assert "tabindex" not in "".join(str(i) for i in outline.all("input"))


def test_the_ledger_the_curves_and_the_time_are_drawn(page: str, measured: dict) -> None:
    assert f"<td>{measured['bytes']['video']}</td>" in page
    for words in ("Byte ledger", "PSNR-Y of every frame", "Rate and distortion of Crispcast"):
        assert f'aria-label="{words}' in page
    assert f"this package: {measured['kbps_total']:.1f} kb/s" in page


def test_without_curves_a_sentence_says_how_to_get_them(
    small_video: Path, package_copy: Path
) -> None:
    page = report(package_copy, small_video, vmaf=False, threads=1).page_file.read_text()
    Outline(page)
    assert "crispcast report --curves FILE" in page
    assert "Rate and distortion of" not in page


def test_what_a_survey_expected_is_drawn_until_curves_are_measured(
    small_video: Path, package_copy: Path, curves_file: Path
) -> None:
    points = [
        SurveyPoint("av1", 2, crf, quality, size, 20_000 * (quality > 0), psnr)
        for quality in (0, 70)
        for crf, size, psnr in ((30.0, 9000, 33.0), (45.0, 4000, 30.0), (60.0, 5000, 28.0))
    ]
    survey = package_copy / "report" / "survey.json"
    survey.parent.mkdir(exist_ok=True)
    survey.write_bytes(surveyed(points, 2.0))
    plain, plates = read_survey(survey)
    assert (plain.name, plates.name) == ("scale 2", "scale 2, plates 70")
    assert plain.points == ((16.0, 30.0), (36.0, 33.0))
    assert [rate for rate, _ in plates.points] == [96.0, 116.0]

    page = report(package_copy, small_video, vmaf=False, threads=1).page_file.read_text()
    Outline(page)
    assert "Rate and distortion of scale 2, scale 2, plates 70" in page
    assert "survey expected" in page
    found = report(package_copy, small_video, vmaf=False, threads=1, curves=curves_file)
    assert "survey expected" not in found.page_file.read_text()


@pytest.mark.parametrize("wrong", [b"", b"{}", b'{"curves": {"a": [[0, 1]]}}', b"\xff" * 9])
def test_a_survey_that_is_none_is_refused(
    small_video: Path, package_copy: Path, wrong: bytes
) -> None:
    survey = package_copy / "report" / "survey.json"
    survey.parent.mkdir(exist_ok=True)
    survey.write_bytes(wrong)
    with pytest.raises(CrispcastError, match=r"survey\.json .* delete it"):
        report(package_copy, small_video, vmaf=False, threads=1)


def test_patches_are_measured_as_viewers_see_them(
    measured: dict, small_package: Path, small_video: Path
) -> None:
    package = open_package(small_package)
    upscaler, engine = Upscaler.of_package(package), Engine()
    segment = package.manifest.segments[0]
    found = measured["patches"][0]
    assert len(measured["patches"]) == len(package.manifest.segments)
    assert found["boxes"] == package.patch_map(0, 0).patches().tolist()
    errors = np.zeros((2, len(found["boxes"])))
    boxes = np.array(found["boxes"]) * 2
    for truth, low in paired_frames(package, 0, check_source(package, small_video)):
        if truth.number >= segment.frames:
            break
        network = upscaler.upscale(truth.number, low.planes).planes[0]
        plain = engine.upscale(low.planes, 2)[0]
        for n, (x, y, w, h, _) in enumerate(boxes):
            part = slice(y, y + h), slice(x, x + w)
            errors[:, n] += [squared_error(truth.y[part], made[part]) for made in (network, plain)]
    samples = boxes[:, 2] * boxes[:, 3] * segment.frames
    for key, sums in zip(("psnr_y", "psnr_y_bicubic"), errors, strict=True):
        expected = [psnr_of(e, int(n)) for e, n in zip(sums, samples, strict=True)]
        assert found[key] == pytest.approx(expected, abs=0.001)


def planes(seed: int, height: int = 120, width: int = 160) -> Planes:
    rng = np.random.default_rng(seed)
    luma = rng.integers(16, 236, (height, width), dtype=np.uint8)
    u, v = rng.integers(100, 150, (2, height // 2, width // 2), dtype=np.uint8)
    return luma, u, v


def picture(frame: int, height: int = 120, width: int = 160) -> Picture:
    made = {
        name: planes(seed + 10 * frame, height, width)
        for seed, name in enumerate(("network", "bicubic"), 1)
    }
    return Picture(frame, planes(10 * frame, height, width), made)


def segment_patches(experts: list[int], gains: list[float]) -> SegmentPatches:
    """Patches of 40x30 in two columns of an LR frame of 80x60."""
    boxes = [[40 * (n % 2), 30 * (n // 2), 40, 30, expert] for n, expert in enumerate(experts)]
    plain = np.array([20.0, 30.0, 25.0, 22.0][: len(experts)])
    return SegmentPatches(np.array(boxes, np.int32), plain + gains, plain)


def test_the_best_patches_and_the_worst_are_chosen() -> None:
    first, second = picture(3), picture(9)
    patches = [
        segment_patches([1, 1, 0, 2], [1.0, 5.0, 0.0, 2.0]),
        segment_patches([1, 1, 1, 2], [0.5, 6.0, 3.0, -0.2]),
    ]
    chosen = choose([first, second], patches, 2)
    # Each place once, where it gains most; the last is the least that is left.
    assert [round(patch.gain, 6) for patch in chosen] == [6.0, 3.0, 2.0, 0.5]
    assert [patch.picture.frame_number for patch in chosen] == [9, 9, 3, 9]
    assert chosen[0].box == (80, 0, 80, 60)
    assert len(chosen) == BEST + 1
    one = choose([first], [segment_patches([0, 2], [0.0, 1.0])], 2)
    assert [round(patch.gain, 6) for patch in one] == [1.0]


def test_crops_are_the_very_samples() -> None:
    shown = picture(2, 400, 500)
    chosen = choose([shown], [segment_patches([0, 1], [0.0, 4.0])], 2)
    outline = Outline(crops(chosen, TO_RGB))
    images = {}
    for attributes in outline.all("img"):
        data = base64.b64decode((attributes["src"] or "").removeprefix("data:image/png;base64,"))
        images[attributes["alt"]] = np.asarray(Image.open(io.BytesIO(data)))
    assert {*images} == {"truth", "network", "bicubic"}
    # The patch at 80, 0 of 80x60 is in the middle of the crop, or as near as the frame allows.
    rows, columns = slice(0, SIDE), slice(120 - SIDE // 2, 120 + SIDE // 2)
    assert np.array_equal(images["truth"], TO_RGB(shown.truth)[rows, columns])
    assert np.array_equal(images["network"], TO_RGB(shown.made["network"])[rows, columns])
    assert np.array_equal(images["bicubic"], TO_RGB(shown.made["bicubic"])[rows, columns])


def test_without_networks_there_is_nothing_to_compare() -> None:
    assert choose([picture(0)], [segment_patches([0, 0], [0.0, 0.0])], 2) == []
    assert "nothing to compare" in crops([], TO_RGB)


@pytest.fixture
def canvas_package(tmp_path: Path) -> Package:
    """160x120, two segments of two frames: the first has a canvas that its views pan over."""
    video = tmp_path / "video.mp4"
    video.write_bytes(b"video")
    luma = np.add.outer(np.arange(160), np.arange(240)).astype(np.uint8)
    plate = encode_plate(luma, PlateConfig(quality=90)).pieces[0].data
    canvas = PlateParts(plate, canvas=(240, 160))
    corners = np.array([0, 0, 160, 0, 160, 120, 0, 120], np.int32)
    views = np.stack([corners * 16 + 160, corners * 16 + 640]).astype(np.int32)
    experts = PatchMap(Grid(80, 60, 40, 30), (1, 0, 1, 2))
    with_canvas = SegmentParts(experts, (b"a plan", b"another"), (canvas,), views)
    plain = SegmentParts(PatchMap.uniform(80, 60, 0))
    rung = RungParts(
        "60p", 80, 60, 2, "h264", "high", video, hash_file(video), 5, (with_canvas, plain)
    )
    parts = PackageParts(
        name="test",
        source=Source(sha256="0" * 64, width=160, height=120, frames=4, fps=(25, 1)),
        config={},
        method="stdo",
        segments=(Segment(start=0, frames=2), Segment(start=2, frames=2)),
        rungs=(rung,),
    )
    write_package(tmp_path / "a.crisp", parts)
    return open_package(tmp_path / "a.crisp")


def test_a_frame_shows_its_view_of_the_canvas(canvas_package: Package) -> None:
    assets = Assets(canvas_package, 0)
    [[piece]] = canvas_package.manifest.rungs[0].plates
    canvas = decode_plate(canvas_package.asset(piece.sha256), 240, 160)
    views = canvas_package.motion(0, 0)
    assert views is not None
    for frame in (0, 1):
        seen = assets.seen_by(frame)
        assert seen is not None
        assert np.array_equal(seen, render(canvas, views[frame], 160, 120))
    assert assets.seen_by(2) is None


def test_a_canvas_is_shown_with_its_views(canvas_package: Package) -> None:
    outline = Outline(plates(Assets(canvas_package, 0)))
    (shown,) = outline.all("svg")
    assert shown["viewbox"] == "0 0 240 160"
    assert [view["points"] for view in outline.all("polygon")] == [
        "10.0,10.0 170.0,10.0 170.0,130.0 10.0,130.0",
        "40.0,40.0 200.0,40.0 200.0,160.0 40.0,160.0",
    ]


def test_maps_show_each_patch_with_its_figures(canvas_package: Package) -> None:
    patches = segment_patches([1, 0, 1, 2], [1.0, 0.0, 3.0, -0.5])
    shown = frame_maps(Assets(canvas_package, 0), picture(1), patches, TO_RGB)
    outline = Outline(shown)
    choices = [i for i in outline.all("input") if i["type"] == "radio"]
    assert [c["value"] for c in choices] == ["frame", "experts", "difficulty", "gain", "plate"]
    assert len({c["name"] for c in choices}) == 1
    layers = dict(re.findall(r'<g class="of-(\w+)">(.*?)</g>', shown))
    for name in ("experts", "difficulty", "gain"):
        drawn = Outline(layers[name]).all("rect")
        places = [tuple(int(r[k] or 0) for k in ("x", "y", "width", "height")) for r in drawn]
        assert places == [tuple(row) for row in (patches.boxes[:, :4] * 2).tolist()]
    one, none, again, other = (r["fill"] for r in Outline(layers["experts"]).all("rect"))
    assert one == again != other
    assert none == "#ffffff00"
    assert "expert 2: 22.00 dB by bicubic, −0.50 dB" in layers["experts"]
    # The plate is pale where no network reads it.
    assert [r["x"] for r in Outline(layers["plate"]).all("rect")] == ["80"]
    assert "expert 1: 2 of 4 patches, 50 % of the frame" in shown
    assert "interpolation: 1 of 4 patches, 25 % of the frame" in shown
    assert "20.00 <i" in shown
    plain = frame_maps(Assets(canvas_package, 0), picture(2), patches, TO_RGB)
    assert "This segment has no plate" in plain


def test_equal_patches_have_a_scale_too(canvas_package: Package) -> None:
    flat = SegmentPatches(np.array([[0, 0, 80, 60, 0]], np.int32), np.ones(1), np.ones(1))
    shown = frame_maps(Assets(canvas_package, 0), picture(2), flat, TO_RGB)
    layers = dict(re.findall(r'<g class="of-(\w+)">(.*?)</g>', shown))
    for name in ("difficulty", "gain"):
        assert [r["fill"] for r in Outline(layers[name]).all("rect")] == ["#440154a0"]
    scales = re.findall(r"<p>(\S+) <i .*?</i> (\S+) dB", shown)
    assert scales == [("1.00", "1.00"), ("0.00", "0.00")]


def test_a_package_without_plates_says_so(tiny_path: Path) -> None:
    package = open_package(tiny_path)
    assert "<svg" in plates(Assets(package, 0))
    rung = package.manifest.rungs[0]
    bare = [s.model_copy(update={"plate": None}) for s in rung.segments]
    manifest = package.manifest.model_copy(
        update={"rungs": (rung.model_copy(update={"segments": tuple(bare)}),)}
    )
    without = Package(package.path, manifest, package.manifest_bytes, package.places)
    assert plates(Assets(without, 0)) == "<p>This package has no plates.</p>"


def test_a_long_video_is_drawn_with_few_points() -> None:
    values = list(np.linspace(30, 40, 90_000))
    drawn = over_time({"network": values}, range(0, 90_000, 50), 1 / 25)
    (line,) = Outline(drawn).all("polyline")
    points = (line["points"] or "").split()
    assert len(points) == 1000
    xs = [float(point.split(",")[0]) for point in points]
    assert xs == sorted(xs)
    assert drawn.count('class="column"') == 1800


def test_a_video_of_one_frame_is_drawn() -> None:
    drawn = over_time({"network": [35.0], "bicubic": [34.5]}, [0], 1 / 25)
    ends = []
    for line in Outline(drawn).all("polyline"):
        points = [point.split(",") for point in (line["points"] or "").split()]
        ends.append([(float(x), float(y)) for x, y in points])
    # As long as the frame is shown; in a picture of 960x320, from 34 to 35 dB.
    (network, bicubic) = ends
    assert network == [(46.0, 8.0), (497.0, 8.0)]
    assert bicubic == [(46.0, 144.0), (497.0, 144.0)]


def test_the_bar_is_the_whole_of_the_bytes() -> None:
    sizes = {
        "video": 500,
        "plans": 30,
        "plates": 380,
        "chroma": 20,
        "maps": 10,
        "motion": 0,
        "manifest": 60,
    }
    bar = bytes_bar({**sizes, "audio": 999, "total": 1000})
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", bar)]
    assert widths == [50, 3, 38, 2, 1, 6]


def test_curves_are_read_without_what_others_beat(curves_file: Path) -> None:
    curves = read_curves(curves_file, "small", Fraction(2))
    assert curves == (
        Curve(OURS, ((200.0, 29.0), (400.0, 31.0))),
        Curve(PLAIN, ((120.0, 26.0),)),
        Curve("x265", ((150.0, 27.0), (300.0, 29.5))),
    )
    drawn = Outline(rate_distortion(curves, 250.0, 30.0))
    lines = [len((line["points"] or "").split()) for line in drawn.all("polyline")]
    assert lines == [2, 1, 2]
    ring = drawn.all("circle")[-1]
    assert ring["fill"] == "none"


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot be read"),
        ("{", "benchmarks.rd"),
        ('{"curves": {"small": {"ours": [{"total": {"kbps": -1}}]}}}', "benchmarks.rd"),
        ('{"curves": {"other": {"ours": [], "natives": {}, "plain": []}}}', "other, not of small"),
    ],
)
def test_curves_that_are_none_are_refused_before_any_work(
    content: str | None, message: str, tmp_path: Path, small_video: Path, package_copy: Path
) -> None:
    path = tmp_path / "figures.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CrispcastError, match=message):
        report(package_copy, small_video, vmaf=False, curves=path)
    assert not (package_copy / "report").exists()


def test_a_browser_shows_what_is_chosen(page: str, small_package: Path) -> None:
    if chromium() is None:
        pytest.skip("no chromium here: apt-get install chromium")
    folders = {"agent": Path(__file__).parent, "report": small_package / "report"}
    assert page
    data = {"address": "/report/report.html", "width": 360}
    found = run_page("/agent/report_agent.mjs", folders, data, isolated=False)
    layers = ("experts", "difficulty", "gain", "plate")
    assert found["shown"] == {
        "frame": [[], []],
        **{name: [[f"of-{name}"], [f"of-{name}"]] for name in layers},
    }
    cuts = found["cuts"]
    assert "100%" in cuts["0"]
    assert "75%" in cuts["25"]
    assert cuts["100"] in ("inset(0px)", "inset(0px 0% 0px 0px)")
    assert cuts["pointer"] == "25"
    assert found["reached"] is True
    assert found["broken"] == 0
    assert found["overflow"] <= 0
