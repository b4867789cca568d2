"""XPSNR against its formula written out, and against ffmpeg's filter."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from overfit.metrics import LOSSLESS_DB, XpsnrReference, video_xpsnr, xpsnr_of
from overfit.vmaf import find_ffmpeg


def scene(number: int, height: int, width: int) -> np.ndarray:
    """Texture on the left, a gradient on the right; the middle moves."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rng = np.random.default_rng(5)
    wave = 120 + 60 * np.sin((x + 3 * number * (abs(x - width / 2) < width / 6)) / 4) * (
        x < width * 0.7
    )
    noise = rng.normal(0, 20, (height, width)) * (x < width / 3)
    return np.clip(wave + noise + y / height * 40, 0, 255).astype(np.uint8)


def worse(luma: np.ndarray, number: int) -> np.ndarray:
    rng = np.random.default_rng(100 + number)
    return np.clip(luma + rng.normal(0, 6, luma.shape), 0, 255).astype(np.uint8)


def test_equal_pictures() -> None:
    luma = scene(0, 64, 96)
    assert XpsnrReference(luma).xpsnr(luma) == LOSSLESS_DB


def test_flat_pictures_have_the_lowest_activity_everywhere() -> None:
    # a_k = 4 in every block, so WSSE = SSE · √(2048 / √share) / 4.
    height, width = 720, 1280
    flat = np.full((height, width), 100, np.uint8)
    share = height * width / (3840 * 2160)
    weight = math.sqrt(2048 / math.sqrt(share)) / 4
    expected = 10 * math.log10(255**2 / (9 * weight))
    assert XpsnrReference(flat).xpsnr(flat + 3) == pytest.approx(expected, abs=1e-6)


def test_an_error_hides_in_texture() -> None:
    luma = scene(0, 720, 1280)
    reference = XpsnrReference(luma)
    busy, calm = luma.copy(), luma.copy()
    busy[:, :300] ^= 4
    calm[:, 980:] ^= 4
    assert reference.xpsnr(busy) > reference.xpsnr(calm) + 3


def test_an_error_hides_in_motion() -> None:
    before, now = scene(0, 720, 1280), scene(5, 720, 1280)
    made = (now ^ 4).astype(np.uint8)
    assert XpsnrReference(now, [before]).xpsnr(made) > XpsnrReference(now).xpsnr(made)


def test_as_its_authors_define_it() -> None:
    """A block at a time, in plain arithmetic: HD, second frame, 25 frames a second."""
    height, width = 500, 660  # above 640×480, and no multiple of the block
    before, now = scene(0, height, width), scene(3, height, width)
    made = worse(now, 0)
    share = height * width / (3840 * 2160)
    block = 4 * int(32 * math.sqrt(share) + 0.5)
    o, p, r = (a.astype(int) for a in (now, before, made))
    wsse = 0.0
    for top in range(0, height, block):
        for left in range(0, width, block):
            ys = range(top, min(top + block, height))
            xs = range(left, min(left + block, width))
            high = [
                abs(
                    12 * o[y, x]
                    - 2 * (o[y - 1, x] + o[y + 1, x] + o[y, x - 1] + o[y, x + 1])
                    - (o[y - 1, x - 1] + o[y - 1, x + 1] + o[y + 1, x - 1] + o[y + 1, x + 1])
                )
                for y in ys
                for x in xs
                if 0 < y < height - 1 and 0 < x < width - 1
            ]
            part = np.s_[ys.start : ys.stop, xs.start : xs.stop]
            activity = sum(high) / len(high) + 2 * np.abs(o[part] - p[part]).mean()
            wsse += ((o[part] - r[part]) ** 2).sum() / max(4, activity)
    wsse *= math.sqrt(2048 / math.sqrt(share))
    found = XpsnrReference(now, [before]).xpsnr(made)
    assert found == pytest.approx(xpsnr_of(wsse, height * width), abs=1e-4)


@pytest.mark.parametrize(
    "height, width, fps",
    [(720, 1280, 25), (480, 640, 25), (200, 312, 25), (720, 1280, 60), (1440, 2560, 25)],
)
def test_as_ffmpeg_computes_it(height: int, width: int, fps: int, tmp_path: Path) -> None:
    ffmpeg = find_ffmpeg().path
    if ffmpeg is None:
        pytest.skip(f"XPSNR: {find_ffmpeg().reason}")
    filters = subprocess.run(
        [ffmpeg, "-hide_banner", "-filters"], capture_output=True, text=True, check=True
    )
    if " xpsnr " not in filters.stdout:
        pytest.skip("this ffmpeg has no xpsnr filter")
    truth = [scene(n, height, width) for n in range(4)]
    made = [worse(luma, n) for n, luma in enumerate(truth)]
    chroma = np.full((height // 2) * (width // 2) * 2, 128, np.uint8).tobytes()
    command = [ffmpeg, "-v", "error"]
    for name, frames in (("made", made), ("truth", truth)):
        (tmp_path / name).write_bytes(b"".join(luma.tobytes() + chroma for luma in frames))
        command += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
        command += ["-r", f"{fps}", "-i", name]
    command += ["-lavfi", "[1:v][0:v]xpsnr=stats_file=log", "-f", "null", "-"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = re.findall(r"XPSNR y: *([\d.]+)", (tmp_path / "log").read_text())
    assert len(found) >= 4
    # ffmpeg counts the change from black into the first frame; the second difference needs two.
    for n in range(2, 4):
        ours = XpsnrReference(truth[n], [truth[n - 1], truth[n - 2]], fps).xpsnr(made[n])
        assert ours == pytest.approx(float(found[n]), abs=2e-4)


def test_frames_together() -> None:
    assert video_xpsnr([40.0, 40.0]) == pytest.approx(40)
    # √WSSE of 20 and 40 dB are 0.1 and 0.01: their mean is 0.055.
    assert video_xpsnr([20.0, 40.0]) == pytest.approx(-20 * math.log10(0.055))


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        XpsnrReference(scene(0, 64, 96)).xpsnr(scene(0, 64, 64))
