"""Odd input makes a package that plays and is no worse than interpolation, or one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from client_sdk.contract import open_package
from client_sdk.contract.patch_map import FILE_HEADER
from client_sdk.upscaler import Upscaler
from kernels import bases
from kernels.errors import CrispcastError
from overfit.training import _Run
from overfit.training_config import TrainingConfig
from overfit.video import read_rung
from server.encoding import EncodeConfig, EncodeResult, encode
from tests.overfit.making import picture, texture, write_frames, write_interlaced

WIDTH, HEIGHT = 96, 64
U8 = NDArray[np.uint8]


def flat(code: int) -> U8:
    return np.full((HEIGHT, WIDTH), code, np.uint8)


def noise() -> list[U8]:
    codes = np.random.default_rng(5).integers(0, 256, (20, HEIGHT, WIDTH))
    return list(codes.astype(np.uint8))


def shaken() -> list[U8]:
    large = texture(9, 2 * WIDTH, 2 * HEIGHT)
    shifts = np.random.default_rng(6).integers(0, 33, (30, 2))
    return [large[y : y + HEIGHT, x : x + WIDTH] for x, y in shifts]


def fade() -> list[U8]:
    return [(16 + (texture(1) - 16.0) * n / 59).astype(np.uint8) for n in range(60)]


def many_patches() -> list[U8]:
    """Segments enough for two chunks, as each has one patch."""
    return 3 * [texture(n) for n in range(60)]


VIDEOS: dict[str, Callable[[], Sequence[U8]]] = {
    "two frames": lambda: [picture(n, WIDTH, HEIGHT) for n in range(2)],
    "shorter than a segment": lambda: [picture(n, WIDTH, HEIGHT) for n in range(12)],
    "black": lambda: [flat(16)] * 30,
    "noise": noise,
    "still": lambda: [texture(1)] * 30,
    "a flash every frame": lambda: [texture(1) if n % 2 else flat(250) for n in range(30)],
    "a cut every frame": lambda: [texture(n) for n in range(60)],
    "a slow fade": fade,
    "a camera that shakes": shaken,
}

RATES: dict[str, dict[str, Any]] = {
    "crf": {"lr_crf": 36.0},
    "kbps": {"target_kbps": 150.0},
    "psnr": {"target_psnr": 24.0},
}

SENTENCES = {"kbps": "cannot be met", "psnr": "out of reach"}


def config(source: Path, **changes: Any) -> EncodeConfig:
    settings: dict[str, Any] = {"preset": "fast", "steps": 20, "threads": 1}
    return EncodeConfig(source, source.with_name("a.crisp"), **(settings | changes))


def check(result: EncodeResult, frames: int) -> None:
    """The package is whole, plays, is no worse than interpolation, and its bytes add up."""
    package = open_package(result.package, verify=True)
    assert package.manifest.source.frames == frames
    assert result.quality.psnr_y >= result.quality.psnr_y_bicubic - 0.01
    sizes = result.sizes
    # Nobody downloads the header of the file of maps, nor what is there for the report.
    apart = result.package / "report"
    files = [f for f in result.package.rglob("*") if f.is_file() and apart not in f.parents]
    assert sizes.total + len(FILE_HEADER) == sum(file.stat().st_size for file in files)
    upscaler = Upscaler.of_package(package, 0, 1)
    shown = 0
    for frame in read_rung(package.path / package.manifest.rungs[0].file):
        made = upscaler.upscale(frame.number, (frame.y, frame.u, frame.v))
        assert made.planes[0].shape == (HEIGHT, WIDTH)
        assert not made.late
        shown += 1
    assert shown == frames


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("video", VIDEOS)
def test_odd_input_is_encoded_or_refused_in_a_sentence(
    tmp_path: Path, video: str, rate: str
) -> None:
    frames = VIDEOS[video]()
    source = write_frames(tmp_path / "odd.mp4", frames)
    refusal = ""
    try:
        result = encode(config(source, **RATES[rate]))
    except CrispcastError as error:
        refusal = str(error)
    else:
        check(result, len(frames))
    if refusal:
        assert rate in SENTENCES
        assert SENTENCES[rate] in refusal
        assert "; ask for" in refusal
        assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.mp4"]


def test_interlaced_video_is_made_whole_and_that_is_told(tmp_path: Path) -> None:
    source = write_interlaced(tmp_path / "odd.mkv", range(0, 480, 40))
    result = encode(config(source, method="none"))
    check(result, 12)
    assert any("interlaced" in note for note in result.notes)
    whole = write_frames(tmp_path / "even.mp4", [picture(4 * n, WIDTH, HEIGHT) for n in range(12)])
    like = encode(config(whole, method="none", force=True))
    assert not like.notes
    assert result.sizes.video < 1.1 * like.sizes.video
    assert result.quality.psnr_y == pytest.approx(like.quality.psnr_y, abs=1)


def test_the_smallest_target_is_a_package_or_a_sentence_that_tells_the_bytes(
    tmp_path: Path,
) -> None:
    source = write_frames(tmp_path / "odd.mp4", noise())
    with pytest.raises(CrispcastError, match=r"5 kb/s cannot be met.* bytes.*; ask for more"):
        encode(config(source, target_kbps=5.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.mp4"]


@pytest.mark.parametrize("rate", ["crf", "kbps"])
def test_a_budget_of_one_second_is_a_package(tmp_path: Path, rate: str) -> None:
    source = write_frames(tmp_path / "odd.mp4", many_patches())
    settings = config(source, steps=1_000_000, chunks=2, budget=1.0, **RATES[rate])
    check(encode(settings), 180)


def test_budgets_have_results_of_their_own(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "odd.mp4", VIDEOS["shorter than a segment"]())
    encode(config(source))
    shutil.rmtree(tmp_path / "a.crisp")
    bound = encode(config(source, budget=5.0))
    assert "expert-0" not in bound.reused
    assert "rung" in bound.reused
    shutil.rmtree(tmp_path / "a.crisp")
    assert "expert-0" not in encode(config(source, budget=6.0)).reused


def diverge(monkeypatch: pytest.MonkeyPatch, which: Callable[[TrainingConfig], bool]) -> None:
    """The trainings that `which` names take steps that no network survives."""
    usual = _Run._rate
    monkeypatch.setattr(_Run, "_rate", lambda run: 1e30 if which(run.config) else usual(run))


@pytest.mark.parametrize("rate", ["kbps", "psnr"])
def test_a_survey_that_diverges_asks_interpolation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: str
) -> None:
    diverge(monkeypatch, lambda training: not training.codes)
    source = write_frames(tmp_path / "odd.mp4", VIDEOS["a slow fade"]())
    target = {"kbps": {"target_kbps": 150.0}, "psnr": {"target_psnr": 20.0}}[rate]
    check(encode(config(source, store=tmp_path / "store", **target)), 60)


def test_difficulty_that_diverges_asks_interpolation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge(monkeypatch, lambda training: training.pruning.dense)
    source = write_frames(tmp_path / "odd.mp4", many_patches())
    result = encode(config(source, chunks=2, store=tmp_path / "store"))
    assert result.to_json()["experts"] > 0
    check(result, 180)


def test_experts_that_diverge_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverge(monkeypatch, lambda _: True)
    source = write_frames(tmp_path / "odd.mp4", VIDEOS["shorter than a segment"]())
    with pytest.raises(CrispcastError, match=r"diverged twice.*--seed"):
        encode(config(source, store=tmp_path / "store"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.mp4", "store"]


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_budgets_are_refused(tmp_path: Path, budget: float) -> None:
    with pytest.raises(CrispcastError, match="choose above 0"):
        config(tmp_path / "odd.mp4", budget=budget)


def test_short_budgets_begin_at_a_base_as_few_steps_do(tmp_path: Path) -> None:
    source = tmp_path / "odd.mp4"
    assert config(source, steps=None, budget=10.0).bases == bases.shipped() != ()
    assert config(source, steps=None, budget=10.0, base="none").bases == ()
    assert config(source, steps=None, budget=60.0).bases == ()
    assert config(source, steps=None, budget=60.0, chunks=5).bases == bases.shipped()


def test_shares_of_a_budget_add_up_to_it(tmp_path: Path) -> None:
    for settings in ({}, {"chunks": 3}, {"target_kbps": 100.0, "chunks": 2}, {"method": "none"}):
        shares = config(tmp_path / "odd.mp4", budget=60.0, **settings).shares
        experts = config(tmp_path / "odd.mp4", **settings).experts
        assert shares.expert is not None
        taken = (shares.survey or 0) + (shares.chunks or 0) + max(1, experts) * shares.expert
        assert taken == pytest.approx(60.0)
