"""The C++ of the runtime and of the SDK core, as it lies beside this package: what SDKs build.

An installed Crispcast has it too: an export for a phone needs no checkout.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import client_sdk.contract
import kernels.runtime
from kernels.errors import CrispcastError

RUNTIME = Path(kernels.runtime.__file__).parent
CORE = Path(client_sdk.contract.__file__).parents[1] / "core"
_SOURCES = (".cpp", ".h")


def headers() -> tuple[Path, ...]:
    """`crispcast.h` and `crispcast_session.h`. Raises CrispcastError where one is missing."""
    found = (RUNTIME / "include" / "crispcast.h", CORE / "include" / "crispcast_session.h")
    for path in found:
        _check(path)
    return found


def runtime_sources() -> tuple[Path, ...]:
    """The runtime's sources, without those of browsers, in the order of their names."""
    _check(RUNTIME / "src" / "engine.cpp")
    return tuple(path for path in _sources(RUNTIME / "src") if "wasm" not in path.name)


def core_sources() -> tuple[Path, ...]:
    """The SDK core's sources."""
    _check(CORE / "src")
    return tuple(_sources(CORE / "src"))


def copy_sources(files: tuple[Path, ...], folder: Path) -> None:
    """Copy files side by side into a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def _sources(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix in _SOURCES]


def _check(path: Path) -> None:
    if not path.exists():
        raise CrispcastError(f"{path} is missing: install Crispcast again")
