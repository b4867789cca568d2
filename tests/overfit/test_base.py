"""A base is trained on many clips; an expert that starts from it is far on its way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kernels.compiler import compile_module, decode_plan
from kernels.errors import CrispcastError
from overfit.base import BaseConfig, clips_in, train_base
from overfit.base_footage import FootageConfig, base_footage
from overfit.inference import upscale
from overfit.networks import NetworkConfig, build, start_from
from overfit.training import train
from tests.overfit.making import passed_by, texture, write_frames, write_video
from tests.overfit.test_training import NETWORK, config, make_data, psnr


def test_clips_of_any_size_become_one_data_set(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.mp4", width=128, height=96, frames=10)
    large = write_video(tmp_path / "b.mkv", width=194, height=130, frames=5)
    footage = FootageConfig(crfs=(20.0, 40.0), frames=6)
    data = base_footage([small, large], 2, footage, plates=False)
    assert data.lr.shape == (2 * 6 + 2 * 5, 48, 64)
    assert data.hr.shape == (22, 96, 128)
    assert data.previous[[0, 6, 12, 17]].tolist() == [0, 6, 12, 17]
    # The second section has another CRF: the same clip, another error.
    errors = [np.abs(data.lr[n].astype(int) - data.hr[n, ::2, ::2]).mean() for n in (1, 7)]
    assert errors[1] > errors[0]


def test_a_clip_whose_camera_stands_has_its_plate(tmp_path: Path) -> None:
    still = texture(1, 256, 192)
    path = write_frames(tmp_path / "still.mp4", passed_by(still))
    panning = write_video(tmp_path / "pan.mp4", width=256, height=192, frames=50)
    footage = FootageConfig(crfs=(30.0,), frames=8)
    data = base_footage([path, panning], 2, footage, plates=True)
    assert len(data.plates) == 1
    assert data.plate_of is not None
    assert set(data.plate_of[:8]) == {0}
    assert set(data.plate_of[8:]) == {-1}
    plate = data.plates[0]
    assert isinstance(plate, np.ndarray)
    assert psnr(plate[100:], still[100:]) > 25


def test_a_base_is_a_plan_from_which_a_few_steps_are_enough() -> None:
    data = make_data()
    told: list[str] = []
    base_config = BaseConfig(steps=120, prune_steps=60)
    wire = train_base(data, base_config, lambda part, step, psnr: told.append(part))
    assert set(told) == {"dense", "pruned"}
    base = decode_plan(wire)
    quality = {}
    for name, start in (("base", base), ("scratch", None)):
        settings = config(steps=15)
        settings = settings if start is None else settings.from_base()
        trained = train(data, base_config.network, settings, base=start)
        assert trained.density == pytest.approx(0.25, abs=0.03)
        quality[name] = psnr(upscale(trained.network, data.lr[5], data.lr[4]), data.hr[5])
    assert quality["base"] > quality["scratch"] + 1


def test_an_expert_starts_as_its_base() -> None:
    first = build(NETWORK)
    base = decode_plan(compile_module(first, 2, reorder=False))
    second = build(NETWORK)
    start_from(second, base)
    data = make_data()
    pictures = [upscale(network, data.lr[3], data.lr[2]) for network in (first, second)]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1


@pytest.mark.parametrize(
    "other",
    [
        NetworkConfig(units=12, blocks=1),
        NetworkConfig(units=8, blocks=2),
        NetworkConfig(units=8, blocks=1, scale=3),
        NetworkConfig(units=8, blocks=1, inputs=("luma",)),
    ],
)
def test_a_base_of_another_shape_is_refused(other: NetworkConfig) -> None:
    base = decode_plan(compile_module(build(other), other.scale, reorder=False))
    with pytest.raises(CrispcastError, match="train another base"):
        start_from(build(NETWORK), base)


def test_clips_are_found_in_folders_and_left_out_by_name(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mkv", "notes.txt"):
        (tmp_path / name).touch()
    assert [clip.name for clip in clips_in([tmp_path])] == ["a.mkv", "b.mp4"]
    assert [clip.name for clip in clips_in([tmp_path], "b.")] == ["a.mkv"]
    with pytest.raises(CrispcastError, match="leave out another"):
        clips_in([tmp_path], "nothing")
    with pytest.raises(CrispcastError, match="no video is left"):
        clips_in([tmp_path / "notes.txt"])
