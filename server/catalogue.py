"""The packages that a server offers, by name, and where every asset of theirs lies."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from client_sdk.contract import MANIFEST_FILE, Package, open_package
from client_sdk.contract.package import SUFFIX
from kernels.errors import PackageError

log = logging.getLogger("crispcast.server")


@dataclass(frozen=True)
class Catalogue:
    """Whole packages by name, broken ones with the reason, and who holds which asset."""

    packages: dict[str, Package]
    broken: dict[str, str]
    holders: dict[str, Package]

    def asset(self, sha256: str) -> bytes | None:
        """The bytes of a plan, plate or patch-map record, or None where nobody has it.

        Raises PackageError where the file was damaged since the start.
        """
        holder = self.holders.get(sha256)
        return None if holder is None else holder.asset(sha256)

    def names_with(self, sha256: str) -> list[str]:
        """The packages that have the asset."""
        return [name for name, package in self.packages.items() if sha256 in package.places]


def open_catalogue(path: str | os.PathLike[str]) -> Catalogue:
    """Open the package at `path`, or every package (`*.crisp`, or with a manifest) in a folder.

    A broken package among others is logged and left out. Raises PackageError where `path` is
    missing, is itself a broken package, or holds no package at all.
    """
    root = Path(path)
    if not root.is_dir():
        raise PackageError(f"{root}: no such folder; give a package or a folder of packages")
    packages: dict[str, Package] = {}
    broken: dict[str, str] = {}
    if root.suffix == SUFFIX or (root / MANIFEST_FILE).exists():
        package = open_package(root.resolve())
        packages[package.name] = package
    else:
        for folder in sorted(root.iterdir()):
            if not folder.is_dir() or folder.name.startswith("."):
                continue
            if folder.suffix != SUFFIX and not (folder / MANIFEST_FILE).exists():
                continue
            try:
                package = open_package(folder)
            except PackageError as error:
                name = folder.name.removesuffix(SUFFIX)
                broken[name] = str(error)
                log.error("package %s is not available: %s", name, error)
            else:
                packages[package.name] = package
        if not packages and not broken:
            raise PackageError(f"{root} holds no package (NAME{SUFFIX}); encode one first")
    holders = {sha256: package for package in packages.values() for sha256 in package.places}
    return Catalogue(packages, broken, holders)
