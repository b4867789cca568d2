"""A parser against mutated inputs, as quickly as it goes: `python -m tests.fuzz.blind PARSER …`.

    -runs=N -max_total_time=SECONDS -seed=N -artifact_prefix=P FOLDER …

Takes libFuzzer's flags and tells its figures, without its coverage, which costs readers of single
bits nine tenths of their time. Folders hold what is mutated: seeds, and the corpus that
`tests.fuzz.fuzzer` grew.
"""

from __future__ import annotations

import faulthandler
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.fuzz.harness import Finding, try_one
from tests.fuzz.mutators import MUTATORS
from tests.fuzz.parsers import PARSERS, Parser

_LOOK = 256  # inputs between two looks at the clock and at memory
_HANGS = 60.0  # seconds that so many may take at the very most
_MOST_MEMORY = 2 << 20
"""KiB that all inputs together may leave behind."""


def inputs(parser: Parser, good: list[bytes], rng: Random) -> Iterator[bytes]:
    """The good ones, and then without end what is made of them."""
    yield from good
    mutate = MUTATORS[parser.text]
    while True:
        yield mutate(rng.choice(good), rng)[: parser.most]


def try_all(parser: Parser, given: Iterator[bytes], runs: float, seconds: float) -> int:
    """Tries inputs, `runs` of them or for so long; how many. Raises what the last did wrong."""
    until = time.monotonic() + seconds
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for tried, data in enumerate(given):
            if tried >= runs:
                return tried
            if tried % _LOOK == 0:
                if time.monotonic() > until:
                    return tried
                faulthandler.dump_traceback_later(_HANGS, exit=True, file=2)
            try_one(parser, data)
            if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > _MOST_MEMORY:
                raise Finding(f"memory grew beyond {_MOST_MEMORY >> 10} MiB")
    finally:
        faulthandler.cancel_dump_traceback_later()
    raise AssertionError("inputs never end")


def main() -> None:
    """Exits with 1 where there is a finding, which is written to a file."""
    name, *arguments = sys.argv[1:]
    flags = dict(a[1:].split("=", 1) for a in arguments if a.startswith("-"))
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    parser = PARSERS[name]
    seed = int(flags.get("seed", time.time_ns() % 2**31))
    print(f"seed {seed}", flush=True)  # at once: an input that never ends can then be found again
    good = [path.read_bytes()[: parser.most] for folder in folders for path in folder.iterdir()]
    last = b""

    def kept() -> Iterator[bytes]:
        nonlocal last
        for data in inputs(parser, sorted(good), Random(seed)):
            last = data
            yield data

    runs, seconds = (float(flags.get(flag, "inf")) for flag in ("runs", "max_total_time"))
    try:
        tried = try_all(parser, kept(), runs, seconds)
    except Exception:
        traceback.print_exc()
        path = Path(f"{flags.get('artifact_prefix', '')}{name}-{seed}")
        path.write_bytes(last)
        print(f"written to {path}")
        sys.exit(1)
    print(f"stat::number_of_executed_units: {tried}")


if __name__ == "__main__":
    main()
