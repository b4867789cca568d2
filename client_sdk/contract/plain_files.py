"""Files of a package, which may come from anybody: read and written through no link, nor any pipe.

A link could lead out of the package, and who opens a pipe may wait for ever.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from kernels.errors import PackageError

# Of these, Windows has O_BINARY alone, and POSIX the others.
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _PLAIN
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN


def open_plain(path: Path) -> BinaryIO:
    """Open a file to be read, at once.

    Raises PackageError where it is a link, or no file but a pipe, a folder, a device; OSError
    where it cannot be opened.
    """
    if path.is_symlink():
        raise PackageError(f"{path} is a link, and a package has none: put a file there")
    handle = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise PackageError(f"{path} is no file: put one there, or encode again")
    return os.fdopen(handle, "rb")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it, so that it is whole, or as it was before.

    A link in its place is itself replaced. One writer of a file at a time. Raises OSError.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, _WRITE, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
