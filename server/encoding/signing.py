"""Private keys, and signing packages with them (docs/signing.md).

A key is a file of PKCS #8 in PEM, as OpenSSL writes and reads it too, for its owner's eyes only.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from client_sdk.contract import SIGNATURE_FILE, open_package
from client_sdk.contract.plain_files import write_whole
from client_sdk.contract.signing import key_text, signature_text, signed_message
from kernels.errors import CrispcastError, PackageError

log = logging.getLogger("crispcast.encode")

_MOST = 16_384  # bytes of a key's file


@dataclass(frozen=True)
class SigningKey:
    """A private key of Ed25519. `new` and `load` make one."""

    _key: Ed25519PrivateKey

    @classmethod
    def new(cls, path: Path) -> SigningKey:
        """Draw a key and keep it in a new file that only its owner may read (mode 0600).

        Raises CrispcastError where there is such a file, or none can be written.
        """
        made = cls(Ed25519PrivateKey.generate())
        pem = made._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise CrispcastError(
                f"{path} exists, and a key that is lost cannot be made again: choose another name"
            ) from None
        except OSError as error:
            raise CrispcastError(f"{path} cannot be written: {error.strerror}") from None
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink()
            raise CrispcastError(f"{path} cannot be written: {error.strerror}") from None
        return made

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """The key in a file; warns where others may read it. Raises CrispcastError."""
        try:
            with path.open("rb") as file:
                shared = os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
                pem = file.read(_MOST + 1)
        except OSError as error:
            raise CrispcastError(f"the key {path} cannot be read: {error.strerror}") from None
        if len(pem) > _MOST:
            raise CrispcastError(f"{path} is longer than any key; `crispcast key new` makes one")
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError:
            raise CrispcastError(
                f"{path} is locked with a password: give a key without one (openssl pkey opens it)"
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise CrispcastError(
                f"{path} is no private key, or a damaged one; `crispcast key new` makes one"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise CrispcastError(
                f"{path} is a key of another kind than Ed25519; `crispcast key new` makes one"
            )
        if shared and os.name == "posix":
            log.warning("others may read the key %s: chmod 600 it", path)
        return cls(key)

    @property
    def public(self) -> str:
        """The public key, as clients are told whom to trust."""
        return key_text(self._key.public_key().public_bytes_raw())

    def sign(self, manifest: bytes) -> str:
        """The text of `manifest.sig` for the bytes of a `manifest.json`."""
        message = signed_message(hashlib.sha256(manifest).hexdigest())
        return f"{signature_text(self._key.sign(message))}\n"


def sign_package(path: Path, key: SigningKey) -> None:
    """Sign a package, whose every file is checked first; a signature that was there is replaced.

    Raises PackageError where the package is damaged or cannot be written; then it is as it was.
    """
    package = open_package(path, signed=False)
    try:
        write_whole(path / SIGNATURE_FILE, key.sign(package.manifest_bytes).encode("ascii"))
    except OSError as error:
        raise PackageError(f"{path} cannot be signed: {error.strerror}") from None
