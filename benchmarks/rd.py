"""Rate and distortion of whole clips: ours against native x264, x265, SVT-AV1 and interpolation.

    clips ─┬─ operating points ──encode, measure──► ours, plain interpolation ─┐
           └─ CRFs that cover them ──ffmpeg, measure──► natives ───────────────┴─► BD, plots, JSON

Total bytes: video + plans + plates + maps + manifest. Every result is kept in `--work`, so a run
that was killed goes on where it was. The natives come in two kinds: with WebRTC's constraints,
which ours has too, and without (`-free`).
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.rd_cache import Cache, Clip, default_work
from benchmarks.rd_figures import ClipCurves, figures
from benchmarks.rd_native import RIVALS, Cover, Rival, beginning, native_curve, version
from benchmarks.rd_ours import Bench, OperatingPoint, OursPoint, ladder
from benchmarks.rd_plots import check_plots, plot_clip
from benchmarks.rd_point import RdPoint
from kernels.errors import CrispcastError
from overfit.metrics import RatePoint

RATES = (0.004, 0.008, 0.014, 0.025)
QUICK_RATES = (0.008, 0.014, 0.025)
"""Targets of our encodes, in bits a luma sample."""
QUICK_STEPS = 600
QUICK_CLIP = "juggle"
QUICK_SECONDS = 2.5
"""Of the clip: of all of juggle it takes 20 minutes on two cores with AVX2 alone."""
LOWEST_RATE, HIGHEST_RATE = 0.006, 0.04
"""Bits a luma sample that natives' curves cover at least: the low and middle range."""
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".264", ".h264", ".265", ".y4m", ".avi", ".ts"}


