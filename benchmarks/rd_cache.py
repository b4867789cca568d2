"""Results kept on disk, one JSON file each, named by the SHA-256 of what determines them.

    facts ──SHA-256──► FOLDER/KIND/<hash>.json ── there, and of these facts? ──► result
                                               └─ else ──► make() ──► written whole, then renamed

So a benchmark that was killed goes on where it was, and a damaged file is made again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from kernels.errors import CrispcastError
from overfit.video import VideoInfo, probe

Json = dict[str, Any]


def default_work() -> Path:
    """Where results are kept unless `--work` says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crispcast" / "rd"


@dataclass(frozen=True)
class Cache:
    """A folder of results."""

    folder: Path

    def path(self, kind: str, facts: Mapping[str, Any], suffix: str = ".json") -> Path:
        """The file of these facts; its folder is there."""
        digest = hashlib.sha256(_canonical(facts)).hexdigest()
        folder = self.folder / kind
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrispcastError(
                f"{folder}: cannot be written ({error.strerror}); choose another --work"
            ) from error
        return folder / f"{digest[:32]}{suffix}"

    def get(self, kind: str, facts: Mapping[str, Any], make: Callable[[], Json]) -> Json:
        """The kept result of these facts, or `make()`, which is then kept."""
        path = self.path(kind, facts)
        found = self.find(kind, facts)
        if found is not None:
            return found
        result = make()
        write_whole(path, json.dumps({"facts": facts, "result": result}).encode())
        return result

    def find(self, kind: str, facts: Mapping[str, Any]) -> Json | None:
        """The kept result of these facts; None where there is none, or a damaged one."""
        try:
            kept = json.loads(self.path(kind, facts).read_bytes())
            whole = _canonical(kept["facts"]) == _canonical(facts)
            return dict(kept["result"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it: it is whole or it is not there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CrispcastError(
            f"{path}: cannot be written ({error.strerror}); free some space, or choose another "
            "--work"
        ) from error


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Clip:
    """A whole clip: its file, the SHA-256 (hex) of its bytes, and what `probe` found."""

    path: Path
    sha256: str
    info: VideoInfo

    @classmethod
    def of(cls, path: Path) -> "Clip":
        """Read the facts. Raises VideoError: no such file, or no video."""
        info = probe(path)
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256").hexdigest(), info)

    @property
    def name(self) -> str:
        """What it is called in tables: the file's name without its suffix."""
        return self.path.stem

    def kbps(self, size: int) -> float:
        """kb/s (1000 bits) of `size` bytes spread over the clip."""
        return float(Fraction(size * 8, 1000) / self.info.duration)

    def bits_per_pixel(self, size: int) -> float:
        """Bits of `size` bytes for each luma sample of each frame."""
        return size * 8 / (self.info.width * self.info.height * self.info.frames)
