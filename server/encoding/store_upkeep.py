"""Upkeep of a store: what lies in it, what is damaged, what must go.

Nothing that a running encode uses is removed: its lease names it. Times of use order things, and
nothing else depends on the clock, which may have been wrong.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kernels.errors import CrispcastError
from server.encoding.store import MARKER, Store, contents, drop, lock_partial

DEFAULT_LIMIT = 20 << 30
"""Bytes the store may keep between encodes (CRISPCAST_STORE_LIMIT); the least used go first."""


@dataclass(frozen=True)
class Kept:
    """A finished artefact: its key, its job's name, its size in bytes, and when it was last used.

    `used` is in seconds since 1970. `job` is empty where the artefact does not say what it is.
    """

    key: str
    job: str
    bytes: int
    used: float


@dataclass(frozen=True)
class Unfinished:
    """What a killed job left to go on from: its folder, bytes, and when it was last worked on."""

    folder: Path
    bytes: int
    used: float


@dataclass(frozen=True)
class Removed:
    """What was removed: artefacts, what unfinished jobs left, and the bytes of both."""

    artefacts: int
    partials: int
    bytes: int


def list_store(store: Store) -> list[Kept]:
    """All finished artefacts, the least used first."""
    kept = []
    for marker in (store.root / "objects").glob(f"*/*/{MARKER}"):
        key = marker.parent.name
        try:
            used = marker.stat().st_mtime
        except OSError:
            continue  # somebody removes it
        try:
            facts = json.loads(marker.read_bytes())
            kept.append(Kept(key, str(facts["job"]), int(facts["bytes"]), used))
        except (OSError, ValueError, KeyError, TypeError):
            kept.append(Kept(key, "", 0, used))
    return sorted(kept, key=lambda each: each.used)


def verify_store(store: Store) -> Iterator[tuple[Kept, bool]]:
    """Every artefact, and whether it is whole; one that is not is removed, to be made again."""
    for kept in list_store(store):
        folder = store.object(kept.key)
        try:
            marker = (folder / MARKER).open("rb")
        except OSError:
            continue  # somebody removed it
        with marker:
            whole = _is_whole(folder, marker)
            if not whole and not store.drop_judged(folder, marker):
                continue  # somebody did while it was looked at
        yield kept, whole


def _is_whole(folder: Path, marker: IO[bytes]) -> bool:
    try:
        facts = json.loads(marker.read())
        return contents(folder) == (facts["sha256"], facts["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def tidy(store: Store, limit: int | None = None) -> Removed:
    """Remove what killed jobs left and nobody goes on from, and the least used above `limit` bytes.

    What running encodes use stays, whatever the limit. One tidies at a time; another returns at
    once. `limit` None: CRISPCAST_STORE_LIMIT or DEFAULT_LIMIT. Raises CrispcastError where that is
    no number.
    """
    limit = _default_limit() if limit is None else limit
    with (store.root / "tidying").open("a") as alone:
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Removed(0, 0, 0)
        _finish_removing(store)
        partials = _sweep(store)
        known: list[Kept | Unfinished] = [*list_store(store), *_unfinished(store)]
        total, artefacts, freed = sum(each.bytes for each in known), 0, 0
        for each in sorted(known, key=lambda each: each.used):
            if total - freed <= limit:
                break
            if isinstance(each, Unfinished):
                if not _drop_unfinished(each):
                    continue
                partials += 1
            else:
                with store.held(exclusive=True):
                    if each.key in _in_use(store):
                        continue
                    drop(store.object(each.key))
                artefacts += 1
            freed += each.bytes
        return Removed(artefacts, partials, freed)


def _finish_removing(store: Store) -> None:
    """A kill may have come between a folder's new name and its end."""
    for pattern in ("objects/*/gone-*", "partial/gone-*"):
        for gone in store.root.glob(pattern):
            shutil.rmtree(gone, ignore_errors=True)


def _sweep(store: Store) -> int:
    """Halves of artefacts, and whatever of jobs that are done or have no checkpoint.

    Of jobs that nobody works on now; how many were removed altogether.
    """
    count = 0
    for partial in (store.root / "partial").iterdir():
        with suppress(OSError), lock_partial(partial, wait=False):
            if store.object(partial.name).exists() or not _checkpoints(partial):
                drop(partial)
                count += 1
            else:
                shutil.rmtree(partial / "out", ignore_errors=True)
    return count


def _unfinished(store: Store) -> Iterator[Unfinished]:
    for partial in (store.root / "partial").iterdir():
        with suppress(OSError):  # it ends just now
            files = [path.stat() for path in _checkpoints(partial)]
            if files:
                size = sum(file.st_size for file in files)
                yield Unfinished(partial, size, max(file.st_mtime for file in files))


def _checkpoints(partial: Path) -> list[Path]:
    return [path for path in (partial / "checkpoint").rglob("*") if path.is_file()]


def _drop_unfinished(unfinished: Unfinished) -> bool:
    """False where somebody works on it."""
    try:
        with lock_partial(unfinished.folder, wait=False):
            drop(unfinished.folder)
    except OSError:
        return False
    return True


def _in_use(store: Store) -> set[str]:
    """Keys of the leases whose encodes live; other leases are removed."""
    used: set[str] = set()
    for path in (store.root / "leases").iterdir():
        with suppress(OSError), path.open() as lease:
            try:
                fcntl.flock(lease, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                used.update(lease.read().split())
            else:
                path.unlink(missing_ok=True)
    return used


def _default_limit() -> int:
    """CRISPCAST_STORE_LIMIT, or DEFAULT_LIMIT. Raises CrispcastError where it is no number."""
    named = os.environ.get("CRISPCAST_STORE_LIMIT")
    return DEFAULT_LIMIT if named is None else parse_bytes(named, "CRISPCAST_STORE_LIMIT")


def parse_bytes(text: str, what: str) -> int:
    """A size such as 500M, 20G or 1073741824 in bytes; K, M, G and T are powers of 1024.

    Raises CrispcastError that names `what` where it is none.
    """
    number, unit = text.strip(), 1
    if number[-1:].upper() in tuple("KMGT"):
        unit = 1024 ** (1 + "KMGT".index(number[-1].upper()))
        number = number[:-1]
    if not (number.isascii() and number.isdecimal()) or len(number) > 15:
        raise CrispcastError(f"{what} is {text!r}; give a number of bytes, or such as 500M or 20G")
    return int(number) * unit


def open_store(path: Path) -> Store:
    """A store that is there. Raises CrispcastError where there is none."""
    if not (path / "objects").is_dir():
        raise CrispcastError(f"{path} is no store; `crispcast encode` makes one, --store names it")
    return Store(path)
