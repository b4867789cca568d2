"""The report as one self-contained HTML page: tables, a plot over time, patch maps, crops."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from client_sdk.contract import Package
from overfit.measurement import METHODS, Measurement, Picture
from overfit.metrics import PROTOCOLS, U8, Planes, RgbConversion

_COLOURS = {"network": "#d6336c", "bicubic": "#1c7ed6", "lanczos": "#868e96"}
# Expert 0 stays uncoloured; the rest go round.
_EXPERT_COLOURS = ("#d6336c", "#f59f00", "#37b24d", "#1c7ed6", "#7048e8", "#0ca678")
_CROP = 160

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;
padding:0 1rem;color:#212529}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right}
th{border-bottom:1px solid #adb5bd}td:first-child,th:first-child{text-align:left}
figure{margin:1rem 0}img,svg{max-width:100%}figcaption{color:#495057}
.crops{display:flex;flex-wrap:wrap;gap:.5rem}.crops figure{margin:0}.crops img{width:320px;
image-rendering:pixelated}
"""


def render_page(
    package: Package, rung_index: int, document: dict[str, Any], measured: Measurement
) -> str:
    """The HTML of a report; `document` is that of report.json."""
    colour = package.manifest.source.colour
    to_rgb = RgbConversion(colour.matrix, colour.range == "full")
    title = html.escape(f"{document['name']}, rung {document['rung']}")
    parts = [
        f"<h1>{title}</h1>",
        "<p>Whole frames, every frame, nothing shaved; on the decoded low-resolution video. "
        "PSNR in dB. Network: bit for bit what a viewer sees.</p>",
        _quality_table(document),
        _protocol_table(document),
        _bytes_table(document),
        "<h2>Over time</h2>",
        _plot(document),
        _segment_table(document),
        "<h2>Patch maps</h2>",
        *(_map_figure(package, rung_index, picture, to_rgb) for picture in measured.pictures),
        "<h2>Side by side</h2>",
        *(_crops(picture, to_rgb) for picture in measured.pictures),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + line("th", head) + "".join(line("td", row) for row in rows) + "</table>"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _quality_table(document: dict[str, Any]) -> str:
    head = (
        "",
        "PSNR-Y",
        "PSNR-RGB",
        "SSIM",
        "XPSNR",
        "flicker",
        "VMAF-NEG",
        "seam gap",
        "seam step",
    )
    columns = (
        "psnr_y",
        "psnr_rgb",
        "ssim",
        "xpsnr",
        "flicker",
        "vmaf_neg",
        "seam_gap",
        "seam_step",
    )
    digits = {"ssim": 4, "seam_gap": 3, "seam_step": 3}
    rows = [
        (method, *(_number(figures[column], digits.get(column, 2)) for column in columns))
        for method, figures in document["methods"].items()
    ]
    note = ""
    if document["vmaf_missing"]:
        note = f"<p>No VMAF-NEG: {html.escape(document['vmaf_missing'])}.</p>"
    meanings = (
        "<p>Flicker: RMS change of the error from frame to frame where the source stands still "
        f"({100 * document['still_share']:.0f} % of the picture), in codes of 8 bits; less is "
        "better. Seam gap and step: what borders between patches add to the error beside them and "
        "to its jumps, in dB; above 0, seams. Bicubic knows no patches: what it reads is noise.</p>"
    )
    return _table(head, rows) + meanings + note


def _protocol_table(document: dict[str, Any]) -> str:
    """PSNR by the protocols of papers; figures of different columns do not compare."""
    kinds = [(name, colour) for name in PROTOCOLS for colour in ("luma", "rgb")]
    head = ("PSNR by protocol", *(f"{name} {colour}" for name, colour in kinds))
    rows = [
        (method, *(_number(figures["protocols"][name][colour]) for name, colour in kinds))
        for method, figures in document["methods"].items()
    ]
    return _table(head, rows)


def _bytes_table(document: dict[str, Any]) -> str:
    per_kbps = document["kbps_total"] / document["bytes"]["total"]
    rows = [(name, f"{size}", f"{size * per_kbps:.1f}") for name, size in document["bytes"].items()]
    note = "<p>The total is the picture's: all but audio, each plan and plate once.</p>"
    return _table(("", "bytes", "kb/s"), rows) + note


def _segment_table(document: dict[str, Any]) -> str:
    rows = []
    for index, segment in enumerate(document["segments"]):
        figures = [_number(segment[method]["psnr_y"]) for method in METHODS]
        last = segment["start"] + segment["frames"] - 1
        rows.append((f"{index}", f"{segment['start']}–{last}", *figures))
    return _table(("segment", "frames", *(f"PSNR-Y {method}" for method in METHODS)), rows)


def _plot(document: dict[str, Any], width: int = 1000, height: int = 300) -> str:
    """PSNR-Y of every frame as an SVG; dashed lines where segments start."""
    series = {method: document["per_frame"][method]["psnr_y"] for method in METHODS}
    values = [value for line in series.values() for value in line]
    low, high = np.floor(min(values)), np.ceil(max(values))
    high = max(high, low + 1)
    frames = max(document["frames"] - 1, 1)
    left, bottom = 40, 20

    def x(frame: float) -> float:
        return float(left + frame / frames * (width - left - 10))

    def y(value: float) -> float:
        return float((high - value) / (high - low) * (height - bottom - 10) + 10)

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="PSNR-Y of every frame">']
    step = max(1, round((high - low) / 6))
    for level in np.arange(low, high + 1, step):
        parts.append(
            f'<path d="M{left} {y(level):.1f}H{width - 10}" stroke="#dee2e6"/>'
            f'<text x="{left - 6}" y="{y(level) + 4:.1f}" text-anchor="end" font-size="11">'
            f"{level:.0f}</text>"
        )
    for segment in document["segments"]:
        parts.append(
            f'<path d="M{x(segment["start"]):.1f} 10V{height - bottom}" stroke="#ced4da" '
            'stroke-dasharray="3 3"/>'
        )
    for index, (method, line) in enumerate(series.items()):
        points = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in enumerate(line))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLOURS[method]}"/>'
            f'<text x="{left + 10 + index * 90}" y="{height - 4}" font-size="12" '
            f'fill="{_COLOURS[method]}">{method}</text>'
        )
    return "".join([*parts, "</svg>"])


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _jpeg(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _map_figure(package: Package, rung_index: int, picture: Picture, to_rgb: RgbConversion) -> str:
    """The patches over a frame; a patch's colour is its expert, none is interpolation."""
    manifest = package.manifest
    segment = manifest.segment_of(picture.frame_number)
    scale = manifest.rungs[rung_index].scale
    patches = package.patch_map(rung_index, segment).patches()
    image = Image.fromarray(to_rgb(picture.truth))
    draw = ImageDraw.Draw(image, "RGBA")
    for x, y, width, height, expert in patches.tolist():
        box = (x * scale, y * scale, (x + width) * scale - 1, (y + height) * scale - 1)
        fill = _EXPERT_COLOURS[(expert - 1) % len(_EXPERT_COLOURS)] + "50" if expert else None
        draw.rectangle(box, fill=fill, outline="#ffffff80")
    image.thumbnail((1000, 1000))
    area = patches[:, 2] * patches[:, 3]
    covered = int(area[patches[:, 4] > 0].sum() * 100 / area.sum())
    caption = f"segment {segment}, frame {picture.frame_number}: networks on {covered} % of it"
    return f'<figure><img src="{_jpeg(image)}" alt=""><figcaption>{caption}</figcaption></figure>'


def _crops(picture: Picture, to_rgb: RgbConversion) -> str:
    """Where the network gains most over bicubic, and where it gains least."""
    gains = _gain_by_tile(picture)
    best = np.unravel_index(int(gains.argmax()), gains.shape)
    worst = np.unravel_index(int(gains.argmin()), gains.shape)
    pictures: dict[str, Planes] = {"source": picture.truth, **picture.made}
    rgb: dict[str, U8] = {name: to_rgb(planes) for name, planes in pictures.items()}
    rows = []
    for title, (row, column) in (("largest gain", best), ("least gain", worst)):
        y, x = int(row) * _CROP, int(column) * _CROP
        figures = "".join(
            f'<figure><img src="{_png(Image.fromarray(image[y : y + _CROP, x : x + _CROP]))}" '
            f'alt=""><figcaption>{name}</figcaption></figure>'
            for name, image in rgb.items()
        )
        where = f"frame {picture.frame_number}, {title} over bicubic, at {x}, {y}"
        rows.append(f"<h3>{where}</h3><div class='crops'>{figures}</div>")
    return "".join(rows)


def _gain_by_tile(picture: Picture) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Squared error saved over bicubic in each whole tile of `_CROP` samples."""
    truth = picture.truth[0].astype(np.int32)
    saved = (picture.made["bicubic"][0] - truth) ** 2 - (picture.made["network"][0] - truth) ** 2
    rows, columns = (max(1, side // _CROP) for side in truth.shape)
    gains = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            tile = saved[row * _CROP : (row + 1) * _CROP, column * _CROP : (column + 1) * _CROP]
            gains[row, column] = tile.sum()
    return gains
