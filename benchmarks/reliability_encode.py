"""One encode of `benchmarks.reliability_kills`, in a process that may kill its whole group.

    python -m benchmarks.reliability_encode CLIP TARGET STORE STEPS CHUNKS WORKERS [KIND:WHERE]

KIND:WHERE says when: `stage:expert-0`, as that job begins; `change:17`, just before the 17th
change of a folder in the store or beside the package; `checkpoint:1`, as the first checkpoint is
written and not yet in its place. Every job that begins and every change is a line on stdout.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from server.encoding import EncodeConfig, encode
from server.encoding.progress import EncodeProgress

CHANGES = frozenset({"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.copyfile"})
"""Python's audit events that tell of them: https://docs.python.org/3.11/library/audit_events.html.
"""


class Witness:
    """Says what happens, and ends the process group when it is time."""

    def __init__(self, folder: Path, when: str) -> None:
        self._folder = str(folder)
        self._kind, _, self._where = when.partition(":")
        self._stages = set[str]()
        self._changes = self._checkpoints = 0

    def progress(self, news: EncodeProgress) -> None:
        """A job begins where it is heard of for the first time."""
        if news.job not in self._stages and not news.reused:
            self._stages.add(news.job)
            self._happened("stage", news.job)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """A change of a folder; those of checkpoints, which come by the clock, apart."""
        if event not in CHANGES or not str(arguments[0]).startswith(self._folder):
            return
        if str(arguments[0]).endswith(".part"):
            self._checkpoints += 1
            self._happened("checkpoint", str(self._checkpoints))
        else:
            self._changes += 1
            self._happened("change", str(self._changes))

    def _happened(self, kind: str, where: str) -> None:
        print(f"{kind}:{where}", flush=True)
        if (kind, where) == (self._kind, self._where):
            os.killpg(0, signal.SIGKILL)


def main() -> None:
    clip, target, store, steps, chunks, workers, *when = sys.argv[1:]
    witness = Witness(Path(store).parent, when[0] if when else "")
    config = EncodeConfig(
        Path(clip),
        Path(target),
        store=store,
        preset="fast",
        scale=2,
        steps=int(steps),
        chunks=int(chunks),
        workers=int(workers),
        threads=1,
    )
    sys.addaudithook(witness.audit)
    encode(config, witness.progress)


if __name__ == "__main__":
    main()
