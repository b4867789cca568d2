"""The content-addressed store of artefacts, where a killed encode finds what it had done.

    STORE/objects/ab/abcd…/        a finished artefact: its files and artefact.json
    STORE/partial/abcd…/out/       what a running job writes; emptied when the job starts again
    STORE/partial/abcd…/checkpoint survives a kill, so that training goes on from it

An artefact is renamed into `objects` when it is whole, so whatever is there is whole.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kernels.errors import CrispcastError
from server.encoding.graph import canonical, hash_file

DEFAULT_LIMIT = 20 << 30
"""Bytes the store may keep between encodes (CRISPCAST_STORE_LIMIT); the least used go first."""

_STALE_SECONDS = 7 * 24 * 3600


def default_store() -> Path:
    """CRISPCAST_STORE, or `crispcast/store` in the user's cache folder."""
    named = os.environ.get("CRISPCAST_STORE")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "crispcast" / "store"


def _lock(partial: Path) -> IO[str]:
    """Make the folder and take its lock; whoever held it before may have removed both."""
    path = partial / "lock"
    while True:
        try:
            partial.mkdir(exist_ok=True)
            lock = path.open("w")
        except (FileExistsError, FileNotFoundError):
            continue  # it went between the two
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()


def _drop(partial: Path) -> None:
    """Remove a partial; renamed first, so that nobody comes upon half of it."""
    gone = partial.with_name(f"gone-{secrets.token_hex(8)}")
    with suppress(OSError):
        partial.rename(gone)
    for _ in range(3):  # somebody may have been about to open the lock
        shutil.rmtree(gone, ignore_errors=True)


def _default_limit() -> int:
    """CRISPCAST_STORE_LIMIT, or DEFAULT_LIMIT. Raises CrispcastError where it is no number."""
    named = os.environ.get("CRISPCAST_STORE_LIMIT")
    if named is None:
        return DEFAULT_LIMIT
    if not named.isdecimal():
        raise CrispcastError(f"CRISPCAST_STORE_LIMIT is {named!r}; give a number of bytes")
    return int(named)


@dataclass(frozen=True)
class Artefact:
    """A finished result: its folder, the SHA-256 of its files' names and bytes, and their size."""

    folder: Path
    sha256: str
    bytes: int


class Store:
    """A folder of artefacts by key; safe for several processes and for kills at any moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            for name in ("objects", "partial"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrispcastError(
                f"{root}: cannot keep intermediate results there ({error.strerror}); "
                "choose another folder with --store or CRISPCAST_STORE"
            ) from error

    def find(self, key: str) -> Artefact | None:
        """The finished artefact of a key, or None."""
        folder = self._object(key)
        try:
            facts = json.loads((folder / "artefact.json").read_bytes())
            os.utime(folder / "artefact.json")
        except (OSError, ValueError):
            return None
        return Artefact(folder, facts["sha256"], facts["bytes"])

    @contextmanager
    def working(self, key: str) -> Iterator[tuple[Path, Path]]:
        """Folders (out, checkpoint) for doing the job of `key`; other processes wait meanwhile."""
        partial = self.root / "partial" / key
        with _lock(partial):
            # The one who held the lock may have finished the job, and removed the folder.
            out, checkpoint = partial / "out", partial / "checkpoint"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            checkpoint.mkdir(exist_ok=True)
            try:
                yield out, checkpoint
            finally:
                if self._object(key).exists():
                    _drop(partial)
                else:
                    shutil.rmtree(out, ignore_errors=True)

    def finish(self, key: str, name: str) -> Artefact:
        """Turn the `out` folder of `key`, whose job `name` is done, into its artefact."""
        partial = self.root / "partial" / key
        files = {
            str(path.relative_to(partial / "out")): (hash_file(path), path.stat().st_size)
            for path in sorted((partial / "out").rglob("*"))
            if path.is_file()
        }
        facts = {
            "job": name,
            "sha256": hashlib.sha256(canonical(files)).hexdigest(),
            "bytes": sum(size for _, size in files.values()),
        }
        (partial / "out" / "artefact.json").write_bytes(canonical(facts))
        folder = self._object(key)
        folder.parent.mkdir(exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        (partial / "out").rename(folder)
        found = self.find(key)
        assert found is not None
        return found

    def tidy(self, limit: int | None = None) -> None:
        """Remove partials older than a week, and the least used artefacts above `limit` bytes."""
        if limit is None:
            limit = _default_limit()
        for partial in (self.root / "partial").iterdir():
            with suppress(OSError):
                if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(partial, ignore_errors=True)
        known = []
        for marker in (self.root / "objects").glob("*/*/artefact.json"):
            with suppress(OSError, ValueError):  # another process may be tidying too
                size = json.loads(marker.read_bytes())["bytes"]
                known.append((marker.stat().st_mtime, size, marker.parent))
        total = sum(size for _, size, _ in known)
        for _, size, folder in sorted(known):
            if total <= limit:
                break
            shutil.rmtree(folder, ignore_errors=True)
            total -= size

    def _object(self, key: str) -> Path:
        return self.root / "objects" / key[:2] / key
