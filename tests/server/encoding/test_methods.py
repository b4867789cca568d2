"""Every method from a video to the frames that a viewer sees."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client_sdk.contract import Package, open_package
from client_sdk.contract.patch_map import PatchMap
from client_sdk.play_options import PlayOptions
from client_sdk.session import play_async
from kernels.compiler import base_of
from kernels.errors import CrispcastError
from overfit.measurement import measure
from overfit.package import read_settings
from overfit.trial import SegmentErrors
from server.encoding import EncodeConfig, encode
from server.encoding.assembly import _paying, _renamed
from tests.overfit.making import texture, write_frames
from tests.server.serving import serving
from tests.server.test_play import PATIENCE, offline

METHODS = ["awdnn", "nas", "cafm", "jstdo", "dydca", "auto"]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """256x192, 60 frames in two segments: detail that moves beside what is flat."""
    world = texture(5, 400, 192).copy()
    world[:144, :260] = 90  # a patch and a half high
    path = tmp_path_factory.mktemp("videos") / "moving.mp4"
    return write_frames(path, [world[:, n : n + 256] for n in range(60)])


def settings(video: Path, output: Path, method: str) -> EncodeConfig:
    return EncodeConfig(
        video,
        output,
        method=method,
        base="none",
        plates="off",
        preset="fast",
        lr_crf=24.0,
        steps=50,
        threads=1,
    )


@pytest.fixture(scope="module")
def packages(video: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """One of each method."""
    folder = tmp_path_factory.mktemp("packages")
    made = {}
    for method in METHODS:
        config = settings(video, folder / f"{method}.crisp", method)
        made[method] = open_package(encode(config).package)
    return made


@pytest.mark.parametrize("method", METHODS)
def test_what_is_told_is_what_a_viewer_sees(
    packages: dict[str, Package], video: Path, method: str
) -> None:
    package = packages[method]
    quality = package.manifest.quality
    assert quality is not None
    told = np.mean([segment.psnr_y for segment in quality])
    plain = np.mean([segment.psnr_y_bicubic for segment in quality])
    scores = measure(package, video, vmaf=False).scores
    for segment, figures in zip(package.manifest.segments, quality, strict=True):
        found = scores.mean("network", "psnr_y", segment.start, segment.end)
        assert found is not None
        assert round(found, 2) == figures.psnr_y
    assert told > plain + 0.2
    name = package.manifest.method.name
    assert name == method if method != "auto" else name in ("awdnn", "stdo", "jstdo", "dydca")


@pytest.mark.parametrize("method", ["cafm", "dydca"])
def test_a_play_shows_what_was_measured(
    packages: dict[str, Package], tmp_path: Path, method: str
) -> None:
    package = packages[method]
    path = package.manifest.name
    folder = next(place.path for place in package.places.values()).parents[1]
    out = tmp_path / "played.y4m"

    async def run() -> None:
        async with serving(folder) as served, asyncio.timeout(PATIENCE):
            stats = await play_async(f"{served.url}/whep/{path}", PlayOptions(out=out))
            assert (stats.frames, stats.frames_interpolated) == (60, 0)
            await served.viewers.all_gone.wait()

    asyncio.run(run())
    assert out.read_bytes() == offline(package, tmp_path / "offline.y4m")


@pytest.mark.parametrize("method", ["cafm", "dydca"])
def test_a_segment_lists_the_base_of_its_differences(
    packages: dict[str, Package], method: str
) -> None:
    package = packages[method]
    differences = 0
    for segment in package.manifest.rungs[0].segments:
        for sha256 in segment.experts:
            base = base_of(package.asset(sha256))
            if base is not None:
                differences += 1
                assert any(other.startswith(base.hex()) for other in segment.experts)
    assert differences


def test_dydca_splits_patches(packages: dict[str, Package]) -> None:
    package = packages["dydca"]
    maps: list[PatchMap] = [package.patch_map(0, index) for index in range(2)]
    assert any(isinstance(cell, tuple) for each in maps for cell in each.experts)


def test_quarters_take_their_experts_one_by_one() -> None:
    network = np.array([[1, 9, 1, 9, 9]])
    trial = SegmentErrors(network, np.full((1, 5), 5), np.array([5])).judged(100)
    pays = trial.pays.tolist()
    cells = _paying([(1, 2, 2, 1), 2], pays)
    assert cells == [(1, 0, 2, 0), 0]
    assert _renamed((1, 1, 2, 1), {1: 5, 2: 5}) == 5


def test_a_second_encode_finds_the_experts_of_a_shared_network(
    packages: dict[str, Package], video: Path, tmp_path: Path
) -> None:
    config = settings(video, tmp_path / "again.crisp", "cafm")
    assert {"chunks", "experts", "trial"} <= set(encode(config).reused)


@pytest.mark.parametrize(("method", "scale"), [("jstdo", 2), ("dydca", 4)])
def test_a_network_by_name_goes_all_the_way(
    video: Path, tmp_path: Path, method: str, scale: int
) -> None:
    config = EncodeConfig(
        video,
        tmp_path / "named.crisp",
        method=method,
        network="edsr-mobile+branches",
        scale=scale,
        steps=20,
        threads=1,
    )
    result = encode(config)
    assert read_settings(result.package)["network"] == "edsr-mobile+branches"
    assert result.quality.psnr_y >= result.quality.psnr_y_bicubic


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"chunks": 16, "method": "nas"}, "choose at most 2"),
        ({"chunks": 16, "method": "stdo"}, "16 chunks of 8 patches"),
        ({"chunks": 5, "method": "stdo"}, "chunks of one patch"),
        ({"chunks": 2, "method": "dydca"}, "leave chunks out"),
        ({"chunks": 2, "method": "awdnn"}, "leave chunks out"),
        ({"chunks": 1, "method": "jstdo"}, "with one it is awdnn"),
        ({"method": "magic"}, "choose from none, awdnn"),
        ({"network": "resnet"}, "choose from default, espcn"),
        ({"network": "espcn", "method": "dydca"}, "choose a network of wdsr or edsr"),
        ({"network": "espcn", "target_kbps": 100.0}, "leave network out"),
        ({"network": "espcn", "max_compute": "phone"}, "leave network or max_compute out"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_training(
    video: Path, tmp_path: Path, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CrispcastError, match=sentence) as refused:
        encode(EncodeConfig(video, tmp_path / "no.crisp", plates="off", threads=1, **wrong))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "no.crisp").exists()
