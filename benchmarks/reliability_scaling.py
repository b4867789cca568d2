"""Two workers of the local engine beside one; a part of `benchmarks.reliability`.

An encode of four experts, from nothing, with one core to a training: what it gains are two cores
that train two experts at once. What is before and after the experts, and the start of a second
process, stay as they are; so a long training gains more than a short one, and both are told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reliability_timing import LONG, QUICK, SHORT, in_turn

TARGETS = {"local_scaling": (">=", 1.8)}


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """See `benchmarks.reliability.Part`; `local_scaling` is by the clock, of the long training."""
    figures: dict[str, Any] = {}
    for suffix, effort in (("", LONG), ("_short", SHORT)):
        ways = {"one": ("--workers", "1"), "two": ("--workers", "2")}
        took = in_turn(folder / f"steps{suffix}", ways, QUICK if quick else effort)
        one, two = took["one"], took["two"]
        figures |= {
            f"local_scaling{suffix}": one.seconds / two.seconds,
            f"local_seconds_1_worker{suffix}": one.seconds,
            f"local_seconds_2_workers{suffix}": two.seconds,
            f"local_processor_seconds_1_worker{suffix}": one.processor_seconds,
            f"local_processor_seconds_2_workers{suffix}": two.processor_seconds,
        }
    return figures
