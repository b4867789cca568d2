"""What an origin answers, as plain files: for a bucket, a CDN, any web server.

    FOLDER/packages/NAME/manifest.json    FOLDER/assets/SHA256    FOLDER/bases/ID

The paths are those of `crispcast serve`; a signature lies beside its manifest, in `manifest.sig`.
Assets lie there before the manifest that names them.
"""

from __future__ import annotations

import os
from pathlib import Path

from client_sdk.contract.signing import SIGNATURE_FILE
from kernels import bases
from kernels.compiler import base_id
from kernels.errors import CrispcastError, PackageError
from server.catalogue import Catalogue, open_catalogue


def write_origin(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Catalogue:
    """Write the origin's files of a package, or of a folder of packages, into the folder `out`.

    What is there already stays, so it can be done again whenever a package is new. Each file is
    whole or not there. Raises PackageError, and CrispcastError where `out` cannot be written.
    """
    catalogue, folder = open_catalogue(path), Path(out)
    if catalogue.broken:
        raise PackageError(*catalogue.broken.values())
    try:
        for shipped in bases.shipped():
            wire = shipped.read_bytes()
            _keep(folder / "bases" / base_id(wire).hex(), wire)
        for package in catalogue.packages.values():
            for sha256 in package.places:
                target = folder / "assets" / sha256
                if not target.exists():
                    _keep(target, package.asset(sha256))
            manifest = folder / "packages" / package.name / "manifest.json"
            if package.signature is None:
                manifest.with_name(SIGNATURE_FILE).unlink(missing_ok=True)
            else:
                _keep(manifest.with_name(SIGNATURE_FILE), package.signature.encode())
            _keep(manifest, package.manifest_bytes)
    except OSError as error:
        raise CrispcastError(f"{folder} cannot be written: {error.strerror}") from None
    return catalogue


def _keep(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
