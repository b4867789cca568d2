"""What methods gain: `python -m benchmarks.quality [--quick] [--only WORD ...] [--plot FILE]`.

    papers    clean bicubic LR: methods x networks x scales at equal steps, by three protocols;
              stdo over nas along the steps
    decoded   LR decoded from H.264: dB over plain interpolation at equal bytes
    training  the papers' recipe, and ours until it is as good

Every training is kept in `--work`, so a killed run goes on where it was. `--recipe` trains the
papers' rows by the papers' recipe instead, for those with a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.quality_figures import figures
from benchmarks.quality_footage import BicubicCurve, Excerpt, Footage
from benchmarks.quality_plan import PARTS, QUICK, SCALES, Effort, Job, jobs
from benchmarks.quality_rows import SETTINGS, SPACES, VARIANTS, Bench, Row
from benchmarks.quality_table import tables
from benchmarks.rd_cache import Cache, Clip, default_work
from kernels.errors import CrispcastError
from overfit.metrics import PROTOCOLS
from overfit.networks import NetworkConfig

DECODED_SECONDS = 10.0
"""Of decoded LR: plans are paid by what they are used for."""


def run_jobs(
    todo: Sequence[Job], folder: Path, effort: Effort, cache: Cache, *, done: bool, console: Console
) -> list[Row]:
    """The rows of all jobs, without doubles. `done`: train nothing."""
    rows: list[Row] = []
    held: tuple[str, float] | None = None
    for job in todo:
        wanted = job.clip, (DECODED_SECONDS if job.part == "decoded" else effort.seconds)
        if wanted != held:  # one in memory at a time
            excerpt, held = Excerpt.of(clip_of(folder, job.clip), *wanted, effort.every), wanted
        console.print(f"{job.clip} x{job.scale}, {job.part}")
        bench = bench_of(job, excerpt, effort, cache, done=done)
        for case in job.cases:
            row = bench.row(case)
            if row is not None:
                rows.append(row)
                console.print(f"  {told(row)}")
    return list({(row.clip, row.lr, row.scale, row.case): row for row in rows}.values())


def bench_of(job: Job, excerpt: Excerpt, effort: Effort, cache: Cache, *, done: bool) -> Bench:
    """What trains the cases of a job."""
    if job.part != "decoded":
        return Bench(Footage(excerpt, "clean", job.scale), cache, effort.clean, done=done)
    curve = BicubicCurve.of(excerpt, job.scale, cache)
    return Bench(Footage(excerpt, "decoded", job.scale), cache, effort.coded, curve, done)


def told(row: Row) -> str:
    """A row in a line."""
    gain = "" if row.gain is None else f", {row.gain:+.3f} dB at {row.kbps:.0f} kb/s"
    steps = "recipe" if row.case.steps is None else f"{row.case.steps} steps"
    return (
        f"{row.case.network} {row.name}, {steps}: {row.psnr_of():.3f} dB{gain}, {row.seconds:.0f} s"
    )


def clip_of(folder: Path, word: str) -> Clip:
    """The video with this word in its name. Raises CrispcastError where there is none."""
    paths = [path for path in sorted(folder.glob("*")) if word in path.name]
    if not paths:
        raise CrispcastError(f"no clip in {folder} has {word!r} in its name")
    return Clip.of(paths[0])


def effort_of(options: argparse.Namespace) -> Effort:
    """What is trained. Raises CrispcastError where a network is unknown."""
    effort = QUICK if options.quick else Effort()
    for network in options.networks or ():
        NetworkConfig().shaped(network)
    for setting in options.settings or ():
        if setting not in SETTINGS:
            NetworkConfig().shaped(setting)
    threads = options.threads
    return replace(
        effort,
        clips=tuple(options.only or effort.clips),
        decoded_clips=tuple(options.only or effort.decoded_clips),
        settings=tuple(options.settings or effort.settings),
        decoded=options.decoded_steps or effort.decoded,
        compared=effort.compared if options.compared is None else options.compared,
        networks=tuple(options.networks or effort.networks),
        trained=tuple(options.networks or effort.trained),
        seconds=options.seconds or effort.seconds,
        curve=tuple(options.steps or effort.curve),
        steps=sorted(options.steps or [effort.steps])[len(options.steps or [0]) // 2],
        clean=replace(effort.clean, threads=threads),
        coded=replace(effort.coded, threads=threads),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Methods, networks and scales side by side."""
    options = _options(arguments)
    console = Console(stderr=True)
    effort = effort_of(options)
    cache = Cache(options.work or default_work().with_name("quality"))
    wanted = {"methods": options.methods or (), "recipe": options.recipe}
    todo = list(jobs(effort, options.part, options.scales or effort.scales, **wanted))
    rows = run_jobs(todo, options.clips, effort, cache, done=options.done, console=console)
    wide = Console(width=400)
    for table in tables(rows, options.protocol, options.space):
        wide.print(table, soft_wrap=True)
    found = {**figures(rows), "quick": options.quick, "seconds": effort.seconds}
    if options.plot is not None:
        from benchmarks.quality_plot import plot_curve

        plot_curve(found["stdo_over_nas_curve"], options.plot)
    if options.json is not None:
        everything = {**found, "rows": [row.facts() for row in rows]}
        options.json.write_text(json.dumps(everything, indent=1))
    print(json.dumps(found))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    folder = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    add = parser.add_argument
    add("--clips", type=Path, default=folder, help="folder of videos")
    add("--only", nargs="+", metavar="WORD", help="clips with this in their name")
    add("--part", nargs="+", choices=PARTS, default=PARTS, help="only these (default all)")
    add("--scales", nargs="+", type=int, choices=SCALES, help="default: all; --quick: 2 and 4")
    add("--methods", nargs="+", choices=(*VARIANTS, "auto"), help="only these (default all)")
    add("--networks", nargs="+", metavar="NAME", help="of clean LR")
    add("--seconds", type=float, help="of clean LR; decoded LR has 10")
    add("--steps", nargs="+", type=int, help="of stdo and nas; the middle one of all methods")
    add("--settings", nargs="+", metavar="NAME", help="networks of decoded LR")
    add("--decoded-steps", type=int, metavar="STEPS", help="of the settings of decoded LR")
    add("--compared", type=int, metavar="STEPS", help="of methods at equal bytes; 0 is none")
    add("--recipe", action="store_true", help="the papers' rows by the papers' recipe: for a GPU")
    add("--protocol", choices=PROTOCOLS, default="stdo", help="of the tables like the papers'")
    add("--space", choices=SPACES, default="rgb", help="of the tables like the papers'")
    add("--threads", type=int, default=2, help="of training")
    add("--quick", action="store_true", help="one clip, a second of it, few steps")
    add("--done", action="store_true", help="tell of what is done, train nothing")
    add("--work", type=Path, help="where results are kept")
    add("--plot", type=Path, metavar="FILE", help="draw stdo over nas along the steps")
    add("--json", type=Path, metavar="FILE", help="write the figures and all rows")
    options = parser.parse_args(arguments)
    if options.seconds is not None and options.seconds <= 0:
        parser.error("--seconds must be above 0")
    counts = [*(options.steps or ()), options.threads]
    if any(count < 1 for count in counts) or options.decoded_steps == 0:
        parser.error("steps and threads must be at least 1")
    return options


if __name__ == "__main__":
    try:
        main()
    except CrispcastError as error:
        sys.exit(f"crispcast: {error}")
