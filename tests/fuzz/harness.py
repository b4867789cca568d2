"""Runs a parser on one input, and says what was wrong with how it took it."""

from __future__ import annotations

import resource
import time

from tests.fuzz.parsers import Parser

MOST_SECONDS = 1.0
"""Of processor time that an input may take."""
MOST_MEMORY = 256 << 10
"""KiB by which an input may raise the most memory that the process ever had."""


class Finding(Exception):  # noqa: N818 - what a fuzzer is for
    """An input that does harm."""


def try_one(parser: Parser, data: bytes) -> bool:
    """Whether the parser takes the bytes; raises Finding, or what it may not raise."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.thread_time()
    try:
        parser.read(data)
        taken = True
    except parser.refuses:
        taken = False
    spent = time.thread_time() - began
    if spent > MOST_SECONDS:
        raise Finding(f"an input of {len(data)} bytes took {spent:.1f} s")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > MOST_MEMORY:
        raise Finding(f"an input of {len(data)} bytes took {grown >> 10} MiB")
    return taken
