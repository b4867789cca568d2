"""What could stand where plates stand: learned planes and key pictures, at equal bytes and steps.

    clip ─► video at half size ─┬─ one plate a shot, AVIF, refined ──────────┐
                                ├─ learned planes (benchmarks.learned_planes) ┼─► expert ─► PSNR-Y
                                ├─ a key picture a segment, AVIF ─────────────┤    over bytes
                                └─ nothing ───────────────────────────────────┘
    clip ─► video in its own size ─────────────────────────────────────────────► PSNR-Y over bytes

    python -m benchmarks.plate_rivals [--quick] [--only WORD …] [--json FILE]

Every expert is trained alike, from nothing, for as many steps; bytes are those of the video, the
plates and the plan. Learned planes have the updates that make them on top, and pictured ones those
that refine them. `learned_over_plate_db` compares, where a camera stands still, with pictured
plates at equal bytes; `key_pictures_over_decision_db`, where much moves, with the best of what an
encode chooses among: the video in its own size, an expert alone, one plate. Both are means over
points. Clips are looked for where CRISPCAST_CLIPS points (../shared/clips).
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.plate_rivals_clip import MOVING, STILL, Bench, Case, Effort, Point
from benchmarks.rd_cache import Cache, Clip, default_work
from benchmarks.screen_clip import make_clip
from overfit.metrics import RatePoint, pareto, quality_at
from server.encoding.graph import code_hash

CASES = (
    Case("juggle", STILL, 52, (40, 53, 60), prices=(25.0,)),
    Case("screen", STILL, 52, (40, 60, 75), prices=(40.0,)),
    Case("cups", MOVING, 48, (40,), keys=(40,), whole_crfs=(62, 56, 48)),
    Case("coffee", MOVING, 48, (40,), keys=(40,), whole_crfs=(62, 56, 48)),
)
QUICK = ("juggle", "cups")
MADE_BY = (
    "benchmarks.learned_planes",
    "benchmarks.plane_coder",
    "benchmarks.plate_rivals_clip",
    "overfit.plates",
    "overfit.refinement",
    "overfit.acceleration",
    "overfit.adam",
    "overfit.convergence",
    "overfit.gradients",
    "overfit.muon",
    "overfit.training",
)
REFERENCES = {
    STILL: (("plate", "refined plate"),),
    MOVING: (("video in its own size",), ("expert alone",), ("plate",)),
}
"""Ways whose points make a curve together; the best curve counts."""
RIVALS = {STILL: ("learned planes",), MOVING: ("key medians that pay", "key frames")}


def margins(kind: str, points: Sequence[Point]) -> list[tuple[str, float, float]]:
    """The rivals' points beside what they have to beat: way, setting, dB more at equal bytes.

    Points with fewer or more bytes than the references' are left out.
    """
    curves = [
        [RatePoint(p.total, p.psnr_y) for p in points if p.way in ways] for ways in REFERENCES[kind]
    ]
    curves = [curve for curve in curves if len(pareto(curve)) > 1]
    found = []
    for point in points:
        if point.way not in RIVALS[kind]:
            continue
        there = [quality_at(curve, point.total) for curve in curves]
        known = [quality for quality in there if quality is not None]
        if known:
            found.append((point.way, point.setting, point.psnr_y - max(known)))
    return found


def figures(clips: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The keys of the module's docstring, of all clips: null where nothing was comparable."""
    result: dict[str, Any] = {}
    keys = {STILL: "learned_over_plate_db", MOVING: "key_pictures_over_decision_db"}
    for kind, key in keys.items():
        of_kind = [clip for clip in clips.values() if clip["kind"] == kind]
        gains = [gain for clip in of_kind for *_, gain in clip["margins"]]
        result[key] = statistics.fmean(gains) if gains else None
    return result


def measure(path: Path, case: Case, effort: Effort) -> dict[str, Any]:
    """All points of a clip."""
    bench = Bench(path, case, effort)
    found = []
    for point in bench.points():
        print(f"{case.name}: {point}", flush=True)
        found.append(point)
    return {"bicubic": bench.bicubic, "points": [asdict(point) for point in found]}


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Two clips, less of all.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Clips by their word.")] = None,
    clips: Annotated[Path | None, typer.Option(help="Folder; CRISPCAST_CLIPS if unset.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Of every clip; all if unset.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of every expert's training.")] = None,
    threads: int = 2,
    work: Annotated[Path | None, typer.Option(help="Where results are kept.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here.")
    ] = None,
) -> None:
    """Print and write the figures."""
    folder = clips or Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    effort = Effort(
        seconds or (4.0 if quick else 3600.0),
        steps or (400 if quick else 1500),
        40 if quick else 160,
        30 if quick else 100,
        threads,
    )
    cache = Cache(work or default_work().with_name("plate_rivals"))
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as drawn:
        for case in CASES:
            if (only and case.name not in only) or (not only and quick and case.name not in QUICK):
                continue
            if case.name == "screen":
                path = Path(drawn, "screen.mp4")
                make_clip(path)
            else:
                paths = [path for path in sorted(folder.glob("*")) if case.name in path.name]
                if not paths:
                    raise SystemExit(f"crispcast: no clip in {folder} has {case.name!r} in it")
                path = paths[0]
            facts = {
                "clip": Clip.of(path).sha256,
                "case": json.loads(json.dumps(asdict(case))),
                "effort": {k: v for k, v in asdict(effort).items() if k != "threads"},
                "code": code_hash(MADE_BY),
            }
            made = cache.get("points", facts, partial(measure, path, case, effort))
            points = [Point(**point) for point in made["points"]]
            found[case.name] = {
                "kind": case.kind,
                "bicubic": made["bicubic"],
                "margins": margins(case.kind, points),
                "points": [{**asdict(p), "total": p.total} for p in points],
            }
    result = {**figures(found), "steps": effort.steps, "quick": quick, "clips": found}
    print(json.dumps(result, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
