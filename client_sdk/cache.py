"""The client's cache of assets: by hash, in memory, and on disk where a folder is given.

What is read back is hashed again: a cache is storage, not truth. Files are written beside and
renamed, so a crash leaves no half asset.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

from kernels.errors import StreamError

DEFAULT_LIMIT = 256 << 20  # bytes, of the memory and of the folder alike
_NAME = re.compile(r"[0-9a-f]{64}")
_HALF = ".asset-"
"""How names of files begin that are being written, or were when their process was killed."""


def user_folder() -> Path | None:
    """This user's folder for what can be fetched again, as the platform has it.

    None where there is none, or nothing can be written there. Linux: XDG Base Directory
    Specification.
    """
    try:
        if sys.platform == "win32":
            root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
            folder = Path(root) / "crispcast" / "cache"
        elif sys.platform == "darwin":
            folder = Path.home() / "Library" / "Caches" / "crispcast"
        else:
            named = os.environ.get("XDG_CACHE_HOME", "")
            # The specification: a path that is not absolute does not count.
            root = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
            folder = root / "crispcast"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # there may be no home at all
        return None
    return folder if os.access(folder, os.W_OK) else None


class AssetCache:
    """Assets by SHA-256; the least recently used go first when `limit` bytes are passed.

    Raises StreamError where `folder` cannot be made. A disk that fails later costs the disk's
    part only. Thread-safe.
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None = None, limit: int = DEFAULT_LIMIT
    ) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self.folder = None if folder is None else Path(folder)
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StreamError(
                    f"the cache folder {self.folder} cannot be made: {error.strerror}"
                ) from None

    def get(self, sha256: str) -> bytes | None:
        """The asset, or None; a damaged file is thrown away and counts as absent."""
        with self._lock:
            data = self._memory.get(sha256)
            if data is not None:
                self._memory.move_to_end(sha256)
                return data
        path = self._path(sha256)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != sha256:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        self._remember(sha256, data)
        return data

    def put(self, sha256: str, data: bytes) -> None:
        """Keep an asset. Raises StreamError where `data` does not have that hash."""
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StreamError(f"asset {sha256[:16]} is damaged: its SHA-256 is another")
        self._remember(sha256, data)
        path = self._path(sha256)
        if path is None or path.exists():
            return
        with contextlib.suppress(OSError):
            _write_atomically(path, data)
            self._trim_folder()

    def _path(self, sha256: str) -> Path | None:
        if self.folder is None or not _NAME.fullmatch(sha256):
            return None
        return self.folder / sha256

    def _remember(self, sha256: str, data: bytes) -> None:
        with self._lock:
            if sha256 in self._memory or len(data) > self.limit:
                return
            self._memory[sha256] = data
            self._held += len(data)
            while self._held > self.limit:
                _, gone = self._memory.popitem(last=False)
                self._held -= len(gone)

    def _trim_folder(self) -> None:
        assert self.folder is not None
        files = []
        for path in self.folder.iterdir():
            if _NAME.fullmatch(path.name) or path.name.startswith(_HALF):
                with contextlib.suppress(OSError):
                    facts = path.stat()
                    files.append((facts.st_mtime_ns, facts.st_size, path))
        held = sum(size for _, size, _ in files)
        for _, size, path in sorted(files, key=lambda file: file[0]):
            if held <= self.limit:
                break
            path.unlink(missing_ok=True)
            held -= size


def _write_atomically(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_HALF)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
