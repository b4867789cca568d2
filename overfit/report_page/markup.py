"""Pieces of HTML: tables, figures, pictures inside the page."""

import base64
import html
import io
from collections.abc import Sequence

from PIL import Image

escape = html.escape


def table(head: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> str:
    """A table of text; `what` names it for who cannot see it. Wide ones scroll by themselves."""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    inner = line("th", head) + "".join(line("td", row) for row in rows)
    return scrolling(f"<table>{inner}</table>", what)


def scrolling(content: str, what: str) -> str:
    """What may be wider than the page; the keyboard reaches it."""
    label = escape(what)
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{content}</div>'


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float) -> str:
    """dB with their sign."""
    return f"{value:+.2f} dB".replace("-", "−")


def png(image: Image.Image) -> str:
    """An address that holds the picture, bit for bit."""
    return _inside(image, "png", {"optimize": True})


def jpeg(image: Image.Image, longest: int = 1280) -> str:
    """An address that holds the picture, smaller where it is longer than that."""
    small = image.copy()
    small.thumbnail((longest, longest))
    return _inside(small, "jpeg", {"quality": 82})


def _inside(image: Image.Image, kind: str, options: dict[str, int | bool]) -> str:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
