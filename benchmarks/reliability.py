"""What faults cost, and what more workers bring: `python -m benchmarks.reliability`.

    python -m benchmarks.reliability [--only PART …] [--quick] [--json FILE]

Every part is a module of its own, `benchmarks.reliability_PART`, with `TARGETS` and
`measure(folder, quick)`. `--json` keeps in the file the figures of the parts that are not run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import operator
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from rich.console import Console

PARTS = ("kills", "scaling", "ray", "fuzz", "tampering")
"""In the order in which they are run."""

MEETS: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}


class Part(Protocol):
    """What a part's module has."""

    TARGETS: Mapping[str, tuple[str, float]]
    """By figure, what it should be: `<=` or `>=`, and the bound."""

    def measure(self, folder: Path, quick: bool) -> dict[str, Any]:
        """The part's figures, by names that no other part has; `folder` is empty, and its own."""
        ...


def part_named(name: str) -> Part:
    """The module of a part."""
    return cast(Part, importlib.import_module(f"benchmarks.reliability_{name}"))


def told(figures: Mapping[str, Any], targets: Mapping[str, tuple[str, float]]) -> list[str]:
    """A line for each figure that is a number, with what it should be; MISSED where it is not."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, int | float):
            line = f"{name}: {value:.4g}"
            if name in targets:
                sign, bound = targets[name]
                missed = "" if MEETS[sign](value, bound) else ", MISSED"
                line += f"  (aim: {sign} {bound:g}{missed})"
            lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--quick", action="store_true", help="a short form of each, without aims")
    parser.add_argument("--json", type=Path, help="write the figures there, beside others' parts")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    figures: dict[str, Any] = {}
    if arguments.json is not None and arguments.json.exists():
        figures = json.loads(arguments.json.read_text())
    missed = False
    for name in arguments.only:
        part = part_named(name)
        with tempfile.TemporaryDirectory(prefix=f"crispcast-{name}-") as folder:
            found = part.measure(Path(folder), arguments.quick)
        figures.update(found)
        if arguments.json is not None:  # at once: a later part may take long
            arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
        for line in told(found, {} if arguments.quick else part.TARGETS):
            console.print(line)
            missed |= line.endswith("MISSED)")
    load = os.getloadavg()[0]
    console.print(f"cores: {os.cpu_count()}; load of the last minute, ours included: {load:.1f}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
