"""How well rungs follow a link: our policy beside one fixed rung, and beside the estimate alone.

    python -m benchmarks.adaptation [PACKAGE] [--traces DIR] [--quick] [--json FILE]

PACKAGE is a package with a ladder; without one, a ladder is drawn. Its frames, in their sizes, are
sent over a simulated link (`benchmarks.link`), again and again for as long as a trace lasts.
Quality is the PSNR-Y that the manifest says of a segment of a rung, the mean over the frames that
came in time. A frame is late if it is whole more than 0.25 s after it would have been over an empty
link, or never. Plans and plates are not sent here, whichever chooses.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.link import Link, LinkConfig, Trace
from benchmarks.link_traces import drawn, recorded
from client_sdk.contract import Package, open_package
from kernels.errors import CrispcastError
from server.adaptation import Adaptation, Report, RungFacts, useful
from server.rung_video import RungVideo

LATE = 0.25  # seconds
WINDOW = 2.0  # seconds over which the sending rate is taken, as in server/steering.py
SAFE = 0.9  # part of the estimate that a policy of rates alone spends

Chooser: TypeAlias = Callable[[Report], int]


@dataclass(frozen=True)
class Ladder:
    """A package as far as it matters: frame sizes in bytes and PSNR in dB, by rung and frame.

    Rungs that cost more than another and show no more are left out.
    """

    sizes: list[list[int]]
    quality: list[list[float]]
    bitrates: list[float]
    starts: frozenset[int]
    rate: float

    @classmethod
    def of(cls, package: Package) -> Ladder:
        """Read it. Raises CrispcastError where it is no ladder or has no figures."""
        manifest = package.manifest
        if len(manifest.rungs) < 2 or any(rung.quality is None for rung in manifest.rungs):
            raise CrispcastError(f"{package.path} is no ladder: encode one with --ladder auto")
        sizes, quality, facts = [], [], []
        for index in range(len(manifest.rungs)):
            facts.append(RungFacts(manifest.media_bitrate(index), 0, manifest.quality_of(index)))
        order = useful(facts)
        for index in order:
            rung = manifest.rungs[index]
            video = RungVideo(package, index)
            sizes.append([video.size(number) for number in range(manifest.source.frames)])
            video.close()
            told = zip(manifest.segments, rung.quality or (), strict=True)
            quality.append([q.psnr_y for segment, q in told for _ in range(segment.frames)])
        return cls(
            sizes,
            quality,
            [facts[index].bitrate for index in order],
            frozenset(segment.start for segment in manifest.segments),
            float(manifest.source.rate),
        )


def drawn_ladder() -> Ladder:
    """A ladder to try policies on: 10 s at 30 frames a second, 150, 300 and 600 kb/s, 31 to 35 dB.

    Every two seconds there is a key frame of six frames' bytes; the others vary by half.
    """
    rng = random.Random(1)
    rates, count = (150_000.0, 300_000.0, 600_000.0), 300
    sizes = []
    for rate in rates:
        frame = rate / 8 / 30
        usual = frame * 54 / 59  # so that the rate is met
        sizes.append(
            [
                round(6 * frame if n % 60 == 0 else usual * rng.uniform(0.5, 1.5))
                for n in range(count)
            ]
        )
    quality = [[psnr] * count for psnr in (31.0, 33.0, 35.0)]
    return Ladder(sizes, quality, list(rates), frozenset(range(0, count, 60)), 30.0)


@dataclass(frozen=True)
class Played:
    """What a viewer saw: dB of the frames in time, the share of late ones, switches a minute."""

    quality_db: float
    late_share: float
    switches_per_minute: float


def simulate(
    ladder: Ladder, trace: Trace, config: LinkConfig, choose: Chooser, rung: int
) -> Played:
    """Send the video over the link for as long as the trace lasts; `rung` is the first."""
    link = Link(trace, config)
    frames = round(trace.seconds * ladder.rate)
    count = len(ladder.sizes[0])
    wanted, switches, late = rung, 0, 0
    seen: list[float] = []
    sent: list[tuple[float, int]] = [(0.0, 0)]
    total = 0
    for number in range(frames):
        now, frame = number / ladder.rate, number % count
        for at in link.reports(now):
            sent.append((at, total))
            while len(sent) > 2 and at - sent[1][0] >= WINDOW:
                sent.pop(0)
            rate = 8 * (total - sent[0][1]) / max(at - sent[0][0], 1e-3)
            wanted = choose(
                Report(
                    now=at,
                    estimate=link.estimate,
                    sent=rate,
                    lost=link.lost,
                    round_trip=link.round_trip,
                )
            )
        if frame in ladder.starts and wanted != rung:
            rung, switches = wanted, switches + 1
        size = ladder.sizes[rung][frame]
        total += size
        whole = link.send(now, size)
        if whole is None or whole - now > config.round_trip / 2 + LATE:
            late += 1
        else:
            seen.append(ladder.quality[rung][frame])
    minutes = frames / ladder.rate / 60
    return Played(statistics.fmean(seen) if seen else 0.0, late / frames, switches / minutes)


def policies(
    ladder: Ladder, always: int | None = None
) -> dict[str, Callable[[], tuple[Chooser, int]]]:
    """What is compared: each makes a chooser and the first rung, for one play.

    `always`: the fixed rung, or the middle one.
    """

    def ours() -> tuple[Chooser, int]:
        facts = [RungFacts(bitrate) for bitrate in ladder.bitrates]
        adaptation = Adaptation(facts, 1000 / ladder.rate)
        return adaptation.update, adaptation.rung

    def fixed() -> tuple[Chooser, int]:
        rung = len(ladder.bitrates) // 2 if always is None else always
        return (lambda _: rung), rung

    def rate_only() -> tuple[Chooser, int]:
        now = 0

        def choose(report: Report) -> int:
            nonlocal now
            if report.estimate is not None:
                spend = SAFE * report.estimate
                fitting = [n for n, bitrate in enumerate(ladder.bitrates) if bitrate <= spend]
                # The estimate ends at 1.5 times what comes: there, more may be possible.
                free = report.estimate > 1.35 * report.sent and now + 1 < len(ladder.bitrates)
                now = max([0, now + 1 if free else 0, *fitting])
            return now

        return choose, 0

    return {"policy": ours, "fixed": fixed, "rate_only": rate_only}


def compare(
    ladder: Ladder, traces: Sequence[Trace], config: LinkConfig, always: int | None = None
) -> list[dict[str, Any]]:
    """The figures of each trace, by policy; `always` is the fixed rung."""
    rows = []
    for trace in traces:
        row: dict[str, Any] = {"trace": trace.name, "mean_kbps": trace.mean / 1000}
        for name, make in policies(ladder, always).items():
            chooser, first = make()
            played = simulate(ladder, trace, config, chooser, first)
            row |= {f"{name}_{key}": value for key, value in asdict(played).items()}
        rows.append(row)
    return rows


def mean_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The means over traces."""
    keys = [key for key in rows[0] if key not in ("trace", "mean_kbps")]
    return {key: statistics.fmean(row[key] for row in rows) for key in keys}


