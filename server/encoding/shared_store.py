"""A store that several machines share: artefacts at a URL that fsspec knows, a copy at hand.

    URL/objects/ab/abcd…/<sha256>/FILES      what one machine made, under the hash of its files
    URL/objects/ab/abcd…/artefact.json       comes last, and says which of them counts
    URL/sources/<sha256>                     the videos, for who has them not

What comes from there is checked by its hash; what is wrong loses its artefact.json, so that it is
made again, or sent again by who has it. Machines may send the same artefact at once, and may be
lost in the midst of it; what they made may differ in its bytes (training on another processor). So
each has a folder of its own, and whatever half of another one lies beside it does no harm.
Without a folder, the files are beside artefact.json: so they were sent before.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernels.errors import CrispcastError
from server.encoding.graph import hash_file
from server.encoding.store import (
    MARKER,
    Artefact,
    Store,
    contents,
    default_store,
    drop,
    lock_partial,
)

log = logging.getLogger("crispcast.store")

WAITS = (0.5, 2.0, 8.0)
"""Seconds before each further try to reach the shared store."""

_FINAL = (FileNotFoundError, NotADirectoryError, PermissionError, NotImplementedError, ValueError)
"""What no other try will change."""


def open_any_store(place: str | Path | None, cache: Path | None = None) -> Store:
    """The store of a folder, of a URL (`s3://bucket/folder`), or `default_store()`.

    `cache`: the folder for copies of what lies at a URL; None: `default_store()`.
    """
    if place is None:
        return Store(default_store())
    if "://" in str(place):
        return SharedStore(str(place), cache or default_store())
    return Store(Path(place))


class SharedStore(Store):
    """A local store in front of a shared one. Raises CrispcastError where that cannot be reached.

    `url`: scheme and folder; what the scheme wants (keys of an S3 bucket, for example) fsspec takes
    from the environment.
    """

    def __init__(self, url: str, cache: Path, lease: Path | None = None) -> None:
        super().__init__(cache, lease)
        self.url = url.rstrip("/")
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise CrispcastError(
                f"{url}: a store at a URL needs fsspec; pip install 'crispcast[ray]'"
            ) from error
        try:
            self._files, self._folder = fsspec.core.url_to_fs(self.url)
        except Exception as error:
            raise self._unreachable(error) from error
        self._sent: set[str] = set()
        """Keys that the shared store has, as far as is known here."""
        self._wrong: set[str] = set()
        """Keys of which it has something damaged, to be written over."""

    def find(self, key: str) -> Artefact | None:
        """As `Store.find`; what is not at hand comes from the shared store.

        What that has not, since it could not be sent when it was made, is sent now.
        """
        found = super().find(key)
        if found is not None:
            self._send(found)
        elif self._fetch(key):
            self._sent.add(key)
            found = super().find(key)
        return found

    def finish(self, key: str, name: str) -> Artefact:
        """As `Store.finish`; others find it too from then on."""
        made = super().finish(key, name)
        self._send(made)
        return made

    def place(self, key: str) -> Path:
        """As `Store.place`; fetched where it is not at hand."""
        found = self.find(key)
        if found is None:
            raise CrispcastError(f"{self.url} has lost artefact {key[:16]}; start the encode again")
        return found.folder

    def add_source(self, path: Path, sha256: str) -> None:
        """Put a video where other machines find it."""
        there = f"{self._folder}/sources/{sha256}"
        if not self._has(there, path.stat().st_size):
            self._ask("makedirs", f"{self._folder}/sources", exist_ok=True)
            self._ask("put_file", str(path), there)

    def source(self, path: Path, sha256: str) -> Path:
        """The video itself where it is here, else a copy of what `add_source` put there.

        A copy is kept as an artefact is, and tidied away like one.
        """
        if path.is_file() and hash_file(path) == sha256:
            return path
        found = super().find(sha256)
        if found is None:
            with self.working(sha256) as (out, _):
                found = super().find(sha256)
                if found is None:
                    there = f"{self._folder}/sources/{sha256}"
                    try:
                        self._ask("get_file", there, str(out / "video"))
                    except FileNotFoundError as error:
                        raise self._unreachable(error) from error
                    if hash_file(out / "video") != sha256:
                        raise CrispcastError(f"{self.url}: video {sha256[:16]} is damaged there")
                    found = super().finish(sha256, "source")
        return found.folder / "video"

    def at_home(self) -> SharedStore:
        """The same store as another machine has it: with copies in its own folder."""
        return SharedStore(self.url, default_store())

    def _send(self, made: Artefact) -> None:
        """Copy an artefact to the shared store, unless it has one; its marker comes last."""
        if made.key in self._sent:
            return
        there = self._object(made.key)
        if made.key in self._wrong or not self._ask("exists", f"{there}/{MARKER}"):
            marker = made.folder / MARKER
            for path in sorted(made.folder.rglob("*")):
                if path.is_file() and path != marker:
                    name = path.relative_to(made.folder).as_posix()
                    self._put(path, f"{there}/{made.sha256}/{name}")
            self._put(marker, f"{there}/{MARKER}")
        self._sent.add(made.key)
        self._wrong.discard(made.key)

    def _put(self, here: Path, there: str) -> None:
        self._ask("makedirs", there.rpartition("/")[0], exist_ok=True)
        self._ask("put_file", str(here), there)

    def _fetch(self, key: str) -> bool:
        """Copy an artefact from the shared store; False where it has none that is whole."""
        there, folder = self._object(key), self.object(key)
        if not self._ask("exists", f"{there}/{MARKER}"):
            return False
        coming = self.root / "partial" / f"come-{secrets.token_hex(8)}"
        with lock_partial(coming):
            try:
                here = self._copy(there, coming)
                if here is None:
                    log.warning("%s: artefact %s is damaged; it is made again", self.url, key[:16])
                    self._wrong.add(key)
                    with suppress(CrispcastError):  # who may not remove may yet write it over
                        self._ask("rm_file", f"{there}/{MARKER}")
                    return False
                folder.parent.mkdir(exist_ok=True)
                with self.held(), suppress(OSError):  # another process may have been sooner
                    here.rename(folder)
                return True
            finally:
                drop(coming)

    def _copy(self, there: str, coming: Path) -> Path | None:
        """The folder in `coming` with a whole copy of an artefact; None where it is not whole."""
        here = coming / "out"
        here.mkdir()
        try:
            self._ask("get_file", f"{there}/{MARKER}", str(here / MARKER))
            sha256 = str(json.loads((here / MARKER).read_bytes())["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            return None
        if not self._copy_files(f"{there}/{sha256}", here) and not _is_whole(here):
            self._copy_files(there, here)  # as they were sent before
        return here if _is_whole(here) else None

    def _copy_files(self, there: str, here: Path) -> bool:
        """Copy all files of a folder; False where there are none."""
        try:
            names = self._ask("find", there)
        except FileNotFoundError:  # some file systems say so, others find nothing
            return False
        for name in names:
            inside = str(name).removeprefix(f"{there}/")
            if ".." in inside.split("/") or inside.startswith("/"):
                raise CrispcastError(f"{self.url}: {name} lies outside of its artefact")
            (here / inside).parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # it went meanwhile: then the hash is another
                self._ask("get_file", name, str(here / inside))
        return bool(names)

    def _object(self, key: str) -> str:
        return f"{self._folder}/objects/{key[:2]}/{key}"

    def _has(self, there: str, size: int) -> bool:
        return bool(self._ask("exists", there) and self._ask("size", there) == size)

    def _ask(self, what: str, *arguments: Any, **options: Any) -> Any:
        """What the file system answers; what it raises again and again becomes one sentence.

        Stores on a network are too busy at times (S3: 503 Slow Down), and a job that is done is
        worth another try. Raises FileNotFoundError as it comes where files are to be copied.
        """
        for wait in (*WAITS, None):
            try:
                return getattr(self._files, what)(*arguments, **options)
            except Exception as error:  # each file system has its own
                if what in ("get_file", "find") and isinstance(error, FileNotFoundError):
                    raise
                if wait is None or isinstance(error, _FINAL):
                    raise self._unreachable(error) from error
                log.warning("%s: %s; another try in %g s", self.url, error, wait)
                time.sleep(wait)
        raise AssertionError

    def _unreachable(self, error: Exception) -> CrispcastError:
        return CrispcastError(f"{self.url}: the store cannot be reached: {error}")


def _is_whole(folder: Path) -> bool:
    try:
        facts: Any = json.loads((folder / MARKER).read_bytes())
        return contents(folder) == (facts["sha256"], facts["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
