"""Two workers of the local engine beside one; a part of `benchmarks.reliability`.

An encode of four experts, from nothing, with one core to a training: what it gains are two cores
that train two experts at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reliability_timing import in_turn

TARGETS = {"local_scaling": (">=", 1.8)}


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """See `benchmarks.reliability.Part`; `local_scaling` is by the clock."""
    ways = {"one": ("--workers", "1"), "two": ("--workers", "2")}
    took = in_turn(folder, ways, quick)
    one, two = took["one"], took["two"]
    return {
        "local_scaling": one.seconds / two.seconds,
        "local_seconds_1_worker": one.seconds,
        "local_seconds_2_workers": two.seconds,
        "local_processor_seconds_1_worker": one.processor_seconds,
        "local_processor_seconds_2_workers": two.processor_seconds,
    }
