"""`benchmarks.minute_clip`: the test clips as one video."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.minute_clip import CLIPS, FPS, HEIGHT, WIDTH, make_clip
from kernels.errors import CrispcastError
from overfit.video import probe


@pytest.fixture
def clips(small_video: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in CLIPS[:-1]:
        shutil.copy(small_video, folder / f"a_{name}_clip.mp4")
    return folder


def test_a_clip_is_as_long_as_was_asked_for_though_its_parts_are_shorter(
    clips: Path, small_video: Path, tmp_path: Path
) -> None:
    shutil.copy(small_video, clips / "bbb.mp4")  # shorter than its title card: nothing is left
    make_clip(clips, tmp_path / "made.mp4", 5)
    made = probe(tmp_path / "made.mp4")
    assert (made.width, made.height, made.frames) == (WIDTH, HEIGHT, 5 * FPS)
    assert float(made.fps) == FPS
    assert made.frames > 3 * probe(small_video).frames  # so it began anew


def test_a_missing_clip_is_named(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(CrispcastError, match="no clip with bbb"):
        make_clip(clips, tmp_path / "made.mp4", 1)
    assert not (tmp_path / "made.mp4").exists()
