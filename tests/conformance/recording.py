"""Recordings of conformance cases: how they lie in files. The format: docs/sdk-core.md.

NAME.jsonl      a step a line: a flat JSON object with what is done and what came of it
fixtures.bin    the bytes that steps name by `at` and `size`, each once
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conformance.cases import Step

__all__ = ["FACTS", "FIXTURES", "FOLDER", "Blob", "Facts", "Step", "line_of", "steps_of"]

Facts = dict[str, Any]

FOLDER = Path(__file__).parent / "recordings"
FIXTURES = "fixtures.bin"
FACTS = ("refused", "asked", "number", "rung", "shown", "landed", "super_resolved", "late", "out")
"""What came of a step; the rest says what was done."""


class Blob:
    """Bytes that several steps may share."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._places: dict[bytes, int] = {}

    def place(self, data: bytes) -> int:
        """Where these bytes lie."""
        if data not in self._places:
            self._places[data] = len(self.data)
            self.data += data
        return self._places[data]


def line_of(step: Step, facts: dict[str, Any], blob: Blob) -> str:
    """The line of a step."""
    fields = dict(step)
    data = fields.pop("bytes", None)
    if data is not None:
        fields |= {"at": blob.place(data), "size": len(data)}
    return json.dumps({**fields, **facts}, separators=(",", ":"))


def steps_of(name: str, folder: Path = FOLDER) -> list[tuple[Step, dict[str, Any]]]:
    """The steps of a case and what came of each."""
    blob = (folder / FIXTURES).read_bytes()
    steps = []
    for line in (folder / f"{name}.jsonl").read_text().splitlines():
        fields: dict[str, Any] = json.loads(line)
        facts = {key: fields.pop(key) for key in FACTS if key in fields}
        if "at" in fields:
            at, size = fields.pop("at"), fields.pop("size")
            fields["bytes"] = blob[at : at + size]
        if "text" in fields:
            fields["bytes"] = json.dumps(fields.pop("text"), separators=(",", ":")).encode()
        steps.append((fields, facts))
    return steps
