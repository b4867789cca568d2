"""The export folder: models, an index of them, a page on how to load them; whole or not there.

NAME/
  export.json          what is below: models by plan, shapes, inputs, segments; files with hashes
  README.md            how to load them
  models/…             see mobile_export.coreml, mobile_export.nnapi; or, for an SDK, see
                       mobile_export.ios_package, mobile_export.android_module
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from client_sdk.contract.exchange import exchange, put_back
from kernels.errors import CrispcastError

INDEX_FILE, README_FILE, MODELS = "export.json", "README.md", "models"
FORMAT, VERSION = "crispcast-export", "1.0"


@contextmanager
def whole_folder(target: Path, force: bool) -> Iterator[Path]:
    """A hidden folder beside `target` that becomes it when the block ends well, else is removed.

    An existing target is refused, and with `force` replaced if it is an export; a kill leaves
    either that or the new one. Raises CrispcastError where it is refused or cannot be written.
    """
    if not target.name:
        raise CrispcastError(f"{target} has no name: name a folder to export to")
    put_back(target)
    if target.exists() or target.is_symlink():
        if not force:
            raise CrispcastError(f"{target} exists: name another folder, or --force to replace it")
        if not _is_export(target):
            raise CrispcastError(f"{target} is not an export and is not replaced: name another")
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if target.exists():
            exchange(partial, target)
        else:
            partial.rename(target)
    except OSError as error:
        raise CrispcastError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_export(folder: Path) -> bool:
    try:
        found = json.loads((folder / INDEX_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


def write_index(folder: Path, index: dict[str, Any], readme: str) -> None:
    """Write the README, and the index with the hashes of every other file."""
    (folder / README_FILE).write_text(readme, encoding="utf-8")
    whole = {"format": FORMAT, "version": VERSION, **index, "files": hashes_of(folder)}
    (folder / INDEX_FILE).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def hashes_of(folder: Path) -> dict[str, dict[str, Any]]:
    """`bytes` and `sha256` of every file by its path; all can then be read by everybody."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o644)  # coremltools makes some for the owner only
            files[path.relative_to(folder).as_posix()] = {
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
    return files


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