def _print(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    print(f"{'':24}" + "".join(f"{name:>26}" for name in names))
    print(f"{'trace':16}{'kb/s':>8}" + f"{'dB':>10}{'late %':>8}{'sw/min':>8}" * len(names))
    for row in rows:
        cells = "".join(
            f"{row[f'{n}_quality_db']:10.2f}{100 * row[f'{n}_late_share']:8.2f}"
            f"{row[f'{n}_switches_per_minute']:8.2f}"
            for n in names
        )
        kbps = f"{row['mean_kbps']:8.0f}" if "mean_kbps" in row else " " * 8
        print(f"{row['trace'][:16]:16}{kbps}{cells}")


def main() -> None:
    """Compare, print a line for each trace and the means, and write them as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", type=Path, nargs="?", help="a package with a ladder")
    parser.add_argument("--traces", type=Path, help="a folder of recorded traces, instead of drawn")
    parser.add_argument("--most", type=int, default=40, help="of them, by name")
    parser.add_argument("--mean-kbps", type=float, help="each trace is scaled to this mean")
    parser.add_argument("--round-trip", type=float, default=0.05, help="seconds")
    parser.add_argument("--queue", type=float, default=0.4, help="seconds that the queue holds")
    parser.add_argument("--loss", type=float, default=0.002, help="share lost at random")
    parser.add_argument(
        "--fixed", type=int, help="index of the fixed rung; the middle one if unset"
    )
    parser.add_argument("--quick", action="store_true", help="three traces only")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    ladder = drawn_ladder() if given.package is None else Ladder.of(open_package(given.package))
    config = LinkConfig(given.round_trip, given.queue, given.loss)
    if given.traces is None:
        traces = drawn(min(ladder.bitrates), max(ladder.bitrates))
    else:
        mean = None if given.mean_kbps is None else 1000 * given.mean_kbps
        traces = recorded(given.traces, mean, given.most)
    if given.fixed is not None and not 0 <= given.fixed < len(ladder.bitrates):
        parser.error(f"there are {len(ladder.bitrates)} rungs, numbered from 0")
    rows = compare(ladder, traces[:3] if given.quick else traces, config, given.fixed)
    means = mean_of(rows)
    _print([*rows, {"trace": "mean", **means}], list(policies(ladder)))
    if given.json is not None:
        rungs = [{"kbps": b / 1000} for b in ladder.bitrates]
        document = {**means, "rungs": rungs, "link": asdict(config), "traces": rows}
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
