"""A window that shows the played frames, by SDL (pygame-ce): a frame costs a few milliseconds.

Tk, which comes with Python, takes longer than a frame lasts to show one of 720p.
"""

from __future__ import annotations

import os
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from client_sdk.contract.manifest import Manifest
from client_sdk.picture import fill
from client_sdk.sinks import WindowClosed
from client_sdk.upscaler import Planes
from kernels.errors import StreamError


class WindowSink:
    """Frames in a window. All calls must come from one thread; closing the window ends the play.

    Raises StreamError where there is no SDL or no display.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._pygame = _open_display()
        source = manifest.source
        self._surface: Any = self._pygame.display.set_mode((source.width, source.height))
        self._pygame.display.set_caption(f"Crispcast: {manifest.name}")
        self._colour = source.colour

    def video(self, position: int, planes: Planes) -> None:
        """Show a frame. Raises WindowClosed once it was closed."""
        if self._pygame.event.get(self._pygame.QUIT):
            raise WindowClosed("the window was closed")
        self._pygame.event.pump()
        rgb = _rgb(planes, self._colour.matrix, self._colour.range == "full")
        picture = self._pygame.image.frombuffer(rgb, (rgb.shape[1], rgb.shape[0]), "RGB")
        self._surface.blit(picture, (0, 0))
        self._pygame.display.flip()

    def audio(self, frame: av.AudioFrame) -> None:
        """A window has no sound."""

    def close(self) -> None:
        """Close the window. Safe to call twice."""
        self._pygame.display.quit()


def check_display() -> None:
    """Raise StreamError at once where a window cannot be opened."""
    _open_display().display.quit()


def _open_display() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError:
        raise StreamError(
            "a window needs SDL: pip install crispcast[client], or use --out"
        ) from None
    try:
        pygame.display.init()
    except pygame.error as error:
        raise StreamError(f"there is no display for a window ({error}): use --out") from None
    driver = pygame.display.get_driver()
    if driver in ("dummy", "offscreen") and os.environ.get("SDL_VIDEODRIVER") != driver:
        # SDL's own last resort: it would play to nobody.
        pygame.display.quit()
        raise StreamError("there is no display for a window: use --out")
    return pygame


def _rgb(planes: Planes, matrix: int, full: bool) -> NDArray[np.uint8]:
    """[h, w, 3] u8 RGB of I420 planes, by swscale with the source's matrix (ITU-T H.273)."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width + width % 2, height + height % 2, "yuv420p")
    fill(frame, planes)
    frame.colorspace = matrix if matrix in (1, 5, 6) else 1
    frame.color_range = 2 if full else 1
    rgb = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return np.ascontiguousarray(rgb[:height, :width])
