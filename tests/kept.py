"""What tests build once: folders under `.cache/native`, by the hash of what they are made of."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

KEPT = Path(__file__).parents[1] / ".cache" / "native"


def kept(name: str, parts: Iterable[bytes], make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills, once for each content of `parts`; several may ask."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    folder = KEPT / f"{name}-{digest.hexdigest()[:16]}"
    if not folder.exists():
        made = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(made, ignore_errors=True)  # of one that failed
        made.mkdir(parents=True)
        make(made)
        try:
            made.rename(folder)
        except OSError:  # another run was quicker
            shutil.rmtree(made)
    return folder


def replaying(name: str, build: Path, *sources: Path) -> Path:
    """The folder of the programs that the fuzzers' script `build` makes of folders of `sources`.

    They run files through a fuzzer without libFuzzer, under sanitizers. Skips without g++.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is missing: apt-get install g++")
    files = sorted(path for folder in sources for path in folder.glob("*/*") if path.is_file())
    read = (path.read_bytes() for path in files if path.suffix in {".cpp", ".h", ".sh", ""})
    environment = {**os.environ, "CXX": compiler}

    def make(folder: Path) -> None:
        subprocess.run([build, folder, "replay"], check=True, env=environment)

    return kept(name, read, make)
