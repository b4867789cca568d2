"""The packages that a server offers, by name; kept up to date while it runs.

Packages may be added, replaced, mended and removed at any time. Who watches goes on with what was
there when they came; whoever comes next gets what is there now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from client_sdk.contract import MANIFEST_FILE, SIGNATURE_FILE, Package, open_package
from client_sdk.contract.package import SUFFIX
from kernels.errors import PackageError

log = logging.getLogger("crispcast.server")

_Stamp: TypeAlias = frozenset[tuple[str, int, int, int]]


@dataclass(frozen=True)
class _Scan:
    """What a look through the folder found."""

    packages: dict[str, Package] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, _Stamp] = field(default_factory=dict)


class Catalogue:
    """Whole packages by name, and broken ones with the reason.

    `root`: a folder of packages, or with `alone` a package.
    """

    def __init__(self, root: Path, *, alone: bool) -> None:
        self._root = root
        self._alone = alone
        self._scan = _Scan()
        self._passed_over: set[Path] = set()  # folders whose name another has: told once

    @property
    def packages(self) -> dict[str, Package]:
        """The packages that can be watched."""
        return self._scan.packages

    @property
    def broken(self) -> dict[str, str]:
        """The others, with what is wrong with them."""
        return self._scan.broken

    def packages_with(self, sha256: str) -> list[Package]:
        """The packages that have the asset."""
        return [package for package in self.packages.values() if sha256 in package.places]

    def look(self) -> None:
        """Look through the folder, and open what is new or has changed. Blocks while it hashes.

        What it finds is taken over at once, so that it may run in a thread of its own.
        """
        before, scan = self._scan, _Scan()
        for folder in self._folders():
            name = folder.name.removesuffix(SUFFIX)
            stamp = _stamp(folder, whole=name in before.packages)
            if stamp is not None and stamp == before.stamps.get(name):
                if name in before.packages:
                    scan.packages[name] = before.packages[name]
                else:
                    scan.broken[name] = before.broken[name]
            else:
                found = _stamp(folder, whole=False)
                self._open(folder, name, scan)
                # What was written to meanwhile is opened once more the next time.
                still = found == _stamp(folder, whole=False)
                stamp = _stamp(folder, whole=name in scan.packages) if still else None
            if stamp is not None:
                scan.stamps[name] = stamp
        gone = before.packages.keys() | before.broken.keys()
        for name in gone - scan.packages.keys() - scan.broken.keys():
            log.warning("package %s is gone", name)
        for name in scan.packages.keys() & before.packages.keys():
            if scan.packages[name] is not before.packages[name]:
                log.info("package %s was replaced", name)
        self._scan = scan

    def _open(self, folder: Path, name: str, scan: _Scan) -> None:
        try:
            if not _speakable(name):
                raise PackageError(f"{_shown(folder)} has a name that is not UTF-8: rename it")
            package = open_package(folder)
            # Of a long video these take a while: nobody who is served shall wait for it.
            _ = package.asset_bytes, package.all_asset_bytes, package.manifest_sha256
            scan.packages[name] = package
        except PackageError as error:
            if not folder.exists() and not self._alone:
                return  # it went this moment
            scan.broken[name] = str(error)
            if not self._alone or self._scan.stamps:  # at the start, who asked is told
                log.error("package %s is not available: %s", _shown(name), error)

    def _folders(self) -> list[Path]:
        if self._alone:
            return [self._root] if self._root.is_dir() else []
        try:
            found = sorted(folder for folder in self._root.iterdir() if _is_package(folder))
        except OSError as error:
            log.error("%s cannot be read: %s", self._root, error.strerror)
            return []
        named: dict[str, Path] = {}
        for folder in sorted(found, key=lambda folder: folder.suffix != SUFFIX):
            first = named.setdefault(folder.name.removesuffix(SUFFIX), folder)
            if first is not folder and folder not in self._passed_over:
                self._passed_over.add(folder)
                log.warning("%s is passed over: %s has its name", _shown(folder), first.name)
        return [named[name] for name in sorted(named)]

    async def follow(self, every: float, then: Callable[[], None]) -> None:
        """Look again and again, `every` so many seconds, and do `then`, until cancelled."""
        loop, over = asyncio.get_running_loop(), threading.Event()

        def look_on() -> None:
            while not over.wait(every):
                try:
                    self.look()
                except Exception:
                    # Rather yesterday's catalogue than none.
                    log.exception("the packages could not be looked through")
                with contextlib.suppress(RuntimeError):  # the loop is over
                    loop.call_soon_threadsafe(then)

        # The process ends though a large package is being hashed, as it would not for `to_thread`.
        threading.Thread(target=look_on, name="catalogue", daemon=True).start()
        try:
            await loop.create_future()
        finally:
            over.set()


def _is_package(folder: Path) -> bool:
    try:
        return (
            not folder.name.startswith(".")
            and folder.is_dir()
            and (folder.suffix == SUFFIX or (folder / MANIFEST_FILE).exists())
        )
    except OSError:  # as of `lost+found`, which is root's
        return False


def _speakable(name: str) -> bool:
    """Whether URLs and JSON can say it: a name of a folder may be any bytes."""
    return _shown(name) == name


def _shown(name: str | Path) -> str:
    return str(name).encode("utf-8", "backslashreplace").decode()


def _stamp(folder: Path, *, whole: bool) -> _Stamp | None:
    """What changes when the package does: its manifest, its signature; of a broken one, all."""
    try:
        paths = [folder, *folder.rglob("*")]
        if whole:
            named = (folder / MANIFEST_FILE, folder / SIGNATURE_FILE)
            paths = [path for path in named if path.name == MANIFEST_FILE or path.exists()]
        return frozenset(
            (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
            for path in paths
            for found in [path.stat()]
        )
    except OSError:
        return None


def open_catalogue(path: str | os.PathLike[str]) -> Catalogue:
    """Open the package at `path`, or every package (`*.crisp`, or with a manifest) in a folder.

    A broken package among others is logged and left out; of two folders of one name (`NAME.crisp`
    and `NAME`) the first is taken. Raises PackageError where `path` is
    missing, is itself a broken package, or holds no package at all.
    """
    root = Path(path).resolve()
    try:
        if not root.is_dir():
            raise PackageError(f"{path}: no such folder; give a package or a folder of packages")
        alone = root.suffix == SUFFIX or (root / MANIFEST_FILE).exists()
    except OSError as error:
        raise PackageError(f"{root} cannot be read: {error.strerror}") from None
    catalogue = Catalogue(root, alone=alone)
    catalogue.look()
    if not catalogue.packages and not catalogue.broken:
        raise PackageError(f"{root} holds no package (NAME{SUFFIX}); encode one first")
    if alone and catalogue.broken:
        raise PackageError(*catalogue.broken.values())
    return catalogue
