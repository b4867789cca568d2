"""`crispcast key`: keys that are kept well, packages that are signed, and what is refused."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from client_sdk.contract import MANIFEST_FILE, SIGNATURE_FILE, open_package
from client_sdk.contract.signing import parse_trust, signer_of
from server.encoding import EncodeConfig, encode
from server.encoding.signing import SigningKey
from tests.test_cli import Outcome


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    for variable in ("CRISPCAST_SIGN_KEY", "CRISPCAST_TRUST"):
        monkeypatch.delenv(variable, raising=False)
    return lambda *arguments: Outcome([str(argument) for argument in arguments], capsys)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    SigningKey.new(tmp_path / "my.key")
    return tmp_path / "my.key"


def test_a_new_key_is_its_owners_alone_and_prints_what_to_trust(run, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = run("key", "new", tmp_path / "my.key")
    finally:
        os.umask(before)
    assert (tmp_path / "my.key").stat().st_mode & 0o777 == 0o600
    [line] = made.out.splitlines()
    assert len(parse_trust([line])) == 1
    assert run("key", "public", tmp_path / "my.key").out == made.out


def test_a_key_is_never_written_over(run, key: Path) -> None:
    before = key.read_bytes()
    run("key", "new", key).assert_refused("exists", "choose another name")
    assert key.read_bytes() == before


def test_a_key_that_cannot_be_written_leaves_nothing(run, tmp_path: Path) -> None:
    run("key", "new", tmp_path / "no" / "my.key").assert_refused("cannot be written")
    assert list(tmp_path.iterdir()) == []


def test_openssl_reads_the_key_and_makes_others(run, key: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: apt-get install openssl")
    told = subprocess.run(
        ["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    ).stdout
    assert run("key", "public", key).out.strip() == f"ed25519:{told[-32:].hex()}"
    other = tmp_path / "other.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", other], check=True)
    assert run("key", "public", other).out.startswith("ed25519:")


def pem(key: object, format: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, format, lock)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "no private key"),
        (os.urandom(100), "no private key"),
        (pem(Ed25519PrivateKey.generate())[:60], "no private key"),
        (
            Ed25519PrivateKey.generate()
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "no private key",
        ),
        (pem(generate_private_key(SECP256R1())), "another kind than Ed25519"),
        (pem(Ed25519PrivateKey.generate(), password=b"secret"), "locked with a password"),
        (b"x" * 20_000, "longer than any key"),
    ],
    ids=["empty", "noise", "half", "public", "another kind", "locked", "long"],
)
def test_what_is_no_key_is_refused(run, tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "bad.key").write_bytes(content)
    run("key", "public", tmp_path / "bad.key").assert_refused("bad.key", why)


def test_a_key_that_is_not_there_is_refused(run, tmp_path: Path) -> None:
    run("key", "public", tmp_path / "my.key").assert_refused("cannot be read")


def test_who_may_read_the_key_is_told(key: Path, caplog: pytest.LogCaptureFixture) -> None:
    key.chmod(0o644)
    with caplog.at_level(logging.WARNING, "crispcast.encode"):
        SigningKey.load(key)
    assert "chmod 600" in caplog.text


def test_a_package_is_signed_and_verified(run, key: Path, tiny_copy: Path) -> None:
    manifest = (tiny_copy / MANIFEST_FILE).read_bytes()
    public = SigningKey.load(key).public
    assert run("key", "sign", tiny_copy, "--key", key).code == 0
    done = run("key", "verify", tiny_copy, "--trust", f"ed25519:{'0' * 64}", "--trust", public)
    assert done.code == 0, done.err
    assert public in done.out
    assert (tiny_copy / MANIFEST_FILE).read_bytes() == manifest
    assert [path.name for path in tiny_copy.iterdir() if path.name.startswith(".")] == []


def test_another_key_replaces_the_signature_even_a_damaged_one(
    run, key: Path, tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny_copy / SIGNATURE_FILE).write_text("damaged")
    monkeypatch.setenv("CRISPCAST_SIGN_KEY", str(key))
    monkeypatch.setenv("CRISPCAST_TRUST", SigningKey.load(key).public)
    run("key", "verify", tiny_copy).assert_refused("no signature")
    assert run("key", "sign", tiny_copy).code == 0
    assert run("key", "verify", tiny_copy).code == 0


def test_a_package_that_is_not_signed_or_by_another_is_refused(
    run, key: Path, tiny_copy: Path, tmp_path: Path
) -> None:
    other = SigningKey.new(tmp_path / "other.key").public
    run("key", "verify", tiny_copy, "--trust", other).assert_refused("is not signed")
    assert run("key", "sign", tiny_copy, "--key", key).code == 0
    run("key", "verify", tiny_copy, "--trust", other).assert_refused("none of the trusted keys")
    run("key", "verify", tiny_copy, "--trust", "nobody").assert_refused("no key to trust")


def test_what_was_changed_after_it_was_signed_is_refused(run, key: Path, tiny_copy: Path) -> None:
    trust = ("--trust", SigningKey.load(key).public)
    assert run("key", "sign", tiny_copy, "--key", key).code == 0
    manifest = tiny_copy / MANIFEST_FILE
    signed = manifest.read_bytes()
    manifest.write_bytes(signed + b" ")
    run("key", "verify", tiny_copy, *trust).assert_refused("none of the trusted keys")
    manifest.write_bytes(signed)
    plan = next((tiny_copy / "plans").iterdir())
    plan.write_bytes(bytes([plan.read_bytes()[0] ^ 1]) + plan.read_bytes()[1:])
    run("key", "verify", tiny_copy, *trust).assert_refused("damaged")
    # Nor is it signed as it is now.
    before = (tiny_copy / SIGNATURE_FILE).read_bytes()
    run("key", "sign", tiny_copy, "--key", key).assert_refused("damaged")
    assert (tiny_copy / SIGNATURE_FILE).read_bytes() == before


def test_an_encode_signs_its_package(key: Path, small_video: Path, tmp_path: Path) -> None:
    config = EncodeConfig(small_video, tmp_path / "a.crisp", method="none", threads=1, sign_key=key)
    encode(config)
    package = open_package(config.output)
    assert package.signature is not None
    trust = parse_trust([SigningKey.load(key).public])
    assert signer_of(trust, package.manifest_sha256, package.signature) == trust[0]


def test_an_encode_with_a_bad_key_is_refused_before_any_work(
    run, small_video: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.key").write_text("no key")
    run(
        "encode", small_video, "-o", tmp_path / "a.crisp", "--sign-key", tmp_path / "bad.key"
    ).assert_refused("no private key")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.key"]


def test_signing_writes_through_no_link(run, key: Path, tiny_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for name in (SIGNATURE_FILE, f".{SIGNATURE_FILE}.partial"):
        (tiny_copy / name).symlink_to(tmp_path / "mine")
    done = run("key", "sign", tiny_copy, "--key", key)
    assert done.code == 0, done.err
    assert (tmp_path / "mine").read_text() == "mine"
    assert run("key", "verify", tiny_copy, "--trust", SigningKey.load(key).public).code == 0


def test_a_signature_that_is_a_pipe_keeps_nobody_waiting(run, key: Path, tiny_copy: Path) -> None:
    os.mkfifo(tiny_copy / SIGNATURE_FILE)
    trust = SigningKey.load(key).public
    run("key", "verify", tiny_copy, "--trust", trust).assert_refused("manifest.sig", "no file")
