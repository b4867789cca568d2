"""Plain interpolation that networks are compared with, beside the client's own bicubic."""

import numpy as np
from PIL import Image

from overfit.metrics.psnr import U8, Planes


def lanczos(luma: U8, scale: int) -> U8:
    """Luma `[h, w]` enlarged to `[scale·h, scale·w]` by Pillow's Lanczos-3, half-pixel centres."""
    height, width = luma.shape
    image = Image.fromarray(luma)
    enlarged = image.resize((width * scale, height * scale), Image.Resampling.LANCZOS)
    return np.asarray(enlarged, dtype=np.uint8)


def lanczos_planes(planes: Planes, scale: int) -> Planes:
    """I420 planes enlarged by Lanczos-3, each plane by itself."""
    y, u, v = (lanczos(plane, scale) for plane in planes)
    return y, u, v
