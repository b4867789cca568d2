"""What an encode puts into a package, and what a changed setting makes it do again."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from client_sdk.contract import open_package
from kernels import bases
from kernels.compiler import decode_plan
from kernels.errors import CrispcastError
from overfit.measurement import check_source, measure
from overfit.package import read_settings
from overfit.training_config import TrainingConfig
from overfit.video import read_frames
from server.encoding import EncodeConfig, encode
from server.encoding.rates import parse_bitrate
from tests.overfit.making import passed_by, texture, write_frames, write_video

DOES_NOT_LEARN = {"probe", "segments", "audio", "truth", "rung", "low"}


@pytest.fixture(scope="module")
def base(small_video: Path, tmp_path_factory: pytest.TempPathFactory) -> EncodeConfig:
    config = EncodeConfig(
        small_video,
        tmp_path_factory.mktemp("base") / "a.crisp",
        preset="fast",
        steps=40,
        plates="off",
        threads=1,
        force=True,
    )
    encode(config)
    return config


def test_what_a_minute_of_video_cost_is_told(base: EncodeConfig) -> None:
    result = replace(encode(base), seconds=6.0)  # of 30 frames at 25 a second
    assert result.minutes_per_minute == pytest.approx(6 / 1.2)
    assert result.to_json()["minutes_per_minute"] == pytest.approx(5)
    assert f"5 minutes a minute of video, {len(result.reused)} jobs found" in result.summary()


def rerun(config: EncodeConfig, tmp_path: Path, **changes: object) -> set[str]:
    """The jobs that an encode with these changes finds done."""
    return set(encode(replace(config, output=tmp_path / "b.crisp", **changes)).reused)  # type: ignore[arg-type]


def test_the_same_again_is_found_done(base: EncodeConfig, tmp_path: Path) -> None:
    assert rerun(base, tmp_path) >= DOES_NOT_LEARN | {"chunks", "plates", "expert-0", "trial"}


def test_the_same_again_decodes_no_video(
    base: EncodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("overfit.video.source.open_source", None)  # nobody calls it
    rerun(base, tmp_path, max_compute=1e12)


def test_other_training_reuses_the_video(base: EncodeConfig, tmp_path: Path) -> None:
    reused = rerun(base, tmp_path, steps=41)
    assert reused >= DOES_NOT_LEARN
    assert "expert-0" not in reused


def test_another_pruning_reuses_the_video_and_shapes_the_plans(
    base: EncodeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With fewer bits a tap's weights may all round to zero, and it is left out.
    monkeypatch.setattr(TrainingConfig, "bits", 8)
    changes: dict[str, Any] = {"pattern": "channels", "schedule": "grow", "density": 0.25}
    config = replace(base, output=tmp_path / "c.crisp", **changes)
    result = encode(config)
    assert set(result.reused) >= DOES_NOT_LEARN
    assert "expert-0" not in result.reused
    settings = read_settings(result.package)
    assert {key: settings[key] for key in changes} == changes
    for path in (config.output / "plans").iterdir():
        plan = decode_plan(path.read_bytes())
        assert plan.density == 1
        assert plan.table.layers[0].cout == base.work.units // 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"pattern": "n:m", "density": 0.3}, "multiple of 0.25"),
        ({"pattern": "kernels", "density": 0.5}, "up to 0.444"),
        ({"pattern": "stars"}, "choose taps"),
        ({"schedule": "never"}, "choose cubic"),
        ({"pattern": "channels", "allocation": "erk"}, "choose allocation uniform"),
    ],
)
def test_pruning_that_fits_no_expert_is_refused_before_any_work(
    base: EncodeConfig, tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    store = tmp_path / "store"
    with pytest.raises(CrispcastError, match=says):
        encode(replace(base, output=tmp_path / "d.crisp", store=store, **wrong))
    assert list(tmp_path.iterdir()) == []


def test_a_named_base_of_another_shape_is_refused_before_any_work(
    base: EncodeConfig, tmp_path: Path
) -> None:
    [plate] = [path for path in bases.shipped() if "plate" in path.name]
    with pytest.raises(CrispcastError, match=r"x2-plate.plan: the base is for scale 2, .* plate"):
        encode(replace(base, output=tmp_path / "d.crisp", store=tmp_path / "s", base=str(plate)))
    assert not list(tmp_path.glob("s/objects/*/*"))
    assert not (tmp_path / "d.crisp").exists()


def test_experts_of_either_precision_are_measured_alike(base: EncodeConfig, tmp_path: Path) -> None:
    found = {}
    for precision in ("int8", "fp32"):
        config = replace(base, output=tmp_path / f"{precision}.crisp", precision=precision)
        package = open_package(encode(config).package)
        plans = [decode_plan(path.read_bytes()) for path in (config.output / "plans").iterdir()]
        assert all(plan.table.coded == (precision == "int8") for plan in plans)
        quality = package.manifest.quality
        assert quality is not None
        found[precision] = quality[0].psnr_y
    assert found["int8"] == pytest.approx(found["fp32"], abs=0.1)


def test_another_rung_reuses_the_source(base: EncodeConfig, tmp_path: Path) -> None:
    reused = rerun(base, tmp_path, lr_crf=40, method="none")
    assert reused == {"probe", "segments", "audio"}


def test_the_same_encode_gives_the_same_bytes(base: EncodeConfig, tmp_path: Path) -> None:
    encode(replace(base, output=tmp_path / "a.crisp", store=tmp_path / "store"))
    files = [path for path in base.output.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        twin = tmp_path / "a.crisp" / path.relative_to(base.output)
        assert twin.read_bytes() == path.read_bytes(), path.name


def test_the_manifest_says_what_was_measured(small_video: Path, small_package: Path) -> None:
    package = open_package(small_package)
    measured = measure(package, small_video, vmaf=False)
    quality = package.manifest.quality
    assert quality is not None
    for segment, figures in zip(package.manifest.segments, quality, strict=True):
        for method, told in (("network", figures.psnr_y), ("bicubic", figures.psnr_y_bicubic)):
            found = measured.scores.mean(method, "psnr_y", segment.start, segment.end)
            assert found is not None
            assert round(found, 2) == told


def test_sound_goes_along(small_package: Path) -> None:
    manifest = open_package(small_package).manifest
    assert manifest.audio is not None
    assert manifest.audio.channels == 2


def test_settings_lie_beside_the_report(small_package: Path) -> None:
    assert open_package(small_package).manifest.method.name == "stdo"
    settings = read_settings(small_package)
    assert settings["method"] == "stdo"
    assert settings["chunks"] == 2
    assert settings["lr_crf"] == 36


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", frames=4, aspect=Fraction(4, 3))
    result = encode(
        EncodeConfig(source, tmp_path / "a.crisp", method="none", store=tmp_path / "s", threads=1)
    )
    assert result.notes == (
        "the video's pixels are 4:3 and were made square: the picture is 128x64",
    )
    package = open_package(result.package)
    manifest = package.manifest
    assert (manifest.source.width, manifest.source.height) == (128, 64)
    with av.open(str(package.path / manifest.rungs[0].file)) as container:
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)
    info = check_source(package, source)
    assert (info.width, info.height) == (128, 64)
    # As packages were of such a video before.
    size = manifest.source.model_copy(update={"width": 96})
    earlier = replace(package, manifest=manifest.model_copy(update={"source": size}))
    frame = next(read_frames(source, check_source(earlier, source)))
    assert frame.y.shape == (64, 96)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_odd_sizes_at_every_scale(tmp_path: Path, scale: int) -> None:
    source = write_video(tmp_path / "odd.mkv", width=161, height=99, frames=4, pix_fmt="yuv444p")
    config = EncodeConfig(source, tmp_path / "odd.crisp", scale=scale, steps=2, threads=1)
    package = open_package(encode(config).package)
    measured = measure(package, source, vmaf=False, shown=(3,))
    y, u, _ = measured.pictures[0].made["network"]
    assert y.shape == (99, 161)
    assert u.shape == (50, 81)


def test_a_still_camera_gets_a_plate(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "still.mp4", passed_by(texture(1, 256, 192)))
    settings: dict[str, Any] = {
        "preset": "fast",
        "steps": 30,
        "base": "none",
        "lr_crf": 40,
        "threads": 1,
    }
    with_plate = encode(EncodeConfig(source, tmp_path / "a.crisp", **settings))
    without = encode(EncodeConfig(source, tmp_path / "b.crisp", plates="off", **settings))
    kinds = {asset.kind for asset in with_plate.manifest.assets.values()}
    assert kinds == {"plan", "plate"}
    assert with_plate.sizes.plates > 0
    assert without.sizes.plates == 0
    assert with_plate.quality.psnr_y > without.quality.psnr_y + 1


def test_refined_plates_are_better_and_keep_their_chroma(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    u, v = ((60 + texture(seed, 128, 96) // 2).astype(np.uint8) for seed in (2, 3))
    source = write_frames(tmp_path / "colour.mp4", passed_by(texture(1, 256, 192)), (u, v))
    made = []
    for most in (0, 30):
        monkeypatch.setattr("server.encoding.config._REFINING", most)
        output = tmp_path / f"{most}.crisp"
        settings = EncodeConfig(
            source, output, preset="fast", steps=300, base="none", lr_crf=36, threads=1
        )
        made.append(encode(settings))
    plain, refined = made
    assert {"plates", "expert-0", "chroma"} <= set(refined.reused)
    assert refined.sizes.plates <= plain.sizes.plates
    assert refined.quality.psnr_y > plain.quality.psnr_y + 0.2
    pieces = [plate for result in made for plate in result.manifest.rungs[0].plates]
    assert [p.sha256 for p in pieces[0]] != [p.sha256 for p in pieces[1]]
    assert [p.chroma for p in pieces[0]] == [p.chroma for p in pieces[1]] != [None]


def test_a_still_place_in_colour_gets_its_chroma(tmp_path: Path) -> None:
    # Colours two samples wide, which a rung of half the size cannot hold.
    coarse = [texture(seed, 128, 96).astype(int) for seed in (2, 3)]
    u, v = ((60 + codes // 2).astype(np.uint8) for codes in coarse)
    v[:, 64:] = 128
    u[:, 64:] = 128
    source = write_frames(tmp_path / "colour.mp4", passed_by(texture(1, 256, 192)), (u, v))
    settings: dict[str, Any] = {
        "preset": "fast",
        "steps": 30,
        "base": "none",
        "lr_crf": 36,
        "threads": 1,
    }
    on = encode(EncodeConfig(source, tmp_path / "a.crisp", **settings))
    off = encode(EncodeConfig(source, tmp_path / "b.crisp", chroma="off", **settings))
    assert {"plates", "expert-0"} <= set(off.reused)
    assert on.sizes.chroma > off.sizes.chroma == 0
    assert (on.manifest.version, off.manifest.version) == ("1.3", "1.2")
    assert (on.sizes.video, on.sizes.plates) == (off.sizes.video, off.sizes.plates)
    assert on.quality == off.quality  # of the luma
    packages = [open_package(result.package) for result in (on, off)]
    psnr = [measure(p, source, vmaf=False).scores.mean("network", "psnr_rgb") for p in packages]
    assert psnr[0] is not None
    assert psnr[1] is not None
    assert psnr[0] > psnr[1] + 2


def test_a_camera_that_pans_gets_a_canvas(tmp_path: Path) -> None:
    world = cv2.GaussianBlur(texture(1, 520, 300).astype(np.float32), (0, 0), 0.8)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    frames = []
    for number in range(60):
        there = np.array([(1.0, 0, 5 + 3.3 * number), (0, 1, 10 + 0.7 * number)])
        luma = np.clip(cv2.warpAffine(world, there, (256, 192), flags=flags), 0, 255)
        frames.append(luma.astype(np.uint8))
    source = write_frames(tmp_path / "pan.mp4", frames)
    settings: dict[str, Any] = {"preset": "fast", "steps": 60, "lr_crf": 40, "threads": 1}
    on = encode(EncodeConfig(source, tmp_path / "a.crisp", **settings))
    off = encode(EncodeConfig(source, tmp_path / "b.crisp", canvas="off", **settings))
    canvases = [a.canvas for a in on.manifest.assets.values() if a.canvas is not None]
    assert len(canvases) == 1
    assert canvases[0][0] > 256 + 150
    assert 0 < on.sizes.motion < 8 * 60
    assert off.sizes.plates == off.sizes.motion == 0
    assert on.quality.psnr_y > off.quality.psnr_y + 1
    # What is delivered piece by piece is what was measured.
    package = open_package(on.package)
    assert all(part.motion is not None for part in package.manifest.rungs[0].segments)


@pytest.mark.parametrize(
    ("text", "bitrate"), [("250k", 250_000), ("1.5M", 1_500_000), ("64000", 64_000)]
)
def test_bit_rates_are_read(text: str, bitrate: int) -> None:
    assert parse_bitrate(text) == bitrate


@pytest.mark.parametrize("text", ["", "k", "-1k", "fast", "nan", "inf", "1e999"])
def test_other_bit_rates_are_refused(text: str) -> None:
    with pytest.raises(CrispcastError, match="250k"):
        parse_bitrate(text)
