"""Draws the README's picture: one crop as bicubic shows it, as a viewer sees it, and the truth.

python -m benchmarks.picture NAME.crisp --source VIDEO --frame 120 -o docs/side-by-side.jpg
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from client_sdk.contract import open_package
from client_sdk.upscaler import Upscaler
from kernels.runtime import Engine
from overfit.measurement import check_source, paired_frames
from overfit.metrics import Planes, RgbConversion, psnr_y

CROP = (400, 400)
_MARGIN = 24


def best_crop(truth: Planes, network: Planes, plain: Planes) -> tuple[int, int]:
    """Left and top of the crop, on a grid of 80, where the network gains most over bicubic."""
    target = truth[0].astype(np.int32)
    saved = (plain[0] - target) ** 2 - (network[0] - target) ** 2
    height, width = saved.shape
    places = [
        (x, y)
        for y in range(0, max(1, height - CROP[1] + 1), 80)
        for x in range(0, max(1, width - CROP[0] + 1), 80)
    ]
    return max(places, key=lambda p: int(saved[p[1] : p[1] + CROP[1], p[0] : p[0] + CROP[0]].sum()))


def main() -> None:
    """Find the frame, crop it, write the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("package", type=Path)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--frame", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    package = open_package(options.package)
    info = check_source(package, options.source)
    upscaler = Upscaler.of_package(package)
    colour = package.manifest.source.colour
    to_rgb = RgbConversion(colour.matrix, colour.range == "full")
    for truth, low in paired_frames(package, 0, info):
        network = upscaler.upscale(truth.number, low.planes).planes
        if truth.number == options.frame:
            break
    y, u, v = Engine().upscale(low.planes, upscaler.rung.scale)
    height, width = truth.y.shape
    plain = (
        y[:height, :width],
        u[: (height + 1) // 2, : (width + 1) // 2],
        v[: (height + 1) // 2, : (width + 1) // 2],
    )
    left, top = best_crop(truth.planes, network, plain)
    columns = [("bicubic", plain), ("Crispcast", network), ("source", truth.planes)]
    picture = Image.new("RGB", (CROP[0] * 3, CROP[1] + _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    for index, (name, planes) in enumerate(columns):
        crop = to_rgb(planes)[top : top + CROP[1], left : left + CROP[0]]
        picture.paste(Image.fromarray(crop), (index * CROP[0], _MARGIN))
        db = "" if name == "source" else f", {psnr_y(truth.y, planes[0]):.1f} dB on the frame"
        draw.text((index * CROP[0] + 6, 6), f"{name}{db}", fill="black")
    picture.save(options.out, optimize=True, quality=85)


if __name__ == "__main__":
    main()