@dataclass(frozen=True)
class Run:
    """What is measured."""

    bench: Bench
    common: OperatingPoint
    points: tuple[OperatingPoint, ...]
    rates: tuple[float, ...]
    rivals: tuple[Rival, ...]
    quant: bool
    quick: bool
    console: Console

    def curves(self, clip: Clip) -> ClipCurves:
        """All curves of a clip."""
        ours = []
        for point in self.points_of(clip):
            ours.append(self.bench.ours(clip, point))
            self._say(clip, "ours", ours[-1].total)
        plain = self.bench.plain_curve(clip, ours)
        cover = _around(ours) if self.quick else _around(ours).joined(_whole_range(clip))
        return ClipCurves(clip, ours, self.natives(clip, cover), plain, self._quant_loss(clip))

    def points_of(self, clip: Clip) -> tuple[OperatingPoint, ...]:
        """The points that were asked for as such, else targets of so many bits a sample."""
        samples = clip.info.width * clip.info.height * float(clip.info.fps)
        targets = (round(rate * samples / 1000, 1) for rate in self.rates)
        return self.points or tuple(self.common.but(target_kbps=target) for target in targets)

    def natives(self, clip: Clip, cover: Cover) -> dict[str, list[RdPoint]]:
        """The rivals' curves by name."""

        def curve(rival: Rival) -> list[RdPoint]:
            return native_curve(
                self.bench.cache, clip, rival, cover, lambda p: self._say(clip, rival.name, p)
            )

        return {rival.name: curve(rival) for rival in self.rivals}

    def _quant_loss(self, clip: Clip) -> float | None:
        """dB that int8 costs against fp32 at one operating point."""
        if not self.quant:
            return None
        points = self.points_of(clip)
        middle = points[len(points) // 2]
        codes, floats = (
            self.bench.ours(clip, middle.but(precision=precision), vmaf=False)
            for precision in ("int8", "fp32")
        )
        return floats.total.psnr_y - codes.total.psnr_y if codes.plan_bytes else None

    def _say(self, clip: Clip, who: str, point: RdPoint) -> None:
        self.console.print(
            f"{clip.name:28.28} {who:12} {point.setting:28.28} {point.kbps:8.1f} kb/s "
            f"{point.bits_per_pixel:.4f} b/px {point.psnr_y:.2f} dB",
            highlight=False,
        )


def _whole_range(clip: Clip) -> Cover:
    """The low and middle range of rates."""
    samples = clip.info.width * clip.info.height * clip.info.frames
    return Cover(LOWEST_RATE * samples / 8, HIGHEST_RATE * samples / 8)


def _around(ours: Sequence[OursPoint]) -> Cover:
    """The rates and the qualities of our points."""
    sizes = [point.total.size for point in ours]
    qualities = [point.total.psnr_y for point in ours]
    return Cover(min(sizes), max(sizes), min(qualities), max(qualities))


def find_clips(folder: Path, wanted: Sequence[str]) -> list[Clip]:
    """The videos of a folder whose names hold one of `wanted`; all where none is wanted.

    Raises CrispcastError where there is none.
    """
    if not folder.is_dir():
        raise CrispcastError(f"{folder} is no folder; give one with videos with --clips")
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    chosen = [path for path in paths if not wanted or any(word in path.name for word in wanted)]
    if not chosen:
        names = ", ".join(path.name for path in paths) or "no video"
        raise CrispcastError(f"{folder} has {names}; none of them is {' or '.join(wanted)}")
    return [Clip.of(path) for path in chosen]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    console = Console(stderr=True)
    try:
        found = run(options, console)
    except CrispcastError as error:
        console.print(f"[red]{error}", highlight=False)
        return 1
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def run(options: argparse.Namespace, console: Console) -> dict[str, object]:
    """Measure what the options ask for, print the tables, and return the figures."""
    if options.plots:
        check_plots()
    clips = find_clips(options.clips, options.only or ([QUICK_CLIP] if options.quick else []))
    if options.quick:
        clips = [beginning(clip, QUICK_SECONDS, options.work / "beginnings") for clip in clips]
    settings = {"preset": options.preset}
    if options.steps or options.quick:
        settings["steps"] = options.steps or QUICK_STEPS
    rates = tuple(options.rates or (QUICK_RATES if options.quick else RATES))
    rivals = tuple(
        rival
        for rival in RIVALS
        if rival.name in options.rivals
        or (not options.rivals and (rival.constrained or not options.quick))
    )
    work = options.work
    measured = Run(
        Bench(Cache(work), options.store or work / "store", options.threads),
        OperatingPoint(settings),
        ladder(sorted(options.crfs or (), reverse=True), **settings),
        rates,
        rivals,
        not options.quick,
        options.quick,
        console,
    )
    console.print(
        f"clips: {', '.join(clip.name for clip in clips)}; {options.crfs or rates}; {settings}"
    )
    console.print("; ".join(version(r.encoder) for r in rivals if r.constrained), highlight=False)
    if options.natives:
        return {clip.name: _natives(measured, clip) for clip in clips}
    all_curves = []
    for clip in clips:
        all_curves.append(measured.curves(clip))
        if options.plots:
            options.plots.mkdir(parents=True, exist_ok=True)
            plot_clip(all_curves[-1], options.plots / f"{clip.name}.png")
    found = figures(all_curves)
    for curves in all_curves:
        print_clip(curves)
    for key, value in found.items():
        if not isinstance(value, dict):
            why = found["reasons"].get(key)
            print(f"{key:28} {f'none: {why}' if why else _short(value)}")
    return found | {
        "clips": [clip.name for clip in clips],
        "points": {c.name: [point.name for point in measured.points_of(c)] for c in clips},
        "quick": options.quick,
        "versions": {r.encoder.name: version(r.encoder) for r in rivals},
        "curves": {curves.clip.name: _to_json(curves) for curves in all_curves},
    }


def _natives(measured: Run, clip: Clip) -> dict[str, object]:
    curves = measured.natives(clip, _whole_range(clip))
    return {name: [vars(point) for point in points] for name, points in curves.items()}


def print_clip(curves: ClipCurves) -> None:
    """The points of one clip as a table."""
    table = Table(
        title=f"{curves.clip.name}: {100 * curves.ours[0].still_share:.0f} % stands still"
    )
    columns = ("kb/s", "b/px", "PSNR-Y", "XPSNR", "SSIM", "VMAF-NEG", "flicker")
    for name in ("", "setting", *columns):
        table.add_column(name, justify="left" if name in ("", "setting") else "right", no_wrap=True)
    ours = [("ours", point.total) for point in curves.ours]
    others = [(name, p) for name, points in curves.natives.items() for p in points]
    for name, point in (*ours, *others):
        f = point.figures
        cells = (f["psnr_y"], f["xpsnr"], f["ssim"], f["vmaf_neg"], f["flicker"])
        shown = [_short(cell) for cell in cells]
        rate = (f"{point.kbps:.1f}", f"{point.bits_per_pixel:.4f}")
        table.add_row(name, point.setting, *rate, *shown)
    for plain in curves.plain:
        kbps = curves.clip.kbps(round(plain.rate))
        table.add_row("interpolated", "", f"{kbps:.1f}", "", _short(plain.quality))
    Console(width=120).print(table)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"
    return "–" if value is None else str(value)


def _to_json(curves: ClipCurves) -> dict[str, object]:
    def plain(points: Sequence[RatePoint]) -> list[dict[str, float]]:
        return [{"bytes": p.rate, "psnr_y": p.quality} for p in points]

    ours = []
    for point in curves.ours:
        values = {f.name: getattr(point, f.name) for f in fields(point)}
        values |= {"point": point.point.settings, "total": vars(point.total)}
        values["video"] = plain([point.video])[0]
        ours.append(values)
    natives = {name: [vars(p) for p in points] for name, points in curves.natives.items()}
    return {"ours": ours, "natives": natives, "plain": plain(curves.plain)}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    folder = Path(os.environ.get("CRISPCAST_CLIPS", "../shared/clips"))
    parser.add_argument("--clips", type=Path, default=folder, help="folder of videos")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="clips with this in their name")
    parser.add_argument(
        "--rates",
        nargs="+",
        type=float,
        metavar="B/PX",
        help=f"target totals in bits a luma sample (default {RATES})",
    )
    parser.add_argument("--crfs", nargs="+", type=int, help="or the rungs' CRFs, at scale 2")
    parser.add_argument(
        "--rivals",
        nargs="+",
        default=(),
        choices=[rival.name for rival in RIVALS],
        help="only these (default all; --quick: the constrained ones)",
    )
    parser.add_argument("--preset", default="fast", help="of our encodes (default fast)")
    parser.add_argument("--steps", type=int, help="training steps instead of the preset's")
    parser.add_argument("--threads", type=int, default=0, help="of our encodes; 0 for all")
    parser.add_argument("--work", type=Path, default=default_work(), help="where results are kept")
    parser.add_argument("--store", type=Path, help="jobs of our encodes (default WORK/store)")
    parser.add_argument(
        "--quick", action="store_true", help="2.5 s of one clip, few rates and steps"
    )
    parser.add_argument("--natives", action="store_true", help="only encode and measure the rivals")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write a plot of each clip")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
