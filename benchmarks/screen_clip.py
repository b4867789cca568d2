"""Draws a recording of a screen: coloured text that stands still, some that moves.

    an editor with coloured code │ a page with links and a chart      still
    a pointer that wanders, a caret that blinks                       small, moving
    a terminal that scrolls a line at a time, a line being typed      moving

The colours are those of screens: saturated, a pixel wide, where chroma of a quarter smears most.
"""

import math
import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 25, 8

_INK = ("#569cd6", "#4ec9b0", "#c586c0", "#ce9178", "#dcdcaa", "#6a9955", "#d4d4d4", "#f44747")
_WORDS = (
    "for", "while", "return", "frame", "colour", "plate", "import", "class", "segment", "stream",
    "patch", "weights", "luma", "chroma", "screen", "window", "number", "range", "width", "rows",
)  # fmt: skip
_TERMINAL = (680, 470, 1260, 700)
"""Left, top, right, bottom."""
_LINE = 17
"""Pixels from a line of text to the next."""


def make_clip(path: Path, seconds: float = SECONDS) -> None:
    """Write the clip to `path` as an MP4 of very high quality (x264, CRF 8)."""
    font, small = ImageFont.load_default(15), ImageFont.load_default(13)
    desk = _desk(font)
    lines = _Lines(random.Random(2))
    with av.open(str(path), "w") as container:
        options = {"crf": "8", "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * FPS)):
            picture = desk.copy()
            _terminal(picture, small, lines, number)
            _pointer(picture, number)
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class _Lines:
    """Lines of coloured words, each the same however often it is asked for."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._known: list[list[tuple[str, str]]] = []

    def __getitem__(self, index: int) -> list[tuple[str, str]]:
        while len(self._known) <= index:
            count = self._rng.randint(3, 7)
            self._known.append(
                [(self._rng.choice(_WORDS), self._rng.choice(_INK)) for _ in range(count)]
            )
        return self._known[index]


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    words: list[tuple[str, str]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    x, y = place
    for word, ink in words:
        draw.text((x, y), word, fill=ink, font=font)
        x += draw.textlength(word + " ", font=font)


def _desk(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    """What stands still."""
    desk = Image.new("RGB", (WIDTH, HEIGHT), "#2d3440")
    draw = ImageDraw.Draw(desk)
    lines = _Lines(random.Random(1))
    draw.rectangle((20, 30, 650, 700), fill="#1e1e1e")
    draw.rectangle((20, 10, 650, 30), fill="#0a64a4")
    for row in range(36):
        indent = 40 + 24 * (row * 7 % 4)
        _write(draw, (indent, 36 + 18 * row), lines[row], font)
    draw.rectangle((680, 30, 1260, 450), fill="#ffffff")
    draw.rectangle((680, 10, 1260, 30), fill="#8a3ab9")
    for row in range(9):
        ink = "#0645ad" if row % 3 else "#b00020"
        _write(draw, (695, 40 + 19 * row), [(word, ink) for word, _ in lines[40 + row]], font)
    for bar, ink in enumerate(_INK):
        top = 420 - 20 * (1 + bar * 5 % 8)
        draw.rectangle((700 + 68 * bar, top, 745 + 68 * bar, 430), fill=ink, outline="#101010")
    return desk


def _terminal(
    desk: Image.Image,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    lines: _Lines,
    number: int,
) -> None:
    """Text that scrolls by a line every fifth of a second, a last line that is being typed."""
    left, top, right, bottom = _TERMINAL
    window = Image.new("RGB", (right - left, bottom - top), "#101418")
    draw = ImageDraw.Draw(window)
    rows = (bottom - top) // _LINE
    newest, part = divmod(number, 5)
    for row in range(rows):
        words = lines[newest + row]
        typed = words[: 1 + part] if row == rows - 1 else words
        _write(draw, (8, row * _LINE), typed, font)
    if number // 12 % 2:
        draw.rectangle((right - left - 20, 4, right - left - 12, 16), fill="#ff5f56")
    desk.paste(window, (left, top))


def _pointer(desk: Image.Image, number: int) -> None:
    x = 640 + 520 * math.sin(number * 0.031)
    y = 340 + 290 * math.sin(number * 0.047)
    shape = [(0, 0), (0, 20), (5, 16), (9, 24), (12, 22), (8, 15), (15, 15)]
    points = [(x + dx, y + dy) for dx, dy in shape]
    ImageDraw.Draw(desk).polygon(points, fill="#ffffff", outline="#000000")
