"""Writes the recordings anew: `python -m tests.conformance.record [FOLDER]`.

What should come of each step is what the Python client's own parts make of it, with the portable
kernels, which round alike on every processor.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conformance.cases import CASES, Script
from tests.conformance.python_face import PythonFace
from tests.conformance.recording import FIXTURES, FOLDER, Blob, line_of


def record(script: Script, blob: Blob) -> list[str]:
    """The lines of a case."""
    face = PythonFace()
    lines = []
    pictures = [
        {
            "do": "picture",
            "sha256": name,
            "width": luma.shape[1],
            "height": luma.shape[0],
            "bytes": luma.tobytes(),
        }
        for name, luma in script.drawn.pictures.items()
    ]
    for step in (script.steps[0], *pictures, *script.steps[1:]):
        played = dict(step)
        if "text" in played:
            played["bytes"] = json.dumps(played.pop("text"), separators=(",", ":")).encode()
        outcome = face.play(played)
        facts = dict(outcome.facts)
        if outcome.planes:
            facts["out"] = blob.place(outcome.planes)
        lines.append(line_of(step, facts, blob))
    return lines


def main(folder: Path) -> None:
    """Write all cases."""
    folder.mkdir(parents=True, exist_ok=True)
    blob = Blob()
    for name, case in CASES.items():
        lines = record(case(), blob)
        (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / FIXTURES).write_bytes(blob.data)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
