"""Memory that a training step frees is kept for the next one, which asks for as much.

The C library of Linux (glibc) gives freed memory back to the system at once where it lies at the
heap's end or is large, and the system clears every page that is asked for again: a fifth to a third
of a training's time, or none, by what else lies on the heap. mallopt(3) has what is set here.
"""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT = {
    _TRIM_THRESHOLD: 512 << 20,  # bytes that may lie free at the heap's end
    _TOP_PAD: 64 << 20,  # bytes that it grows by
    _MMAP_THRESHOLD: 32 << 20,  # bytes of a block that is not of the heap; glibc takes no more
}


@cache
def keep_freed_memory() -> bool:
    """Do so in this process, from now on; False where the C library is another."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(what, size) == 1 for what, size in _KEPT.items())
