"""Proves an install in seconds: a video goes in, its own frames come out, larger and no worse."""

from pathlib import Path

import numpy as np

import crispcast
from client_sdk.contract import open_package
from client_sdk.upscaler import Upscaler
from overfit.metrics import psnr_y
from overfit.video import probe, read_frames, read_rung
from tests.overfit.making import write_video


def test_a_video_goes_the_whole_way(tmp_path: Path) -> None:
    source = write_video(tmp_path / "tiny.mp4", width=96, height=64, frames=6)

    result = crispcast.encode(source, tmp_path / "tiny.crisp", preset="fast", steps=4, threads=1)

    package = open_package(result.package)
    upscaler = Upscaler.of_package(package)
    truth = list(read_frames(source, probe(source)))
    seen = [
        upscaler.upscale(frame.number, frame.planes).planes
        for frame in read_rung(package.video_path(0))
    ]
    assert [planes[0].shape for planes in seen] == [(64, 96)] * 6
    psnr = np.mean([psnr_y(a.y, b[0]) for a, b in zip(truth, seen, strict=True)])
    # What the encoder measured is what the client shows, to the last bit.
    assert psnr == result.quality.psnr_y
    # Experts that do not pay are not used, so it is never worse than interpolation.
    assert result.quality.psnr_y >= result.quality.psnr_y_bicubic
