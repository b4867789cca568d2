"""The tables of `benchmarks.quality`, in Markdown: like the papers', and what rows cost beside."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich import box
from rich.table import Table

from benchmarks.quality_figures import curve
from benchmarks.quality_rows import PLAIN, SPACES, Row
from overfit.metrics import PROTOCOLS

PAPER_TABLE = {
    "awDNN": ("43.36", "37.12", "34.62", "44.83", "39.05", "35.23", "49.24", "45.30", "43.33"),
    "NAS": ("44.17", "38.23", "36.02", "45.43", "39.71", "36.54", "49.98", "45.63", "43.51"),
    "CaFM": ("44.23", "38.55", "36.30", "45.71", "39.92", "36.87", "50.12", "45.87", "43.79"),
    "STDO": ("45.75", "", "38.62", "46.34", "41.13", "38.76", "50.58", "46.43", "44.62"),
}
"""Of STDO's README, RGB, WDSR of 16 blocks; its cell of game15 x3 is a misprint. Other clips than
ours, so only differences between rows can be compared."""


def tables(rows: Sequence[Row], protocol: str, space: str) -> list[Table]:
    """All that have rows, the papers' own last."""
    found = []
    networks = [row.case.network for row in rows if row.lr == "clean"]
    for network in dict.fromkeys(name for name in networks if name != PLAIN):
        own = [row for row in rows if row.lr == "clean" and row.case.network in (network, PLAIN)]
        found += [_like_papers(own, network, protocol, space), _protocols(own, network)]
    clean = [row for row in rows if row.lr == "clean" and row.case.steps is not None]
    if curve(clean):
        found.append(_curve(clean))
    decoded = [row for row in rows if row.lr == "decoded"]
    if decoded:
        found.append(_decoded(decoded))
    if found and clean:
        found.append(_papers())
    return found


def _table(title: str, *left: str) -> Table:
    table = Table(title=title, box=box.MARKDOWN, title_justify="left")
    for name in left:
        table.add_column(name)
    return table


def _label(row: Row) -> tuple[str, str]:
    if row.case.method == PLAIN:
        return row.name, ""
    return row.name, "recipe" if row.case.steps is None else str(row.case.steps)


def _like_papers(rows: Sequence[Row], network: str, protocol: str, space: str) -> Table:
    """A row a method, a column a clip and scale."""
    places = sorted({(row.clip, row.scale) for row in rows})
    title = f"{network}, clean LR: PSNR in dB, {space}, protocol {protocol}"
    table = _table(title, "method", "steps")
    for clip, scale in places:
        table.add_column(f"{clip} x{scale}", justify="right")
    for label in _labels(rows):
        cells = {(r.clip, r.scale): r.psnr_of(protocol, space) for r in rows if _label(r) == label}
        table.add_row(*label, *(_db(cells.get(place)) for place in places))
    return table


def _protocols(rows: Sequence[Row], network: str) -> Table:
    """A row a scale and method: means of the clips, by all protocols, and costs."""
    title = f"{network}, clean LR: means of the clips"
    table = _table(title, "scale", "method", "steps")
    for name in (f"{space} {protocol}" for space in SPACES for protocol in PROTOCOLS):
        table.add_column(name, justify="right")
    for name in ("KB of plans", "kMAC a pixel", "TFLOP", "s"):
        table.add_column(name, justify="right")
    for scale in sorted({row.scale for row in rows}):
        for label in _labels(rows):
            own = [row for row in rows if row.scale == scale and _label(row) == label]
            if not own:
                continue
            mean = statistics.fmean
            table.add_row(
                f"x{scale}",
                *label,
                *(_db(mean(r.psnr_of(p, s) for r in own)) for s in SPACES for p in PROTOCOLS),
                f"{mean(row.plans for row in own) / 1000:.1f}",
                f"{mean(row.macs for row in own) / 1000:.1f}",
                f"{mean(row.flops for row in own) / 1e12:.2f}",
                f"{mean(row.seconds for row in own):.0f}",
            )
    return table


def _curve(clean: Sequence[Row]) -> Table:
    table = _table("stdo over nas, dB, luma, protocol stdo", "network", "steps")
    scales = sorted({row.scale for row in clean})
    for name in (*(f"x{scale}" for scale in scales), "mean", "of"):
        table.add_column(name, justify="right")
    for point in curve(clean):
        each = (point["by_scale"].get(scale) for scale in scales)
        cells = ["" if value is None else f"{value:+.3f}" for value in (*each, point["db"])]
        table.add_row(point["network"], str(point["steps"]), *cells, str(point["of"]))
    return table


def _decoded(rows: Sequence[Row]) -> Table:
    """A row a setting: dB over plain interpolation at equal bytes."""
    clips = sorted({row.clip for row in rows})
    table = _table(
        "decoded LR: dB over bicubic at equal bytes, luma, whole frame", "scale", "network"
    )
    for name in ("method", "steps"):
        table.add_column(name)
    for name in (*clips, "mean", "kb/s", "bytes of plans", "of maps", "kMAC a pixel", "s"):
        table.add_column(name, justify="right")
    keys = dict.fromkeys(
        (row.scale, row.case.network, row.case.method, row.case.chunks, row.case.steps)
        for row in rows
        if row.gain is not None
    )
    for key in sorted(keys, key=str):
        own = {row.clip: row for row in rows if _setting(row) == key}
        mean, each = statistics.fmean, list(own.values())
        gains = [row.gain for row in each if row.gain is not None]
        names = " / ".join(sorted({row.name for row in each}))
        table.add_row(
            f"x{key[0]}",
            key[1],
            names,
            str(key[4]),
            *(f"{own[c].gain:+.2f}" if c in own else "" for c in clips),
            f"{mean(gains):+.2f}",
            f"{mean(row.kbps or 0 for row in each):.0f}",
            f"{mean(row.plans for row in each):.0f}",
            f"{mean(row.maps for row in each):.0f}",
            f"{mean(row.macs for row in each) / 1000:.1f}",
            f"{mean(row.seconds for row in each):.0f}",
        )
    return table


def _setting(row: Row) -> tuple[int, str, str, int, int | None]:
    return row.scale, row.case.network, row.case.method, row.case.chunks, row.case.steps


def _papers() -> Table:
    table = _table("STDO's own table: RGB, WDSR of 16 blocks, other clips", "method")
    for clip in ("game15", "inter15", "vlog15"):
        for scale in (2, 3, 4):
            table.add_column(f"{clip} x{scale}", justify="right")
    for name, cells in PAPER_TABLE.items():
        table.add_row(name, *cells)
    return table


def _labels(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_label(row) for row in rows))


def _db(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
