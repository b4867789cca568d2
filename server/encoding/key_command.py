"""`crispcast key`: its commands, loaded when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from client_sdk.contract import open_package
from client_sdk.contract.signing import key_text, parse_trust, signer_of
from kernels.errors import CrispcastError, PackageError
from server.encoding.signing import SigningKey, sign_package

_Packages = Annotated[list[Path], typer.Argument(help="Packages, NAME.crisp.")]


def _new(
    file: Annotated[Path, typer.Argument(help="Where the private key is to lie.")],
) -> None:
    """Make a private key in FILE and print its public key, which clients are told to trust."""
    typer.echo(SigningKey.new(file).public)


def _public(file: Annotated[Path, typer.Argument(help="A private key.")]) -> None:
    """Print the public key of the private key in FILE."""
    typer.echo(SigningKey.load(file).public)


def _sign(
    packages: _Packages,
    key: Annotated[Path, typer.Option(envvar="CRISPCAST_SIGN_KEY", help="A private key.")],
) -> None:
    """Sign PACKAGES, whose every file is checked first; other signatures of theirs are replaced."""
    loaded = SigningKey.load(key)
    for package in packages:
        sign_package(package, loaded)
        typer.echo(f"{package}: signed by {loaded.public}")


def _verify(
    packages: _Packages,
    trust: Annotated[
        list[str],
        typer.Option(envvar="CRISPCAST_TRUST", help="A public key; may be given again."),
    ],
) -> None:
    """Check every file of PACKAGES, and that one of the trusted keys signed their manifests."""
    keys = parse_trust(trust)
    if not keys:
        raise CrispcastError("no key to trust is given; give one with --trust")
    for path in packages:
        package = open_package(path)
        if package.signature is None:
            raise PackageError(f"{path} is not signed")
        signer = signer_of(keys, package.manifest_sha256, package.signature)
        if signer is None:
            raise PackageError(f"{path}: its signature is by none of the trusted keys")
        typer.echo(f"{path}: whole, and signed by {key_text(signer)}")


def key_commands() -> Any:
    """The group of commands as click has it."""
    made = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        help="Keys that sign packages: make, show, sign, verify.",
    )
    for name, command in (("new", _new), ("public", _public), ("sign", _sign), ("verify", _verify)):
        made.command(name)(command)
    return typer.main.get_command(made)
