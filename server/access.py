"""Who may watch what: bearer tokens (RFC 6750), static or JWT (RFC 7519), for each package.

Without any token or key in the settings everybody may watch everything. With one, every package
wants a token, but for the public ones. A session's own URL is a secret of 24 random bytes, and so
is its own permission to end it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import HTTPException

from client_sdk.contract import Package
from kernels.errors import CrispcastError
from server.settings import Settings

ALL = "*"
_LEEWAY = 30  # seconds that clocks may differ
_MAX_TOKEN = 8192
_PEM = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class _Signer:
    """Whose JWTs are taken. `algorithms` follow from the key, never from the token."""

    key: Any
    algorithms: tuple[str, ...]
    issuer: str
    audience: str


class Access:
    """What a request's `Authorization` header opens. Raises CrispcastError on a bad key."""

    def __init__(self, settings: Settings) -> None:
        self._public = frozenset(settings.public_packages)
        # By hash: a look-up's time then tells nothing about a token.
        self._static: dict[bytes, set[str]] = {}
        for entry in settings.tokens:
            package, _, token = entry.get_secret_value().partition("=")
            self._static.setdefault(_digest(token), set()).add(package)
        self._signer = _signer(settings)
        wanted = settings.metrics_token
        self._metrics = None if wanted is None else _digest(wanted.get_secret_value())

    @property
    def guarded(self) -> bool:
        """Whether any package wants a token."""
        return bool(self._static) or self._signer is not None

    def is_open(self, package: str) -> bool:
        """Whether everybody may watch the package."""
        return not self.guarded or package in self._public or ALL in self._public

    def seen(self, authorization: str | None, packages: Mapping[str, Package]) -> list[Package]:
        """Those of `packages`, by name, that the header opens; raises HTTPException 401 on a bad
        token.
        """
        if all(map(self.is_open, packages)):
            return list(packages.values())
        granted = self._granted(authorization)  # once: a signature takes a while to check
        return [
            package
            for name, package in packages.items()
            if self.is_open(name) or ALL in granted or name in granted
        ]

    def require(self, authorization: str | None, *packages: str) -> None:
        """Raise HTTPException unless the header opens one of `packages`.

        401 without a token or with one that is not good; 403 with a good one for others.
        """
        if not self.guarded or any(self.is_open(package) for package in packages):
            return
        granted = self._granted(authorization)
        if authorization is None:
            raise _challenge(401, "this package wants a bearer token")
        if ALL not in granted and not any(package in granted for package in packages):
            raise _challenge(403, "the token is for other packages", "insufficient_scope")

    def require_metrics(self, authorization: str | None) -> None:
        """Raise HTTPException 401 unless the header has the token of the metrics, if one is set."""
        if self._metrics is not None and _digest(_bearer(authorization)) != self._metrics:
            raise _challenge(401, "the metrics want a bearer token")

    def _granted(self, authorization: str | None) -> frozenset[str]:
        if authorization is None or not self.guarded:
            return frozenset()
        token = _bearer(authorization)
        if not token:
            raise _challenge(401, "the Authorization header must be: Bearer TOKEN")
        known = self._static.get(_digest(token))
        if known is not None:
            return frozenset(known)
        if self._signer is not None:
            return self._claimed(token, self._signer)
        raise _challenge(401, "the token is not known", "invalid_token")

    @staticmethod
    def _claimed(token: str, signer: _Signer) -> frozenset[str]:
        try:
            claims = jwt.decode(
                token,
                signer.key,
                algorithms=list(signer.algorithms),
                issuer=signer.issuer,
                audience=signer.audience,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise _challenge(401, "the token has expired", "invalid_token") from None
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise _challenge(401, "the token is not good", "invalid_token") from None
        packages = claims.get("packages")
        if isinstance(packages, str):
            packages = [packages]
        if not isinstance(packages, list):
            return frozenset()
        return frozenset(package for package in packages if isinstance(package, str))


def _bearer(authorization: str | None) -> str:
    """The header's token; empty where there is none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and len(token) <= _MAX_TOKEN else ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _challenge(status: int, why: str, error: str | None = None) -> HTTPException:
    """A refusal as RFC 6750, section 3, wants it."""
    header = 'Bearer realm="crispcast"' + (f', error="{error}"' if error else "")
    return HTTPException(status, why, {"WWW-Authenticate": header})


def _signer(settings: Settings) -> _Signer | None:
    if settings.jwt_key is None:
        return None
    key = settings.jwt_key.get_secret_value()
    issuer, audience = settings.jwt_issuer, settings.jwt_audience
    if not key.startswith(_PEM):
        if len(key.encode()) < 32:
            raise CrispcastError(
                "the setting jwt_key is refused: a shared secret has at least 32 bytes; or give "
                "a public key in PEM"
            )
        return _Signer(key, ("HS256",), issuer, audience)
    try:
        public = load_pem_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise CrispcastError(
            "the setting jwt_key is refused: it is no public key in PEM (openssl pkey -pubout)"
        ) from None
    if isinstance(public, rsa.RSAPublicKey):
        return _Signer(public, ("RS256", "PS256"), issuer, audience)
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        return _Signer(public, ("ES256",), issuer, audience)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return _Signer(public, ("EdDSA",), issuer, audience)
    raise CrispcastError(
        "the setting jwt_key is refused: its kind is not known; use RSA, P-256 or Ed25519"
    )
