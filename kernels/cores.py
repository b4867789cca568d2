"""How many threads are worth while here."""

import os

MAX_THREADS = 256
"""That an engine takes (CRISPCAST_MAX_THREADS)."""


def usable_cores() -> int:
    """Cores that this process may use, or as many of them as an engine takes threads."""
    allowed = getattr(os, "sched_getaffinity", None)
    found = os.cpu_count() or 1 if allowed is None else len(allowed(0))
    return min(found, MAX_THREADS)
