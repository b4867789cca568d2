"""One folder in another's place, at no moment of which there is none: renameat2(2) of Linux."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h


def exchange(new: Path, old: Path) -> None:
    """Let two folders beside each other have each other's names. Raises OSError; then nothing is.

    Where the system cannot do it at once, there is a moment without `old`, and `put_back` mends
    what a kill in it leaves.
    """
    try:
        _exchange_at_once(new, old)
        return
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise
    aside = _aside(old)
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    aside.rename(new)


def put_back(old: Path) -> None:
    """Undo what a kill in an `exchange` left: a folder without its name, or one too many."""
    with suppress(OSError):
        if not old.exists():
            _aside(old).rename(old)
    shutil.rmtree(_aside(old), ignore_errors=True)


def _aside(old: Path) -> Path:
    return old.with_name(f".{old.name}.replaced")


def _exchange_at_once(one: Path, other: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
