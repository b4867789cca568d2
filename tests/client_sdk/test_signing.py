"""Signatures of manifests: their text, whose they are, and what is refused."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client_sdk.contract.signing import (
    MAX_TRUSTED,
    SIGNATURE_FILE,
    is_signed,
    key_text,
    parse_trust,
    read_signature,
    signature_text,
    signed_message,
    signer_of,
    why_untrusted,
)
from kernels.errors import PackageError, StreamError

MANIFEST = hashlib.sha256(b"{}").hexdigest()


def owner(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def public(number: int) -> bytes:
    return owner(number).public_key().public_bytes_raw()


def signed(number: int, manifest: str = MANIFEST) -> str:
    return signature_text(owner(number).sign(signed_message(manifest)))


def test_ed25519_is_that_of_rfc_8032() -> None:
    # Section 7.1, test 2.
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert is_signed(key, signature, b"\x72")
    assert not is_signed(key, signature, b"\x73")
    assert not is_signed(key, signature[:-1], b"\x72")


def test_what_is_signed_is_the_manifest_and_nothing_else_of_that_key() -> None:
    assert signed_message(MANIFEST) == b"crispcast manifest 1\0" + hashlib.sha256(b"{}").digest()
    bare = signature_text(owner(1).sign(hashlib.sha256(b"{}").digest()))
    assert signer_of((public(1),), MANIFEST, bare) is None


def test_any_of_the_trusted_keys_will_do() -> None:
    trust = (public(1), public(2))
    assert signer_of(trust, MANIFEST, signed(2)) == public(2)
    assert why_untrusted(trust, MANIFEST, signed(2)) is None


@pytest.mark.parametrize(
    "signature, why",
    [
        (None, "not signed"),
        (signed(3), "none of the trusted keys"),
        (signed(1, "0" * 64), "none of the trusted keys"),
        (signature_text(bytes(64)), "none of the trusted keys"),
    ],
)
def test_what_is_not_trusted_is_told_why(signature: str | None, why: str) -> None:
    assert why in (why_untrusted((public(1), public(2)), MANIFEST, signature) or "")


def test_without_keys_no_signature_is_asked_for() -> None:
    assert why_untrusted(parse_trust(()), MANIFEST, None) is None


def test_keys_are_read_as_people_pass_them_on() -> None:
    one, two = key_text(public(1)), key_text(public(2))
    assert re.fullmatch("ed25519:[0-9a-f]{64}", one)
    for texts in ([one, two], [f"{one} {two}"], [f"\n{one},\n {two}\n"]):
        assert parse_trust(texts) == (public(1), public(2))


@pytest.mark.parametrize(
    "text",
    ["", "  ", "ed25519:", key_text(bytes(31)), key_text(bytes(33)), "0" * 64,
     key_text(public(1)).upper(), f"{key_text(public(1))} x", "rsa:" + "0" * 64],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(StreamError, match="no key to trust"):
        parse_trust([text])


def test_more_keys_than_a_client_may_trust_are_refused() -> None:
    keys = [key_text(bytes([number]) * 32) for number in range(MAX_TRUSTED + 1)]
    assert len(parse_trust(keys[:-1])) == MAX_TRUSTED
    with pytest.raises(StreamError, match="at most"):
        parse_trust(keys)


def test_a_package_without_a_signature_has_none(tmp_path: Path) -> None:
    assert read_signature(tmp_path) is None


@pytest.mark.parametrize("damage", [b"", b"ed25519:00", b"\xff" * 200, b"x" * 100_000])
def test_a_damaged_signature_is_told_from_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / SIGNATURE_FILE).write_bytes(damage)
    with pytest.raises(PackageError, match="no signature: sign the package again"):
        read_signature(tmp_path)


def test_a_signature_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(signed(1))
    (tmp_path / SIGNATURE_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PackageError, match="link"):
        read_signature(tmp_path)


def test_a_signature_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / SIGNATURE_FILE)
    with pytest.raises(PackageError, match="no file"):
        read_signature(tmp_path)
