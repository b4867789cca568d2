"""A Ray cluster of this machine beside the local engine; a part of `benchmarks.reliability`.

The same encode on the same two cores, two trainings at a time, from when the cluster is there: what
is compared is what Ray costs, and not how long it takes to begin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.reliability_timing import QUICK, SHORT, in_turn

TARGETS = {"ray_overhead": ("<=", 0.05)}
WORKERS = 2


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """See `benchmarks.reliability.Part`; `ray_overhead` is by the clock, 0.05 is 5 % more.

    Raises ModuleNotFoundError where there is no Ray: pip install 'crispcast[ray]'.
    """
    from ray.cluster_utils import Cluster

    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": WORKERS})
    try:
        ways = {
            "local": ("--workers", str(WORKERS)),
            "ray": ("--engine", "ray", "--address", cluster.address),
        }
        took = in_turn(folder, ways, QUICK if quick else SHORT)
    finally:
        cluster.shutdown()
    local, ray = took["local"], took["ray"]
    return {
        "ray_overhead": ray.seconds / local.seconds - 1,
        "ray_seconds": ray.seconds,
        "ray_local_seconds": local.seconds,
    }
