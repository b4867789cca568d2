"""Links to try adaptation on: drawn here by a seed, or recorded ones of others from a folder.

Formats that are read: lines of `seconds Mb/s` (Pensieve's cooked traces), and Mahimahi's lines of
milliseconds at each of which 1500 bytes may pass.
"""

from __future__ import annotations

import math
import random
from pathlib import Path

from benchmarks.link import Trace
from kernels.errors import CrispcastError

_OPPORTUNITY = 1500 * 8  # bits of a line of Mahimahi's
MAX_SECONDS = 1200.0


def drawn(low: float, high: float) -> list[Trace]:
    """Links between and around two rates in b/s: those of the lowest and highest rung."""
    middle, wide, narrow = math.sqrt(low * high), 1.6 * high, 1.3 * low
    return [
        Trace("wide", [0.0], [3 * high], 300.0),
        Trace("square 20 s", [0.0, 20.0], [wide, 1.2 * middle], 40.0),
        Trace("steps", [0.0, 60.0, 120.0, 180.0], [wide, middle, narrow, 2 * high], 240.0),
        Trace("drop", [0.0, 60.0, 75.0], [wide, narrow, wide], 300.0),
        Trace("just under", [0.0], [0.9 * high], 300.0),
        _wandering("wandering", 1, narrow, wide),
        _wandering("mobile", 2, 0.6 * low, 2 * wide, spread=0.35),
    ]


def _wandering(name: str, seed: int, low: float, high: float, spread: float = 0.12) -> Trace:
    """A random walk of the logarithm, reflected at its bounds, a step a second for 5 minutes."""
    rng = random.Random(seed)
    least, most = math.log(low), math.log(high)
    at, rates = (least + most) / 2, []
    for _ in range(300):
        at += rng.gauss(0, spread)
        at = 2 * least - at if at < least else 2 * most - at if at > most else at
        rates.append(math.exp(min(max(at, least), most)))
    return Trace(name, [float(second) for second in range(300)], rates, 300.0)


def recorded(folder: Path, scale_to: float | None, most: int) -> list[Trace]:
    """The traces in a folder, the first `most` by name.

    `scale_to`: the mean in b/s that each is brought to, since a link of 50 Mb/s says nothing of a
    ladder that ends at 1. Raises CrispcastError where a file is no trace.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    if not files:
        raise CrispcastError(f"{folder} holds no traces; give a folder of files with one each")
    return [_scaled(_read(path), scale_to) for path in files[:most]]


def _read(path: Path) -> Trace:
    try:
        rows = [[float(word) for word in line.split()] for line in path.read_text().splitlines()]
    except (ValueError, OSError) as error:
        raise CrispcastError(f"{path} is no trace: {error}") from None
    rows = [row for row in rows if row]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1 or len(rows[0]) > 2:
        raise CrispcastError(f"{path} is no trace: give lines of seconds and Mb/s, or milliseconds")
    if len(rows[0]) == 1:
        return _mahimahi(path.stem, [row[0] for row in rows])
    begin = rows[0][0]
    kept = [(t - begin, max(rate, 0.0) * 1e6) for t, rate in rows if t - begin < MAX_SECONDS]
    times, rates = zip(*kept, strict=True)
    step = (times[-1] - times[0]) / max(1, len(times) - 1)
    return Trace(path.stem, times, rates, times[-1] + step)


def _mahimahi(name: str, stamps: list[float]) -> Trace:
    seconds = min(MAX_SECONDS, math.floor(stamps[-1] / 1000) + 1)
    rates = [0.0] * int(seconds)
    for stamp in stamps:
        if stamp / 1000 < seconds:
            rates[int(stamp / 1000)] += _OPPORTUNITY
    return Trace(name, [float(second) for second in range(len(rates))], rates, seconds)


def _scaled(trace: Trace, mean: float | None) -> Trace:
    if mean is None or trace.mean <= 0:
        return trace
    factor = mean / trace.mean
    return Trace(trace.name, trace.times, [factor * rate for rate in trace.rates], trace.seconds)
