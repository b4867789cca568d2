"""docs/mobile-export.md, what goes wrong in each language: the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.cases import CASES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "mobile-export.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## What goes wrong, in each language")[1]


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", SECTION)
    assert len(set(named)) > 12
    files = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    for file, test in named:
        assert re.search(rf"^ *def {test}\(", files[file], re.MULTILINE), f"{file}::{test}"


def test_every_recording_that_the_page_names_is_there() -> None:
    (line,) = [line for line in SECTION.splitlines() if "recordings `" in line]
    named = re.findall(r"`(\w+)`", line.split(":")[0])
    assert len(named) == 4
    assert set(named) <= set(CASES)
