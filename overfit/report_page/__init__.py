"""The report as one self-contained HTML page: pictures, style and script are inside it.

tables and ledger   this module     charts   over time, rate and distortion, the ledger's bar
maps over a frame   `maps`          crops    truth, network, bicubic, with a slider
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from client_sdk.contract import Package
from overfit.measurement import METHODS, Measurement
from overfit.metrics import PROTOCOLS, RgbConversion
from overfit.rd_curves import OURS, Curve
from overfit.report_page.charts import bytes_bar, over_time, rate_distortion
from overfit.report_page.crops import choose, crops
from overfit.report_page.maps import Assets, frame_maps, plates
from overfit.report_page.markup import escape, number, table

__all__ = ["render_page"]

_DIGITS = {"ssim": 4, "seam_gap": 3, "seam_step": 3}


def render_page(
    package: Package,
    rung_index: int,
    document: dict[str, Any],
    measured: Measurement,
    curves: Sequence[Curve] = (),
) -> str:
    """The HTML of a report; `document` is that of report.json, `curves` those of its clip."""
    source = package.manifest.source
    to_rgb = RgbConversion(source.colour.matrix, source.colour.range == "full")
    title = escape(f"{document['name']}, rung {document['rung']}")
    patches = [
        measured.patches[package.manifest.segment_of(picture.frame_number)]
        for picture in measured.pictures
    ]
    shown = zip(measured.pictures, patches, strict=True)
    assets = Assets(package, rung_index)
    chosen = choose(measured.pictures, patches, package.manifest.rungs[rung_index].scale)
    series = {method: document["per_frame"][method]["psnr_y"] for method in METHODS}
    starts = [segment["start"] for segment in document["segments"]]
    parts = [
        f"<h1>{title}</h1>",
        "<p>Whole frames, every frame, nothing shaved; on the decoded low-resolution video. "
        "PSNR in dB. Network: bit for bit what a viewer sees.</p>",
        "<h2>Quality</h2>",
        _quality_table(document),
        _protocol_table(document),
        "<h2>Bytes</h2>",
        bytes_bar(document["bytes"]),
        _bytes_table(document),
        "<h2>Rate and distortion</h2>",
        _rate_distortion(document, curves),
        "<h2>Over time</h2>",
        over_time(series, starts, float(1 / source.rate)),
        _segment_table(document),
        "<h2>Maps over a frame</h2>",
        *(frame_maps(assets, picture, segment, to_rgb) for picture, segment in shown),
        "<h2>Plates</h2>",
        plates(assets),
        "<h2>Patches that gain most, and least</h2>",
        crops(chosen, to_rgb),
    ]
    body = "\n".join(parts)
    here = files(__name__)
    style, script = ((here / name).read_text("utf-8") for name in ("page.css", "page.js"))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{style}</style></head><body>{body}<script>{script}</script></body></html>\n"
    )


def _quality_table(document: dict[str, Any]) -> str:
    columns = {
        "psnr_y": "PSNR-Y",
        "psnr_rgb": "PSNR-RGB",
        "ssim": "SSIM",
        "xpsnr": "XPSNR",
        "flicker": "flicker",
        "vmaf_neg": "VMAF-NEG",
        "seam_gap": "seam gap",
        "seam_step": "seam step",
    }
    rows = [
        (method, *(number(figures[column], _DIGITS.get(column, 2)) for column in columns))
        for method, figures in document["methods"].items()
    ]
    note = ""
    if document["vmaf_missing"]:
        note = f"<p>No VMAF-NEG: {escape(document['vmaf_missing'])}.</p>"
    meanings = (
        "<p>Flicker: RMS change of the error from frame to frame where the source stands still "
        f"({100 * document['still_share']:.0f} % of the picture), in codes of 8 bits; less is "
        "better. Seam gap and step: what borders between patches add to the error beside them and "
        "to its jumps, in dB; above 0, seams. Bicubic knows no patches: what it reads is noise.</p>"
    )
    return table(("", *columns.values()), rows, "Quality of the whole video") + meanings + note


def _protocol_table(document: dict[str, Any]) -> str:
    """PSNR by the protocols of papers; figures of different columns do not compare."""
    kinds = [(name, colour) for name in PROTOCOLS for colour in ("luma", "rgb")]
    head = ("PSNR by protocol", *(f"{name.replace('_', ' ')} {colour}" for name, colour in kinds))
    rows = [
        (method, *(number(figures["protocols"][name][colour]) for name, colour in kinds))
        for method, figures in document["methods"].items()
    ]
    return table(head, rows, "PSNR by the protocols of papers")


def _bytes_table(document: dict[str, Any]) -> str:
    total = document["bytes"]["total"]
    rows = [
        (
            name,
            f"{size}",
            f"{size * document['kbps_total'] / total:.1f}",
            "–" if name == "audio" else f"{100 * size / total:.1f}",
        )
        for name, size in document["bytes"].items()
    ]
    note = "<p>The total is the picture's: all but audio, each plan and plate once.</p>"
    return table(("", "bytes", "kb/s", "% of the total"), rows, "Byte ledger") + note


def _rate_distortion(document: dict[str, Any], curves: Sequence[Curve]) -> str:
    if not curves:
        return (
            "<p>No curves were given: <code>python -m benchmarks.rd --json FILE</code> measures "
            "them, <code>crispcast report --curves FILE</code> shows them here.</p>"
        )
    drawn = rate_distortion(curves, document["kbps_total"], document["psnr_y"])
    if any(curve.name == OURS for curve in curves):
        return drawn
    return drawn + (
        "<p>What the encode's survey expected of some segments and a small network, before plans; "
        "the ring is what became of it.</p>"
    )


def _segment_table(document: dict[str, Any]) -> str:
    rows = []
    for index, segment in enumerate(document["segments"]):
        figures = [number(segment[method]["psnr_y"]) for method in METHODS]
        last = segment["start"] + segment["frames"] - 1
        rows.append((f"{index}", f"{segment['start']}–{last}", *figures))
    head = ("segment", "frames", *(f"PSNR-Y {method}" for method in METHODS))
    return table(head, rows, "PSNR-Y of each segment")
