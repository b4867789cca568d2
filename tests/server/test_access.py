"""Tokens open what they are for, and nothing else."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st

from client_sdk.contract import Package
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from kernels.errors import CrispcastError, StreamError
from server.access import Access
from server.settings import Settings
from tests.server.serving import Reply, Served, serving
from tests.server.test_http import SDP_HEADERS, offer

TOKEN, OTHER = "correct-horse-battery", "another-horse-battery"
SECRET = "0123456789abcdef0123456789abcdef"
JWT: dict[str, Any] = {
    "jwt_key": SECRET,
    "jwt_issuer": "https://id.example.org",
    "jwt_audience": "crispcast",
}
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example.org",
    "aud": "crispcast",
    "packages": ["tiny"],
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signed(key: Any = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {**CLAIMS, "exp": int(time.time()) + 60, **changes}
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm)


def status(settings: Settings, token: str | None, *packages: str) -> int:
    """What a request with that token for one of `packages` gets."""
    try:
        Access(settings).require(None if token is None else f"Bearer {token}", *packages)
    except HTTPException as refused:
        return refused.status_code
    return 200


def test_without_tokens_everybody_may_watch() -> None:
    assert status(Settings(), None, "tiny") == 200
    assert status(Settings(), "whatever", "tiny") == 200


def test_a_static_token_opens_its_packages_only() -> None:
    settings = Settings.model_validate({"tokens": f"tiny={TOKEN},*={OTHER}"})
    assert status(settings, TOKEN, "tiny") == 200
    assert status(settings, TOKEN, "big") == 403
    assert status(settings, OTHER, "big") == 200
    assert status(settings, None, "tiny") == 401
    assert status(settings, TOKEN + "x", "tiny") == 401
    assert status(settings, TOKEN, "big", "tiny") == 200


def test_public_packages_want_none() -> None:
    settings = Settings.model_validate({"tokens": f"tiny={TOKEN}", "public_packages": "free"})
    assert status(settings, None, "free") == 200
    assert status(settings, "wrong", "free") == 200
    assert status(settings, None, "tiny") == 401


def test_a_signature_is_checked_once_for_a_list_of_packages(
    tiny: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(Settings.model_validate(JWT | {"public_packages": "free"}))
    packages = dict.fromkeys(("free", "tiny", *map(str, range(50))), tiny)
    checked = Mock(side_effect=jwt.decode)
    monkeypatch.setattr("server.access.jwt.decode", checked)
    assert len(access.seen(f"Bearer {signed()}", packages)) == 2
    assert checked.call_count == 1
    assert access.seen(None, packages) == [tiny]
    with pytest.raises(HTTPException):
        access.seen("Bearer wrong", packages)
    assert len(access.seen("Bearer wrong", {"free": tiny})) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 200),
        ({"packages": "tiny"}, 200),
        ({"packages": ["*"]}, 200),
        ({"packages": ["big"]}, 403),
        ({"packages": None}, 403),
        ({"packages": [3, {"a": "tiny"}]}, 403),
        ({"packages": {"tiny": True}}, 403),
        ({"exp": int(time.time()) - 3600}, 401),
        ({"exp": None}, 401),
        ({"nbf": int(time.time()) + 3600}, 401),
        ({"iss": "https://evil.example.org"}, 401),
        ({"iss": None}, 401),
        ({"aud": "another"}, 401),
        ({"aud": None}, 401),
        ({"key": SECRET[::-1]}, 401),
        ({"algorithm": "HS512", "key": SECRET * 2}, 401),
        ({"algorithm": "none", "key": None}, 401),
    ],
)
def test_a_jwt_is_taken_only_if_all_of_it_is_right(changes: dict, expected: int) -> None:
    assert status(Settings(**JWT), signed(**changes), "tiny") == expected


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
def test_jwts_may_be_signed_by_a_key_pair(private: Any, algorithm: str) -> None:
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    settings = Settings(**{**JWT, "jwt_key": pem.decode()})
    assert status(settings, signed(private, algorithm), "tiny") == 200
    # The public key as an HMAC secret: the oldest trick there is. The library itself refuses to
    # sign so, hence by hand.
    head, body, _ = signed(SECRET).split(".")
    forged = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = forged.sign(f"{head}.{body}".encode(), pem)
    assert (
        status(settings, f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}") == 401
    )


@pytest.mark.parametrize("key", ["short", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END"])
def test_a_bad_key_is_said_before_anything_starts(key: str) -> None:
    with pytest.raises(CrispcastError, match="jwt_key is refused") as refused:
        Access(Settings(**{**JWT, "jwt_key": key}))
    assert key not in str(refused.value)


@given(st.text(max_size=200))
def test_any_header_is_refused_with_a_status(header: str) -> None:
    access = Access(Settings(**JWT))
    with pytest.raises(HTTPException) as refused:
        access.require(header, "tiny")
    assert refused.value.status_code == 401


def guarded(tiny_path: Path, tmp_path: Path) -> Settings:
    for name in ("tiny", "free"):
        shutil.copytree(tiny_path, tmp_path / f"{name}.crisp", dirs_exist_ok=True)
    return Settings.model_validate(
        {"tokens": f"tiny={TOKEN},other={OTHER}", "public_packages": ["free"]}
    )


def test_whep_manifest_and_catalogue_want_the_token(tiny_path: Path, tmp_path: Path) -> None:
    settings = guarded(tiny_path, tmp_path)

    async def run() -> None:
        async with serving(tmp_path, settings) as served:
            for method, path, good in (
                ("POST", "/whep/tiny", 201),
                ("GET", "/whep/tiny", 204),
                ("HEAD", "/whep/tiny", 200),
                ("GET", "/packages/tiny/manifest.json", 200),
            ):
                body = await offer() if method == "POST" else None
                expected = {None: 401, "x" * 20: 401, OTHER: 403, TOKEN: good}
                for token, wanted in expected.items():
                    headers = SDP_HEADERS | (bearer(token) if token else {})
                    reply = await served.ask(method, path, body, headers)
                    assert (reply.status, token) == (wanted, token)
                    if wanted >= 400:
                        assert "Bearer" in reply.headers["WWW-Authenticate"]
            # A name is not told to those who may not know it.
            assert (await served.ask("POST", "/whep/nothing", b"", SDP_HEADERS)).status == 401
            assert await listed(served, {}) == ["free"]
            assert await listed(served, bearer(TOKEN)) == ["free", "tiny"]
            page = (await served.ask("GET", "/")).body  # its titles are those of copies
            assert b"/watch/free" in page
            assert b"/watch/tiny" not in page
            assert b"/watch/tiny" in (await served.ask("GET", "/", headers=bearer(TOKEN))).body
            for path in ("/watch/tiny", "/packages/tiny/poster.jpg"):
                assert (await served.ask("GET", path)).status == 401
                assert (await served.ask("GET", path, headers=bearer(OTHER))).status == 403
                assert (await served.ask("GET", path, headers=bearer(TOKEN))).status == 200

    asyncio.run(run())


async def listed(served: Served, headers: dict[str, str]) -> list[str]:
    reply = await served.ask("GET", "/packages", headers=headers)
    return sorted(entry["name"] for entry in json.loads(reply.body))


def test_models_and_maps_want_the_token(tiny: Package, tiny_path: Path) -> None:
    everything = "the-key-of-the-house"
    settings = Settings.model_validate({"tokens": f"tiny={TOKEN},other={OTHER},*={everything}"})

    async def run() -> list[Reply]:
        async with serving(tiny_path, settings) as served:
            kinds = {place.kind: sha256 for sha256, place in tiny.places.items()}
            assert {"plan", "map"} <= set(kinds)
            for sha256 in kinds.values():
                path = f"/assets/{sha256}"
                assert (await served.ask("GET", path)).status == 401
                assert (await served.ask("GET", path, headers=bearer(OTHER))).status == 403
                reply = await served.ask("GET", path, headers=bearer(TOKEN))
                assert reply.status == 200
                assert reply.headers["Cache-Control"].startswith("private")
            # What is not there is not told from what is not allowed.
            return [
                await served.ask("GET", f"/assets/{'0' * 64}", headers=headers)
                for headers in ({}, bearer(TOKEN), bearer(everything))
            ]

    assert [reply.status for reply in asyncio.run(run())] == [401, 403, 404]


def test_our_client_plays_with_a_token_and_says_where_it_lacks_one(tiny_path: Path) -> None:
    settings = Settings.model_validate({"tokens": f"tiny={TOKEN}"})

    async def run() -> None:
        async with serving(tiny_path, settings) as served, asyncio.timeout(60):
            url = f"{served.url}/whep/tiny"
            stats = await Session(url, PlayOptions(token=TOKEN)).run()
            assert stats.frames > 0
            with pytest.raises(StreamError, match="wants a bearer token"):
                await Session(url, PlayOptions()).run()

    asyncio.run(run())


def test_metrics_may_have_a_token_of_their_own(tiny_path: Path) -> None:
    settings = Settings.model_validate({"metrics_token": TOKEN})

    async def run() -> None:
        async with serving(tiny_path, settings) as served:
            assert (await served.ask("GET", "/metrics")).status == 401
            assert (await served.ask("GET", "/metrics", headers=bearer(OTHER))).status == 401
            assert (await served.ask("GET", "/metrics", headers=bearer(TOKEN))).status == 200
            assert (await served.ask("GET", "/healthz")).status == 200

    asyncio.run(run())
