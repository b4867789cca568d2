"""Signed manifests: whose a manifest is, and whether that is somebody trusted.

Ed25519 (RFC 8032) over a fixed word and the SHA-256 of `manifest.json`, which names all that a
client computes with by its hash. Format, and what that stops and what not: `docs/signing.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import StringConstraints

from client_sdk.contract.plain_files import open_plain
from kernels.errors import PackageError, StreamError

SIGNATURE_FILE = "manifest.sig"
SIGNATURE_HEADER = "Crispcast-Signature"
"""Of a manifest that is got by HTTP."""
MAX_TRUSTED = 8
"""Keys that a client may trust at once."""

_ALGORITHM = "ed25519:"
_DOMAIN = b"crispcast manifest 1\0"
_KEY = re.compile(rf"{_ALGORITHM}([0-9a-f]{{64}})")
_SIGNATURE = rf"^{_ALGORITHM}[0-9a-f]{{128}}$"

Signature = Annotated[str, StringConstraints(pattern=_SIGNATURE)]
"""`ed25519:` and 128 hexadecimal digits, in `manifest.sig`, messages and headers alike."""
Trust: TypeAlias = tuple[bytes, ...]
"""Public keys, 32 bytes each; none: signatures are not asked for."""


def signed_message(manifest_sha256: str) -> bytes:
    """What is signed: the word, so that no other use of the key can be taken for it, and 32 bytes.

    `manifest_sha256`: 64 hexadecimal digits.
    """
    return _DOMAIN + bytes.fromhex(manifest_sha256)


def key_text(key: bytes) -> str:
    """A public key, 32 bytes, as people pass it on."""
    return f"{_ALGORITHM}{key.hex()}"


def signature_text(signature: bytes) -> str:
    """A signature, 64 bytes, as it is kept and sent."""
    return f"{_ALGORITHM}{signature.hex()}"


def parse_trust(texts: Iterable[str]) -> Trust:
    """The keys in `texts`, each of which has one or several with blanks or commas between.

    None at all are no trust. Raises StreamError on what is no key, on a text without any (a
    variable that was never set must not turn the check off), and beyond MAX_TRUSTED.
    """
    keys: list[bytes] = []
    for text in texts:
        words = re.split(r"[\s,]+", text.strip(" \t\r\n,"))
        for word in words:
            found = _KEY.fullmatch(word)
            if found is None:
                raise StreamError(
                    f"{word[:90]!r} is no key to trust; `crispcast key public FILE` prints one: "
                    "ed25519: and 64 hexadecimal digits"
                )
            keys.append(bytes.fromhex(found[1]))
    if len(keys) > MAX_TRUSTED:
        raise StreamError(f"{len(keys)} keys to trust are given; at most {MAX_TRUSTED} may be")
    return tuple(keys)


def is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of the public key (32 bytes) signed the message."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signer_of(trust: Trust, manifest_sha256: str, signature: str) -> bytes | None:
    """Which of these keys made the signature, of the form `Signature`; None: none of them."""
    made = bytes.fromhex(signature.removeprefix(_ALGORITHM))
    message = signed_message(manifest_sha256)
    return next((key for key in trust if is_signed(key, made, message)), None)


def why_untrusted(trust: Trust, manifest_sha256: str, signature: str | None) -> str | None:
    """Why a manifest may not be used, in one sentence; None where it may be."""
    if not trust:
        return None
    if signature is None:
        return "the manifest is not signed, and a signature is asked for"
    if signer_of(trust, manifest_sha256, signature) is None:
        return "the manifest's signature is by none of the trusted keys"
    return None


def read_signature(folder: Path) -> str | None:
    """The signature in a package; None where it has none. Raises PackageError on a damaged one."""
    path = folder / SIGNATURE_FILE
    try:
        with open_plain(path) as file:
            text = file.read(1024).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PackageError(f"{path} cannot be read: {error.strerror}") from None
    if re.fullmatch(_SIGNATURE, text) is None:
        raise PackageError(
            f"{path} is no signature: sign the package again with `crispcast key sign`, or remove "
            "the file"
        )
    return text
