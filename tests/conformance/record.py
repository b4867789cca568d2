"""Writes the recordings anew: `python -m tests.conformance.record [FOLDER]`.

What comes of each step is what the core makes of it by its Python binding, with the portable
kernels, which round alike on every processor. The outcomes of the first 24 cases were made by
another implementation, in Python, that shared no code with the core: a recording that changes is
a change of behaviour, and has to be meant.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conformance.cases import CASES, Script
from tests.conformance.core_face import CoreFace
from tests.conformance.recording import FIXTURES, FOLDER, Blob, line_of


def record(script: Script, blob: Blob) -> list[str]:
    """The lines of a case."""
    face = CoreFace()
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
