"""A store that several machines share: artefacts at a URL that fsspec knows, a copy at hand.

    URL/objects/ab/abcd…/FILES, artefact.json    what has its artefact.json is whole: it comes last
    URL/sources/<sha256>                         the videos, for who has them not

What comes from there is checked by its hash; what is wrong is passed over, and made again. Other
machines may make the same artefact meanwhile: then the last one's stays, and they are equal.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        with self._reaching():
            self._files, self._folder = fsspec.core.url_to_fs(self.url)

    def find(self, key: str) -> Artefact | None:
        """As `Store.find`; what is not at hand comes from the shared store."""
        found = super().find(key)
        if found is None and self._fetch(key):
            found = super().find(key)
        return found

    def finish(self, key: str, name: str) -> Artefact:
        """As `Store.finish`; others find it too from then on."""
        made = super().finish(key, name)
        there = self._object(key)
        with self._reaching():
            for path in sorted(made.folder.rglob("*"), key=lambda path: path.name == MARKER):
                if path.is_file():
                    name = f"{there}/{path.relative_to(made.folder).as_posix()}"
                    self._files.makedirs(name.rpartition("/")[0], exist_ok=True)
                    self._files.put_file(str(path), name)
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
        with self._reaching():
            if not self._has(there, path.stat().st_size):
                self._files.makedirs(f"{self._folder}/sources", exist_ok=True)
                self._files.put_file(str(path), there)

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
                    with self._reaching():
                        self._files.get_file(f"{self._folder}/sources/{sha256}", str(out / "video"))
                    if hash_file(out / "video") != sha256:
                        raise CrispcastError(f"{self.url}: video {sha256[:16]} is damaged there")
                    found = super().finish(sha256, "source")
        return found.folder / "video"

    def at_home(self) -> SharedStore:
        """The same store as another machine has it: with copies in its own folder."""
        return SharedStore(self.url, default_store())

    def _fetch(self, key: str) -> bool:
        """Copy an artefact from the shared store; False where it has none that is whole."""
        there, folder = self._object(key), self.object(key)
        coming = self.root / "partial" / f"come-{secrets.token_hex(8)}"
        with lock_partial(coming):
            try:
                with self._reaching():
                    if not self._files.exists(f"{there}/{MARKER}"):
                        return False
                    for name in self._files.find(there):
                        inside = str(name).removeprefix(f"{there}/")
                        if ".." in inside.split("/") or inside.startswith("/"):
                            raise CrispcastError(f"{self.url}: {name} lies outside of its artefact")
                        (coming / "out" / inside).parent.mkdir(parents=True, exist_ok=True)
                        self._files.get_file(name, str(coming / "out" / inside))
                if not _is_whole(coming / "out"):
                    log.warning("%s: artefact %s is damaged; it is made again", self.url, key[:16])
                    return False
                folder.parent.mkdir(exist_ok=True)
                with self.held(), suppress(OSError):  # another process may have been sooner
                    (coming / "out").rename(folder)
                return True
            finally:
                drop(coming)

    def _object(self, key: str) -> str:
        return f"{self._folder}/objects/{key[:2]}/{key}"

    def _has(self, there: str, size: int) -> bool:
        return bool(self._files.exists(there)) and self._files.size(there) == size

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Whatever a file system raises becomes one sentence."""
        try:
            yield
        except CrispcastError:
            raise
        except Exception as error:  # each has its own
            raise CrispcastError(f"{self.url}: the store cannot be reached: {error}") from error


def _is_whole(folder: Path) -> bool:
    try:
        facts: Any = json.loads((folder / MARKER).read_bytes())
        return contents(folder) == (facts["sha256"], facts["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
