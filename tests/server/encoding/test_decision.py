"""What an encode with a target or a bound on compute settles before it begins."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest

from client_sdk.contract import open_package
from kernels.errors import CrispcastError
from overfit.rd_curves import read_survey
from overfit.survey_point import SurveyPoint
from overfit.video import RungConfig
from server.encoding import EncodeConfig, encode
from server.encoding.config import DEVICES, METHODS
from server.encoding.decision import (
    Rate,
    auto_targets,
    decided,
    sized,
    survey_job,
    weights,
    with_canvases,
    with_chroma,
    without_networks,
)
from server.encoding.graph import Job, SourceFile
from server.encoding.learning_jobs import check_network
from tests.overfit.making import passed_by, texture, write_frames


def config(**settings: Any) -> EncodeConfig:
    return EncodeConfig(Path("a.mp4"), Path("a.crisp"), **settings)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    points = [
        SurveyPoint(
            "h264", 2, 30 - 6 * n, q, round(4e5 * 2.0**n), 150_000 * (q > 0), 30 + 2 * n + q / 20
        )
        for q in (0, 60)
        for n in (-1, 0, 1)
    ]
    facts = {"points": [asdict(p) for p in points], "seconds": 10.0, "segments": 5, "frames": 250}
    (tmp_path / "survey.json").write_text(json.dumps({**facts, "samples": 1280 * 720}))
    return tmp_path


@pytest.mark.parametrize(("codec", "rest"), [("av1", 7_000), ("h264", 11_000)])
def test_a_target_in_kbps_becomes_a_bit_rate_that_leaves_room_for_the_rest(
    survey: Path, codec: Literal["av1", "h264"], rest: int
) -> None:
    # x264's bit rate is that of the stream; MP4 tables come on top.
    facts = json.loads((survey / "survey.json").read_text())
    for point in facts["points"]:
        point["codec"] = codec
    (survey / "survey.json").write_text(json.dumps(facts))
    settled = decided(config(target_kbps=500, codec=codec), survey)
    assert (settled.scale, settled.plates, settled.plate_quality) == (2, "auto", 60)
    assert not settled.targeted
    assert settled.lr_bitrate is not None
    video = settled.lr_bitrate * 10 / 8
    assert 625_000 - 150_000 - rest - 1_500 < video < 625_000 - 150_000 - rest


def test_a_target_in_db_becomes_a_crf(survey: Path) -> None:
    settled = decided(config(target_psnr=31.4, plates="off"), survey)
    assert settled.lr_bitrate is None
    assert settled.lr_crf is not None
    assert 14 <= settled.lr_crf <= 51


def test_plates_that_do_not_pay_are_left_out(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    for point in facts["points"]:
        point["plate_bytes"] *= 100
    (survey / "survey.json").write_text(json.dumps(facts))
    assert decided(config(target_kbps=500), survey).plates == "off"


def test_where_no_shot_stands_still_canvases_may_come(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    facts["points"] = [point for point in facts["points"] if not point["quality"]]
    (survey / "survey.json").write_text(json.dumps(facts))
    assert decided(config(target_kbps=500), survey).plates == "auto"
    assert decided(config(target_kbps=500, plates="off"), survey).plates == "off"


def test_a_video_of_its_own_size_has_neither_networks_nor_plates(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    own = [{**point, "scale": 1, "psnr_y": point["psnr_y"] + 9} for point in facts["points"][:3]]
    (survey / "survey.json").write_text(json.dumps({**facts, "points": facts["points"] + own}))
    settled = decided(config(target_kbps=500), survey)
    assert (settled.scale, settled.method, settled.plates) == (1, "none", "off")
    assert settled.experts == 0


def test_a_target_without_networks_is_met_without_them(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    for point in facts["points"]:
        point["interpolated"] = point["psnr_y"] - point["quality"] / 20 - 1.5
    (survey / "survey.json").write_text(json.dumps(facts))
    plain = decided(config(target_psnr=30.0, method="none", codec="h264"), survey)
    assert (plain.method, plain.plates, plain.plate_quality) == ("none", "off", None)
    # Interpolation has 28.5 dB at CRF 30 and 2 dB more for each 6 less.
    assert plain.lr_crf == pytest.approx(25.5, abs=0.05)
    # All bytes are the video's: none are kept for plans and plates.
    rate = decided(config(target_kbps=400, method="none", codec="h264"), survey).lr_bitrate
    assert rate == pytest.approx(400_000 - 0.8 * (3000 + 5 * 250 + 16 * 250), rel=1e-3)
    assert auto_targets(config(ladder="auto", method="none", codec="h264"), survey)


def test_nobody_surveys_networks_and_plates_that_nobody_wants() -> None:
    film = SourceFile(Path("a.mp4"), "0" * 64)

    def asked(method: str) -> tuple[list[int], bool]:
        job = survey_job(config(target_kbps=400, method=method, scale=2), film)
        scale = job.inputs["scale-2"]
        assert isinstance(scale, Job)
        return scale.config["qualities"], scale.config["networks"]

    assert asked("none") == ([], False)
    qualities, networks = asked("stdo")
    assert qualities
    assert networks


def test_few_bytes_take_a_smaller_network(survey: Path) -> None:
    points = json.loads((survey / "survey.json").read_text())
    for point in points["points"]:
        point["video_bytes"] //= 50
        point["plate_bytes"] //= 50
    (survey / "survey.json").write_text(json.dumps(points))
    assert decided(config(target_kbps=11), survey).work.units < 16
    assert config().work.units == 16


def test_networks_that_gain_little_are_small(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    units = []
    for gain in (2.0, 0.2):
        for point in facts["points"]:
            point["interpolated"] = point["psnr_y"] - gain
        (survey / "survey.json").write_text(json.dumps(facts))
        units.append(decided(config(target_kbps=150, plates="off"), survey).work.units)
    assert units[0] == 16 > units[1]


def test_networks_that_do_not_pay_give_their_bytes_to_the_video(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    for point in facts["points"]:
        point["interpolated"] = point["psnr_y"] - 1
    (survey / "survey.json").write_text(json.dumps(facts))
    settled = config(lr_bitrate=300_000, scale=2, codec="h264")
    # 10 % more bytes are worth 0.27 dB.
    assert without_networks(settled, survey, 375_000, 37_500, gain=0.4) is None
    plain = without_networks(settled, survey, 375_000, 37_500, gain=0.2)
    assert plain is not None
    assert (plain.method, plain.plates, plain.lr_bitrate) == ("none", "off", 330_000)


def test_however_few_bytes_there_are_a_rung_may_have_the_rate(survey: Path) -> None:
    facts = json.loads((survey / "survey.json").read_text())
    for point in facts["points"]:
        point["video_bytes"] = round(point["video_bytes"] / 50)
        point["interpolated"] = point["psnr_y"] - 0.1
    (survey / "survey.json").write_text(json.dumps(facts))
    settled = config(lr_crf=50, scale=2, codec="h264")
    plain = without_networks(settled, survey, 5000, 3000, gain=0.0)
    assert plain is not None
    for target in (12, 20, 40, 80):
        for made in (plain, decided(config(target_kbps=target, codec="h264"), survey)):
            RungConfig(crf=made.crf, bitrate=made.lr_bitrate, codec=made.rung_codec)
    for point in facts["points"]:
        point["video_bytes"] *= 1_000_000
    (survey / "survey.json").write_text(json.dumps(facts))
    made = decided(config(target_kbps=1_000_000, codec="h264"), survey)
    RungConfig(crf=made.crf, bitrate=made.lr_bitrate, codec=made.rung_codec)


@pytest.mark.parametrize(
    ("size", "canvas", "bitrate"),
    [(50_000, "auto", 300_000 - 8 * (50_000 + 500) // 10), (250_000, "off", 300_000)],
)
def test_canvases_are_paid_for_by_the_video(
    tmp_path: Path, size: int, canvas: str, bitrate: int
) -> None:
    (tmp_path / "still.avif").write_bytes(b"x" * 70_000)  # the survey has seen to this one
    (tmp_path / "wide.avif").write_bytes(b"x" * size)
    facts = {
        "files": [[{"name": "still.avif"}], [{"name": "wide.avif"}]],
        "canvases": [None, [900, 400]],
        "views": [None, [[0] * 8] * 100],
    }
    (tmp_path / "plates.json").write_text(json.dumps(facts))
    settled = with_canvases(config(lr_bitrate=300_000), tmp_path, 10.0)
    assert (settled.canvas, settled.lr_bitrate) == (canvas, bitrate)


@pytest.mark.parametrize(
    ("size", "chroma", "bitrate"),
    [(50_000, "auto", 300_000 - 8 * 50_000 // 10), (250_000, "off", 300_000), (0, "auto", 300_000)],
)
def test_chroma_is_paid_for_by_the_video(
    tmp_path: Path, size: int, chroma: str, bitrate: int
) -> None:
    if size:
        (tmp_path / "0.avif").write_bytes(b"x" * (size - 10))
        (tmp_path / "1.avif").write_bytes(b"x" * 10)
    settled = with_chroma(config(lr_bitrate=300_000), tmp_path, 10.0)
    assert (settled.chroma, settled.lr_bitrate) == (chroma, bitrate)
    assert with_chroma(config(lr_crf=30), tmp_path, 10.0) == config(lr_crf=30)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("gain", [0.0, 1.0])
@pytest.mark.parametrize("total", [5e3, 2e4, 1e5])
def test_however_few_bytes_there_are_the_method_can_train_its_network(
    method: str, gain: float, total: float
) -> None:
    asked = config(method=method, lr_bitrate=100_000, scale=2, preset="fast")
    small = sized(asked, 1280 * 720, Rate(total, 2.0, gain))
    check_network(method, small.network, small.work.blocks)


@pytest.mark.parametrize("device", list(DEVICES))
def test_no_network_passes_the_bound(device: str) -> None:
    bounded = sized(config(max_compute=device, scale=2, preset="best"), 1920 * 1080)
    work = bounded.work
    for units, planes in ((work.units, 2), (work.plate_units, 6)):
        macs = weights(units, work.blocks, planes, 2, work.density) * 1920 * 1080 / 4
        assert macs <= DEVICES[device]


def test_the_bound_shrinks_nothing_that_fits() -> None:
    work = sized(config(max_compute=1e12, scale=2), 1280 * 720).work
    assert (work.units, work.blocks, work.plate_units) == (16, 3, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_kbps": 300, "lr_crf": 30}, "choose one of"),
        ({"target_kbps": 300, "target_psnr": 30}, "choose one of"),
        ({"target_kbps": float("nan")}, "choose 5 to"),
        ({"target_psnr": 99}, "choose 10 to 60"),
        ({"plate_quality": 0}, "choose 1 to 100"),
        ({"max_compute": "toaster"}, "phone-low"),
        ({"max_compute": -1.0}, "max_compute"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CrispcastError, match=message):
        config(**settings)


def test_a_bound_that_no_network_meets_is_refused() -> None:
    with pytest.raises(CrispcastError, match="too few for any network"):
        sized(config(max_compute=1e6, scale=2), 1280 * 720)


@pytest.mark.parametrize("codec", ["av1", "h264"])
def test_an_encode_keeps_to_its_target(tmp_path: Path, codec: Literal["av1", "h264"]) -> None:
    # Detail that no frame shares with the one before: no codec gets it for nothing.
    source = write_frames(tmp_path / "a.mp4", [texture(n, 160, 96) for n in range(30)])
    video = {}
    for target in (200.0, 480.0):
        result = encode(
            EncodeConfig(
                source,
                tmp_path / f"{target}.crisp",
                codec=codec,
                preset="fast",
                steps=30,
                threads=1,
                target_kbps=target,
            )
        )
        manifest = open_package(result.package).manifest
        assert manifest.rungs[0].codec == codec
        assert 0.5 * target < result.sizes.kbps(result.sizes.total, manifest) < 1.1 * target
        video[target] = result.sizes.video
        expected = read_survey(result.package / "report" / "survey.json")
        assert [curve.name for curve in expected] == ["scale 1", "scale 2"]
    assert video[480.0] > 1.5 * video[200.0]


def test_an_encode_whose_networks_turn_out_not_to_pay_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_frames(tmp_path / "a.mp4", passed_by(texture(1, 256, 192), 30))
    settings: dict[str, Any] = {"preset": "fast", "steps": 150, "threads": 1, "scale": 2}
    settings |= {"plates": "off", "target_kbps": 900, "store": tmp_path / "store"}
    kept = encode(EncodeConfig(source, tmp_path / "a.crisp", **settings))
    monkeypatch.setattr("overfit.choice.worth_as_video", lambda *_: 99.0)
    result = encode(EncodeConfig(source, tmp_path / "b.crisp", **settings))
    assert kept.sizes.plans > 0 == result.sizes.plans
    assert result.sizes.video > kept.sizes.video
    assert any("would not have paid" in note for note in result.notes)
    assert not kept.notes
    assert open_package(result.package).manifest.method.name == "none"


def test_a_target_that_no_rate_meets_is_refused(small_video: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"preset": "fast", "steps": 30, "threads": 1}
    with pytest.raises(CrispcastError, match="cannot be met"):
        encode(EncodeConfig(small_video, tmp_path / "a.crisp", target_kbps=5, **settings))
    with pytest.raises(CrispcastError, match="out of reach"):
        encode(EncodeConfig(small_video, tmp_path / "a.crisp", target_psnr=60, **settings))
    assert list(tmp_path.glob("*.crisp")) == []
