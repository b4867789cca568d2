"""The content-addressed store of artefacts, where a killed encode finds what it had done.

    STORE/objects/ab/abcd…/        a finished artefact: its files and artefact.json
    STORE/partial/abcd…/out/       what a running job writes; emptied when the job starts again
    STORE/partial/abcd…/checkpoint survives a kill, so that training goes on from it
    STORE/leases/…                 what running encodes use, which is not tidied away

An artefact is renamed into `objects` when it is whole, so whatever is there was whole; that it
still is, is checked by its hash when it is first found. `store_upkeep` lists, checks and tidies.
"""

import copy
import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from kernels.errors import CrispcastError
from server.encoding.graph import canonical, hash_file

MARKER = "artefact.json"

log = logging.getLogger("crispcast.store")


def default_store() -> Path:
    """CRISPCAST_STORE, or `crispcast/store` in the user's cache folder."""
    named = os.environ.get("CRISPCAST_STORE")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "crispcast" / "store"


@dataclass(frozen=True)
class Artefact:
    """A finished result: its folder, the SHA-256 of its files' names and bytes, and their size."""

    key: str
    folder: Path
    sha256: str
    bytes: int


class Store:
    """A folder of artefacts by key; safe for several processes and for kills at any moment.

    `lease`: the file of a `leased` store in whose name others work too, in their own processes.
    """

    def __init__(self, root: Path, lease: Path | None = None) -> None:
        self.root, self.lease = root, lease
        self._whole: set[str] = set()  # keys that were checked
        try:
            for name in ("objects", "partial", "leases"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrispcastError(
                f"{root}: cannot keep intermediate results there ({error.strerror}); "
                "choose another folder with --store or CRISPCAST_STORE"
            ) from error

    @contextmanager
    def leased(self) -> Iterator[Self]:
        """The store, all of whose artefacts that are found or made meanwhile stay."""
        path = self.root / "leases" / secrets.token_hex(8)
        with ExitStack() as stack:
            with self.held():  # whoever tidies removes leases that nobody has locked
                lease = stack.enter_context(path.open("x"))
                fcntl.flock(lease, fcntl.LOCK_EX)  # gone with the process, however that ends
            try:
                leased = copy.copy(self)
                leased.lease = path
                yield leased
            finally:
                path.unlink(missing_ok=True)

    def find(self, key: str) -> Artefact | None:
        """The finished artefact of a key, or None; a damaged one is dropped, to be made again."""
        opened = self._open(key)
        if opened is None:
            return None
        found, marker = opened
        with marker:
            if self._is_whole(key, found):
                return found
            if self.drop_judged(found.folder, marker):
                log.warning("artefact %s is damaged; it is made again", key[:16])
                return None
        return self.find(key)

    def drop_judged(self, folder: Path, marker: IO[bytes]) -> bool:
        """Drop an artefact that was found damaged; False where it is gone, or another is there.

        `marker`: its MARKER, opened before it was looked at. Hashing takes its time, and somebody
        else may have dropped the artefact meanwhile and made it again. While the file is open, no
        other has its inode.
        """
        with self.held(exclusive=True):
            try:
                there = (folder / MARKER).stat()
            except OSError:
                return False
            if not os.path.samestat(os.fstat(marker.fileno()), there):
                return False
            drop(folder)
            return True

    def _open(self, key: str) -> tuple[Artefact, IO[bytes]] | None:
        """What a key's artefact says that it is, and its MARKER, open; None where there is none."""
        path = self.object(key) / MARKER
        with self.held(), ExitStack() as stack:
            self._keep(key)
            try:
                marker = stack.enter_context(path.open("rb"))
                facts = json.loads(marker.read())
                os.utime(path)
                found = Artefact(key, path.parent, str(facts["sha256"]), int(facts["bytes"]))
            except (OSError, ValueError, KeyError, TypeError):
                return None
            stack.pop_all()
            return found, marker

    def _is_whole(self, key: str, found: Artefact) -> bool:
        with suppress(OSError):
            if key in self._whole or contents(found.folder) == (found.sha256, found.bytes):
                self._whole.add(key)
                return True
        return False

    @contextmanager
    def working(self, key: str) -> Iterator[tuple[Path, Path]]:
        """Folders (out, checkpoint) for doing the job of `key`; other processes wait meanwhile."""
        partial = self.root / "partial" / key
        with lock_partial(partial):
            # The one who held the lock may have finished the job, and removed the folder.
            out, checkpoint = partial / "out", partial / "checkpoint"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            checkpoint.mkdir(exist_ok=True)
            try:
                yield out, checkpoint
            finally:
                if self.object(key).exists():
                    drop(partial)
                else:
                    shutil.rmtree(out, ignore_errors=True)

    def finish(self, key: str, name: str) -> Artefact:
        """Turn the `out` folder of `key`, whose job `name` is done, into its artefact."""
        out, folder = self.root / "partial" / key / "out", self.object(key)
        sha256, size = contents(out)
        (out / MARKER).write_bytes(canonical({"job": name, "sha256": sha256, "bytes": size}))
        folder.parent.mkdir(exist_ok=True)
        with self.held():
            self._keep(key)
            shutil.rmtree(folder, ignore_errors=True)
            out.rename(folder)
        self._whole.add(key)
        return Artefact(key, folder, sha256, size)

    @contextmanager
    def held(self, *, exclusive: bool = False) -> Iterator[None]:
        """Nothing is tidied away meanwhile; `exclusive`: by whom tidies."""
        with (self.root / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield

    def place(self, key: str) -> Path:
        """The folder of an artefact that was found or made."""
        return self.object(key)

    def source(self, path: Path, sha256: str) -> Path:
        """Where a video from outside lies for who works here."""
        return path

    def object(self, key: str) -> Path:
        """Where the artefact of a key lies, or would."""
        return self.root / "objects" / key[:2] / key

    def _keep(self, key: str) -> None:
        if self.lease is not None:
            with self.lease.open("a") as lease:
                lease.write(f"{key}\n")  # one write of few bytes: whole, or not there


def contents(folder: Path) -> tuple[str, int]:
    """SHA-256 (hex) of the names and bytes of an artefact's files, and their size in bytes."""
    files = {
        str(path.relative_to(folder)): (hash_file(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MARKER
    }
    return hashlib.sha256(canonical(files)).hexdigest(), sum(size for _, size in files.values())


def lock_partial(partial: Path, *, wait: bool = True) -> IO[str]:
    """Make the folder and take its lock; whoever held it before may have removed both.

    Raises BlockingIOError where somebody has it and `wait` is not wanted.
    """
    path = partial / "lock"
    while True:
        try:
            partial.mkdir(parents=True, exist_ok=True)
            lock = path.open("w")
        except (FileExistsError, FileNotFoundError):
            continue  # it went between the two
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            lock.close()
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()


def drop(folder: Path) -> None:
    """Remove a partial or an artefact; renamed first, so that nobody comes upon half of it."""
    gone = folder.with_name(f"gone-{secrets.token_hex(8)}")
    with suppress(OSError):
        folder.rename(gone)
    for _ in range(3):  # somebody may have been about to open the lock
        shutil.rmtree(gone, ignore_errors=True)
