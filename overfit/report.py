"""`crispcast report`: what a package costs and what it shows, honestly, as JSON and one HTML page.

The page and the JSON go into the package's `report/` folder, which no viewer downloads and no total
counts.
"""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from client_sdk.contract import Package, open_package
from client_sdk.contract.plain_files import write_whole
from kernels.cores import usable_cores
from kernels.errors import PackageError
from overfit.measurement import METHODS, Measurement, OnFrame, measure
from overfit.metrics import pooled_psnr
from overfit.package import REPORT_FOLDER, SURVEY_FILE, Ledger, ledger
from overfit.rd_curves import read_curves, read_survey
from overfit.report_page import render_page
from overfit.scoring import METRICS, Scores

Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Report:
    """What `report` found; `document` is all of report.json."""

    document: dict[str, Any]
    json_file: Path
    page_file: Path

    def to_json(self) -> dict[str, Any]:
        """The figures of the whole video and of each segment, without those of every frame."""
        left_out = ("per_frame", "frame_sha256", "patches")
        short = {key: value for key, value in self.document.items() if key not in left_out}
        return {**short, "report": str(self.page_file)}

    def summary(self) -> str:
        """A table for people."""
        document = self.document
        lines = [f"{'':10}" + "".join(f"{metric:>10}" for metric in METRICS)]
        for method in METHODS:
            cells = "".join(_cell(document["methods"][method][metric]) for metric in METRICS)
            lines.append(f"{method:10}{cells}")
        sizes = "  ".join(f"{name} {size}" for name, size in document["bytes"].items())
        rates = f"{document['kbps_video']:.1f} kb/s video, {document['kbps_total']:.1f} in all"
        return "\n".join([*lines, f"bytes: {sizes}", rates, f"page: {self.page_file}"])


def _cell(value: float | None) -> str:
    return f"{'-':>10}" if value is None else f"{value:10.3f}"


def report(
    path: Path,
    source: Path,
    *,
    rung_index: int = 0,
    vmaf: bool = True,
    threads: int = 0,
    curves: Path | None = None,
    on_progress: OnFrame | None = None,
) -> Report:
    """Measure the package at `path` against its source and write report.json and report.html.

    `curves` is what `python -m benchmarks.rd --json` wrote of the same clip; the page then shows
    them, else what the survey of the encode expected, where there was one.

    Raises PackageError: damaged, made from another video, no such rung, not writable, or with a
    link in the report's place; and CrispcastError where the curves are those of another clip, or
    none.
    """
    begun = time.monotonic()
    package = open_package(path)
    if not 0 <= rung_index < len(package.manifest.rungs):
        raise PackageError(f"{path} has {len(package.manifest.rungs)} rungs, numbered from 0")
    source_facts = package.manifest.source
    duration = source_facts.frames / source_facts.rate
    folder = path / REPORT_FOLDER
    if folder.is_symlink():
        raise PackageError(f"{folder} is a link, which would lead a report elsewhere: remove it")
    if curves is None:
        known = read_survey(folder / SURVEY_FILE)
    else:
        known = read_curves(curves, source.stem, duration)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise PackageError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        measured = measure(
            package,
            source,
            rung_index,
            vmaf=vmaf,
            threads=threads or usable_cores(),
            shown=_shown_frames(package),
            on_frame=on_progress,
        )
        document = _document(package, rung_index, measured)
        document["seconds"] = round(time.monotonic() - begun, 2)
        found = Report(document, folder / "report.json", folder / "report.html")
        _write(found.json_file, json.dumps(document))
        _write(found.page_file, render_page(package, rung_index, document, measured, known))
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing came of it; a report that is there keeps it
    return found


def _shown_frames(package: Package) -> tuple[int, ...]:
    """The middle frames of the first, the middle and the last segment."""
    segments = package.manifest.segments
    chosen = {0, len(segments) // 2, len(segments) - 1}
    return tuple(segments[i].start + segments[i].frames // 2 for i in sorted(chosen))


def _document(package: Package, rung_index: int, measured: Measurement) -> dict[str, Any]:
    manifest, scores = package.manifest, measured.scores
    sizes: Ledger = ledger(manifest, rung_index)
    methods = {method: _whole(scores, method) for method in METHODS}
    return {
        "format": "crispcast-report",
        "version": "1.3",
        "package": manifest.id,
        "name": manifest.name,
        "rung": manifest.rungs[rung_index].name,
        "frames": manifest.source.frames,
        "psnr_y": methods["network"]["psnr_y"],
        "psnr_y_bicubic": methods["bicubic"]["psnr_y"],
        "psnr_y_lanczos": methods["lanczos"]["psnr_y"],
        "kbps_video": sizes.kbps(sizes.video, manifest),
        "kbps_total": sizes.kbps(sizes.total, manifest),
        "bytes": asdict(sizes),
        "methods": methods,
        "still_share": scores.still_share,
        "vmaf_missing": scores.vmaf_missing,
        "segments": [
            {
                "start": segment.start,
                "frames": segment.frames,
                **{m: _means(scores, m, segment.start, segment.end) for m in METHODS},
            }
            for segment in manifest.segments
        ],
        "per_frame": scores.figures,
        "patches": [segment.to_json() for segment in measured.patches],
        "frame_sha256": measured.frame_sha256,
    }


def _whole(scores: Scores, method: str) -> dict[str, Any]:
    """The figures of the whole video, with those that no frame has by itself."""
    lumas = [value for value in scores.figures[method]["psnr_y"] or () if value is not None]
    seams = scores.seams.get(method)
    return {
        **_means(scores, method),
        "psnr_y_pooled": pooled_psnr(lumas),
        "seam_gap": seams.gap if seams else None,
        "seam_step": seams.step if seams else None,
        "protocols": {
            name: {"luma": luma, "rgb": rgb}
            for name, (luma, rgb) in scores.protocols[method].items()
        },
    }


def _means(scores: Scores, method: str, start: int = 0, end: int | None = None) -> Numbers:
    return {metric: scores.mean(method, metric, start, end) for metric in METRICS}


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode("utf-8"))
    except OSError as error:
        raise PackageError(f"{path}: cannot be written ({error.strerror})") from error
