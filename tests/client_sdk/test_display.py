"""The window shows each frame in its colours until it is closed; without a screen it says so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from client_sdk.contract import Package
from client_sdk.display import WindowSink, check_display
from client_sdk.sinks import WindowClosed
from kernels.errors import StreamError
from tests.client_sdk.tiny import HEIGHT, WIDTH

pygame = pytest.importorskip("pygame", reason="pygame-ce is missing: pip install pygame-ce")


@pytest.fixture
def window(tiny: Package, monkeypatch: pytest.MonkeyPatch) -> Iterator[WindowSink]:
    """A window of SDL's dummy driver: all of SDL but the screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    sink = WindowSink(tiny.manifest)
    yield sink
    sink.close()


def plain(y: int, u: int, v: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    half = (HEIGHT + 1) // 2, (WIDTH + 1) // 2
    return (
        np.full((HEIGHT, WIDTH), y, np.uint8),
        np.full(half, u, np.uint8),
        np.full(half, v, np.uint8),
    )


@pytest.mark.parametrize(
    "codes, colour",
    [
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        # Red of BT.709, limited range (ITU-R BT.709-6, section 3).
        ((63, 102, 240), (255, 0, 0)),
    ],
)
def test_a_frame_is_shown_in_its_colours(
    window: WindowSink, codes: tuple[int, int, int], colour: tuple[int, int, int]
) -> None:
    window.video(0, plain(*codes))
    surface = pygame.display.get_surface()
    assert surface.get_size() == (WIDTH, HEIGHT)
    corners = [surface.get_at(at)[:3] for at in ((0, 0), (WIDTH - 1, HEIGHT - 1))]
    assert np.abs(np.array(corners, int) - colour).max() <= 3


def test_closing_the_window_ends_the_play(window: WindowSink) -> None:
    window.video(0, plain(16, 128, 128))
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(WindowClosed):
        window.video(1, plain(16, 128, 128))


def test_without_a_display_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StreamError, match="--out"):
        check_display()
