"""`python -m benchmarks.rd`: what is kept, what is counted, and one small run of it all."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import rd
from benchmarks.rd_cache import Cache, Clip
from benchmarks.rd_figures import ClipCurves, figures
from benchmarks.rd_native import RIVALS, Cover, decoded, native_curve, native_stream
from benchmarks.rd_ours import Bench, OperatingPoint, OursPoint, dense_bytes, ladder
from benchmarks.rd_point import RdPoint
from kernels.compiler import compile_module, decode_plan
from kernels.errors import CrispcastError
from overfit.metrics import RatePoint
from overfit.networks import NetworkConfig, build
from overfit.video import read_frames

X264 = RIVALS[0]


@pytest.fixture(scope="module")
def clip(small_video: Path) -> Clip:
    return Clip.of(small_video)


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"value": len(made)}

    for _ in range(2):
        assert cache.get("kind", {"a": 1, "b": [2]}, make) == {"value": 1}
    assert cache.get("kind", {"a": 2, "b": [2]}, make) == {"value": 2}
    assert cache.find("kind", {"a": 3}) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"facts": {"a": 2}, "result": {"x": 1}}'])
def test_a_damaged_file_is_made_again(damage: bytes, tmp_path: Path) -> None:
    cache, facts = Cache(tmp_path), {"a": 1}
    cache.get("kind", facts, lambda: {"x": 1})
    cache.path("kind", facts).write_bytes(damage)
    assert cache.get("kind", facts, lambda: {"x": 5}) == {"x": 5}
    assert cache.find("kind", facts) == {"x": 5}


def test_a_work_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CrispcastError, match="--work"):
        Cache(tmp_path / "file").get("kind", {}, dict)


@pytest.mark.parametrize(("name", "weights"), [("default", 28_512), ("edsr-mobile", 21_600)])
def test_dense_bytes_are_those_of_the_network_that_was_trained(name: str, weights: int) -> None:
    plan = decode_plan(compile_module(build(NetworkConfig().shaped(name)), 2))
    method = {"units": 16, "plate_units": 8, "blocks": 3}
    named = method if name == "default" else {**method, "network": name}
    assert dense_bytes(named, plan) == 4 * weights


def test_rates_are_of_the_whole_clip(clip: Clip) -> None:
    # 30 frames at 25 a second of 224×192.
    assert clip.kbps(1500) == pytest.approx(1500 * 8 / 1000 / 1.2)
    assert clip.bits_per_pixel(1500) == pytest.approx(12000 / (224 * 192 * 30))


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.name)
def test_a_rival_codes_every_frame(rival: Any, clip: Clip, tmp_path: Path) -> None:
    stream = native_stream(Cache(tmp_path), clip, rival, rival.encoder.crfs[0])
    frames = list(decoded(stream.path, rival.encoder.container))
    assert len(frames) == clip.info.frames
    truth = next(read_frames(clip.path, clip.info))
    assert abs(frames[0][0].astype(int) - truth.y).mean() < 2  # the same codes, the same range
    file_bytes = stream.path.stat().st_size
    assert stream.size == file_bytes - (60 if rival.encoder.container == "obu" else 0)
    if rival.encoder.name == "x264":
        assert b"x264 - core" not in stream.path.read_bytes()


def test_constraints_are_those_of_webrtc(clip: Clip, tmp_path: Path) -> None:
    import av

    kinds = {}
    for rival in (r for r in RIVALS if r.encoder.name == "x265"):
        short = replace(clip, info=replace(clip.info, fps=clip.info.fps / 5))  # 10 frames are 2 s
        stream = native_stream(Cache(tmp_path), short, rival, 35)
        with av.open(str(stream.path), format="hevc") as file:
            pictures = [(int(p.pict_type), p.key_frame) for p in file.decode(video=0)]
        kinds[rival.constrained] = pictures
    assert [n for n, (_, key) in enumerate(kinds[True]) if key] == [0, 10, 20]
    assert all(kind in (1, 2) for kind, _ in kinds[True])
    assert any(kind == 3 for kind, _ in kinds[False])
    assert sum(key for _, key in kinds[False]) == 1


def test_a_curve_encloses_what_it_must(clip: Clip, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    seen: list[RdPoint] = []
    samples = clip.info.width * clip.info.height * clip.info.frames
    cover = Cover(0.02 * samples / 8, 0.06 * samples / 8, best=38)
    curve = native_curve(cache, clip, X264, cover, seen.append)
    assert len(curve) == len(seen) >= 3
    assert curve == sorted(curve, key=lambda p: p.size)
    at_the_end = curve[0].setting == f"crf {X264.encoder.crfs[-1]}"
    assert curve[0].size <= cover.smallest or at_the_end
    assert curve[-1].size >= cover.largest
    assert curve[-1].psnr_y >= cover.best
    assert native_curve(cache, clip, X264, cover) == curve


def test_a_damaged_stream_is_encoded_again(clip: Clip, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = native_stream(cache, clip, X264, 36)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:100])
    again = native_stream(cache, clip, X264, 36)
    assert again.path.read_bytes() == whole
    assert again.size == first.size


def ours_point(clip: Clip, size: int, psnr_y: float, **more: Any) -> OursPoint:
    figure: dict[str, float | None] = {"psnr_y": psnr_y, "vmaf_neg": 2 * psnr_y}
    point = OursPoint(
        point=OperatingPoint({"lr_crf": 30}),
        total=RdPoint.of(clip, "", size, figure),
        codec="h264",
        scale=2,
        video=RatePoint(size // 2, psnr_y - 3),
        plates=1,
        plan_bytes=1000,
        dense_bytes=28_000,
        seam_gap=0.01,
        still_share=0.9,
        seconds=12.0,
    )
    return replace(point, **more)


@pytest.mark.parametrize("own", [1, 2])
def test_plain_interpolation_is_measured_around_all_our_totals(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: int
) -> None:
    asked: list[dict[str, Any]] = []

    def ours(_: Bench, clip: Clip, point: OperatingPoint, vmaf: bool = True) -> OursPoint:
        asked.append(point.settings)
        size = round(100_000 / 1.1 ** point.settings["lr_crf"])
        return ours_point(clip, 2 * size, 30.0, scale=point.settings["scale"])

    monkeypatch.setattr(Bench, "ours", ours)
    points = [
        ours_point(clip, size, 35.0, codec="av1", scale=own, point=OperatingPoint({"preset": "p"}))
        for size in (400, 6000)
    ]
    curve = Bench(Cache(tmp_path), tmp_path).plain_curve(clip, points)
    rates = [point.rate for point in curve]
    assert min(rates) <= 400
    assert max(rates) >= 6000
    assert all(point["codec"] == "av1" for point in asked)
    assert all(point["scale"] == 2 for point in asked)
    assert all(point["method"] == "none" for point in asked)
    # What is as large as the source is no small video.
    assert (points[0].video in curve) == (own == 2)


def made_up(clip: Clip, **more: Any) -> ClipCurves:
    """Ours takes half the bytes of a rival that VMAF-NEG ranks the other way round."""
    ours = [ours_point(clip, 1000 * 2**n, 30.0 + n) for n in range(4)]
    native = [
        RdPoint.of(clip, "", 2000 * 2**n, {"psnr_y": 30.0 + n, "vmaf_neg": 90.0 + n})
        for n in range(4)
    ]
    plain = [RatePoint(500 * 2**n, 28.5 + n) for n in range(6)]
    return replace(ClipCurves(clip, ours, {"x265": native}, plain), **more)


def test_figures_of_made_up_curves(clip: Clip) -> None:
    found = figures([made_up(clip)])
    assert found["plates_bd_rate_x265"] == pytest.approx(-50)
    assert found["bd_rate_x265"] == pytest.approx(-50)
    assert found["plates_over_x265_db"] == pytest.approx(1)
    assert found["vmaf_agrees"] is False
    assert found["vmaf_agreement"] == {"small": {"x265": False}}
    assert found["plan_ratio"] == pytest.approx(28)
    assert found["plan_share"] == pytest.approx(1000 / (250_000 / 8 * 1.2))
    assert found["seam_gap"] == pytest.approx(0.01)
    assert found["encode_minutes_per_minute"] == pytest.approx(10)
    # At 1000 bytes plain interpolation has 29.5 dB where ours has 30.
    assert found["rd_violations"] == 0
    assert found["rd_margins_db"]["small"] == pytest.approx([0.5] * 4)


def test_what_is_worse_than_interpolation_is_counted(clip: Clip) -> None:
    better = [RatePoint(500 * 2**n, 29.5 + n) for n in range(6)]
    assert figures([made_up(clip, plain=better)])["rd_violations"] == 4


def test_a_missing_figure_has_its_reason(clip: Clip) -> None:
    found = figures([made_up(clip)])
    missing = [key for key, value in found.items() if value is None]
    assert {"moving_bd_rate_x265", "bd_rate_svtav1", "canvas_gain", "quant_loss"} <= {*missing}
    assert {*found["reasons"]} == {*missing}
    moving = made_up(clip, ours=[replace(p, still_share=0.2) for p in made_up(clip).ours])
    assert figures([moving])["moving_bd_rate_x265"] == pytest.approx(-50)


def test_a_folder_without_such_clips(tmp_path: Path, small_video: Path) -> None:
    with pytest.raises(CrispcastError, match="no folder"):
        rd.find_clips(tmp_path / "none", [])
    with pytest.raises(CrispcastError, match="no video"):
        rd.find_clips(tmp_path, [])
    with pytest.raises(CrispcastError, match=r"small\.mp4"):
        rd.find_clips(small_video.parent, ["juggle"])


def test_a_ladder_keeps_its_settings() -> None:
    points = ladder([36, 30], steps=5)
    assert [point.settings for point in points] == [
        {"lr_crf": 36, "steps": 5},
        {"lr_crf": 30, "steps": 5},
    ]
    assert points[0].but(method="none").name == "lr_crf 36, steps 5, method none"


def test_a_small_run(small_video: Path, tmp_path: Path) -> None:
    drawn = importlib.util.find_spec("matplotlib") is not None
    arguments = ["--clips", str(small_video.parent), "--only", "small", "--quick", "--steps", "20"]
    arguments += ["--crfs", "36", "28", "--work", str(tmp_path / "work"), "--threads", "1"]
    arguments += ["--json", str(tmp_path / "figures.json")]
    arguments += ["--plots", str(tmp_path)] if drawn else []
    assert rd.main(arguments) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["clips"] == ["small"]
    ours = found["curves"]["small"]["ours"]
    assert [point["point"]["lr_crf"] for point in ours] == [36, 28]
    assert all(point["total"]["size"] > point["video"]["bytes"] for point in ours)
    assert {*found["curves"]["small"]["natives"]} == {"x264", "x265", "svtav1"}
    assert found["encode_minutes_per_minute"] > 0
    assert not drawn or (tmp_path / "small.png").stat().st_size > 10_000
    # Again: nothing is encoded or measured, and the figures are the same.
    assert rd.main(arguments) == 0
    assert json.loads((tmp_path / "figures.json").read_text()) == found
