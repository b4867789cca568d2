"""Plates on the wire: monochrome, full-range AVIF of the padded HR frame or of regions of it.

Chroma is such an AVIF too, U above V, for every machine to decode it to the same samples: browsers
and Pillow give colour pictures as RGB only.

Format: docs/manifest.md.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from client_sdk.contract.bounds import MAX_PLATE_BYTES
from kernels.errors import PackageError

Region: TypeAlias = tuple[int, int, int, int]
"""x, y, width and height in samples of the HR frame."""

ABSENT = 128
"""The code of a plate where there is none (docs/plan-format.md)."""
NO_COLOUR = 0
"""The code of U, and here of V, where a plate has no chroma (docs/chroma.md)."""


def compose(
    pieces: Iterable[tuple[Region | None, NDArray[np.uint8]]], width: int, height: int
) -> NDArray[np.uint8]:
    """A plate u8 [height, width] of its pieces, later ones over earlier ones; no region: all."""
    luma = np.full((height, width), ABSENT, np.uint8)
    for region, piece in pieces:
        x, y, w, h = region or (0, 0, width, height)
        luma[y : y + h, x : x + w] = piece
    return luma


def compose_chroma(
    pieces: Iterable[tuple[Region | None, NDArray[np.uint8]]], width: int, height: int
) -> NDArray[np.uint8]:
    """U and V u8 [2, height / 2, width / 2] of pieces [2, h / 2, w / 2], as `compose` does.

    Regions and sizes are of the luma, and even.
    """
    chroma = np.full((2, height // 2, width // 2), NO_COLOUR, np.uint8)
    for region, piece in pieces:
        x, y, w, h = (side // 2 for side in region or (0, 0, width, height))
        chroma[:, y : y + h, x : x + w] = piece
    return chroma


def decode_chroma(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """U and V u8 [2, height / 2, width / 2] of a plate's chroma; the size is the luma's, and even.

    Raises PackageError as `decode_plate`.
    """
    return decode_plate(data, width // 2, height).reshape(2, height // 2, width // 2)


def decode_plate(data: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """The luma [height, width] u8 of a plate.

    Raises PackageError where the bytes are not a monochrome AVIF of exactly that size. The size
    is read before a pixel is decoded, so a bomb is refused unopened.
    """
    if len(data) > MAX_PLATE_BYTES:
        raise PackageError(f"a plate of {len(data)} bytes passes {MAX_PLATE_BYTES}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["AVIF"]) as image:
                if image.size != (width, height):
                    raise PackageError(
                        f"the plate is {image.size[0]}x{image.size[1]}, not {width}x{height}"
                    )
                if getattr(image, "n_frames", 1) != 1:
                    raise PackageError("the plate is an animation, not a still picture")
                image.load()
                luma = np.asarray(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, RuntimeError) as error:
        raise PackageError(f"the plate is not an AVIF that this machine reads: {error}") from None
    except Image.DecompressionBombError as error:
        raise PackageError(f"the plate is too large: {error}") from None
    if luma.ndim == 3:
        # Older Pillow opens monochrome AVIF as RGB; grey is then the same in all three.
        if luma.shape[2] != 3 or np.any(luma[..., :1] != luma):
            raise PackageError("the plate is not monochrome")
        luma = luma[..., 0]
    if luma.dtype != np.uint8 or luma.shape != (height, width):
        raise PackageError(f"the plate decodes to {luma.dtype} {luma.shape}")
    return np.ascontiguousarray(luma)
