"""What many tests need: real clips where they are, one small encode, a store of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from client_sdk.contract import Package, open_package
from tests.client_sdk.tiny import write_tiny
from tests.overfit.making import write_video

# On a busy machine any example may take longer than the fifth of a second that it is given else.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")


@pytest.fixture(scope="session", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Encodes of tests keep their artefacts here, not in the user's store."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRISPCAST_STORE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips (CRISPCAST_CLIPS)."""
    folder = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    if not folder.is_dir():
        pytest.skip(f"no clips at {folder}; CRISPCAST_CLIPS says where they are")
    return folder


@pytest.fixture(scope="session")
def small_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """224×192, 30 frames, with sound: four patches at scale 2."""
    path = tmp_path_factory.mktemp("videos") / "small.mp4"
    return write_video(path, width=224, height=192, frames=30, audio=1.0)


@pytest.fixture(scope="session")
def small_package(small_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_video` encoded with two experts, a few steps each."""
    from server.encoding import EncodeConfig, encode

    target = tmp_path_factory.mktemp("packages") / "small.crisp"
    config = EncodeConfig(
        small_video, target, chunks=2, preset="fast", steps=40, lr_crf=36, threads=1
    )
    encode(config)
    return target


@pytest.fixture
def package_copy(small_package: Path, tmp_path: Path) -> Path:
    """A copy of `small_package` to break, without the report that another test may have written."""
    ignored = shutil.ignore_patterns("report")
    return Path(shutil.copytree(small_package, tmp_path / "small.crisp", ignore=ignored))


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny package, written by hand once."""
    return write_tiny(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> Package:
    """The tiny package, opened."""
    return open_package(tiny_path)


@pytest.fixture(scope="session")
def tiny_av1_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny package with a rung in AV1."""
    return write_tiny(tmp_path_factory.mktemp("packages"), codec="av1")


@pytest.fixture(params=["h264", "av1"])
def either_path(request: pytest.FixtureRequest) -> Path:
    """The tiny package, in each codec that rungs have."""
    name = {"h264": "tiny_path", "av1": "tiny_av1_path"}[request.param]
    path: Path = request.getfixturevalue(name)
    return path


@pytest.fixture
def tiny_copy(tiny_path: Path, tmp_path: Path) -> Path:
    """A copy of the tiny package to break."""
    return Path(shutil.copytree(tiny_path, tmp_path / tiny_path.name))
