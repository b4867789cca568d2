"""Upkeep of a store: what lies in it, what is damaged, what must go.

Nothing that a running encode uses is removed: its lease names it.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kernels.errors import CrispcastError
from server.encoding.store import MARKER, Store, contents, drop, lock_partial

DEFAULT_LIMIT = 20 << 30
"""Bytes the store may keep between encodes (CRISPCAST_STORE_LIMIT); the least used go first."""

_STALE_SECONDS = 7 * 24 * 3600


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
class Removed:
    """What was removed: artefacts, unfinished jobs, and bytes of artefacts."""

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
            facts = json.loads((folder / MARKER).read_bytes())
            whole = contents(folder) == (facts["sha256"], facts["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            with store.held(exclusive=True):
                drop(folder)
        yield kept, whole


def tidy(store: Store, limit: int | None = None) -> Removed:
    """Remove partials older than a week, and the least used artefacts above `limit` bytes.

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
        partials = _drop_stale(store)
        known = list_store(store)
        total, count, freed = sum(kept.bytes for kept in known), 0, 0
        for kept in known:
            if total - freed <= limit:
                break
            with store.held(exclusive=True):
                if kept.key in _in_use(store):
                    continue
                drop(store.object(kept.key))
            count, freed = count + 1, freed + kept.bytes
        return Removed(count, partials, freed)


def _finish_removing(store: Store) -> None:
    """A kill may have come between a folder's new name and its end."""
    for pattern in ("objects/*/gone-*", "partial/gone-*"):
        for gone in store.root.glob(pattern):
            shutil.rmtree(gone, ignore_errors=True)


def _drop_stale(store: Store) -> int:
    """Partials that nobody works on and nobody did for a week."""
    count = 0
    for partial in (store.root / "partial").iterdir():
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                with lock_partial(partial, wait=False):
                    drop(partial)
                count += 1
    return count


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
