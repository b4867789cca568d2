"""Signed packages over real sockets: what is trusted is played, what is not is interpolated."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

import crispcast
from client_sdk.contract import MANIFEST_FILE, SIGNATURE_FILE, open_package
from client_sdk.contract.control import Hello, ManifestHead
from client_sdk.contract.signing import parse_trust
from client_sdk.play_options import PlayOptions
from server.catalogue import open_catalogue
from server.encoding.signing import SigningKey, sign_package
from server.settings import Settings
from server.viewer import Viewer
from tests.client_sdk.tiny import SEGMENTS, make_plan, sha
from tests.server.serving import serving
from tests.server.test_fuzz_control import MemoryChannel
from tests.server.test_play import offline, play
from tests.server.test_storms import converse, hear

FRAMES = sum(SEGMENTS)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.new(tmp_path / "my.key")


@pytest.fixture
def signed(tiny_copy: Path, key: SigningKey) -> Path:
    sign_package(tiny_copy, key)
    return tiny_copy


def trusting(key: SigningKey, **options: object) -> PlayOptions:
    return PlayOptions(trust=parse_trust([key.public]), **options)  # type: ignore[arg-type]


def with_another_plan(package: Path) -> None:
    """Somebody who may write there puts a plan of theirs in the place of one of ours."""
    manifest, theirs = package / MANIFEST_FILE, make_plan(77, ("luma",))
    tree = json.loads(manifest.read_bytes())
    ours = tree["rungs"][0]["segments"][0]["experts"][1]
    facts = {**tree["assets"][ours], "bytes": len(theirs)}
    changed = json.loads(manifest.read_text().replace(ours, sha(theirs)))
    changed["assets"][sha(theirs)] = facts
    manifest.write_text(json.dumps(changed))
    (package / "plans" / f"{sha(theirs)}.plan").write_bytes(theirs)


def with_another_signature(package: Path) -> None:
    other = SigningKey.new(package.parent / "other.key")
    sign_package(package, other)


def without_signature(package: Path) -> None:
    (package / SIGNATURE_FILE).unlink()


def test_what_is_signed_by_one_who_is_trusted_is_super_resolved(
    signed: Path, key: SigningKey, tmp_path: Path
) -> None:
    out = tmp_path / "played.y4m"
    stats = play(signed, trusting(key, out=out))
    assert out.read_bytes() == offline(open_package(signed), tmp_path / "offline.y4m")
    assert (stats.frames_sr, stats.untrusted) == (FRAMES, "")


@pytest.mark.parametrize(
    "tamper, why",
    [
        (with_another_plan, "none of the trusted keys"),
        (with_another_signature, "none of the trusted keys"),
        (without_signature, "not signed"),
    ],
)
def test_what_is_not_is_interpolated_and_nothing_of_it_is_fetched(
    signed: Path,
    key: SigningKey,
    tmp_path: Path,
    tamper: Callable[[Path], None],
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tamper(signed)
    out = tmp_path / "played.y4m"
    with caplog.at_level(logging.WARNING, "crispcast.client"):
        stats = play(signed, trusting(key, out=out))
    assert out.read_bytes() == offline(open_package(signed), tmp_path / "offline.y4m", sr=False)
    assert (stats.frames, stats.frames_sr, stats.plan_bytes) == (FRAMES, 0, 0)
    assert why in stats.untrusted
    assert why in caplog.text


def test_who_trusts_nobody_in_particular_plays_it_all(signed: Path) -> None:
    with_another_plan(signed)
    stats = play(signed, PlayOptions())
    assert (stats.frames_sr, stats.untrusted) == (FRAMES, "")


def test_the_command_says_why(
    signed: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    without_signature(signed)

    async def run() -> None:
        async with serving(signed) as served, asyncio.timeout(30):
            arguments = ["play", f"{served.url}/whep/tiny", "--no-cache", "--trust", key.public]
            with pytest.raises(SystemExit) as ended:
                await asyncio.to_thread(crispcast.main, arguments)
            assert not ended.value.code

    asyncio.run(run())
    assert "nothing was super-resolved: the manifest is not signed" in capsys.readouterr().err


def test_a_manifest_comes_with_its_signature_over_http(signed: Path) -> None:
    async def run() -> None:
        async with serving(signed) as served:
            reply = await served.ask("GET", "/packages/tiny/manifest.json")
            signature = reply.headers["Crispcast-Signature"]
            assert signature == (signed / SIGNATURE_FILE).read_text().strip()
            assert sha(reply.body) == reply.headers["ETag"].strip('"')
            again = {"If-None-Match": reply.headers["ETag"], "Origin": "https://a.example"}
            kept = await served.ask("GET", "/packages/tiny/manifest.json", headers=again)
            assert (kept.status, kept.headers["Crispcast-Signature"]) == (304, signature)
            assert "Crispcast-Signature" in kept.headers["Access-Control-Expose-Headers"]

    asyncio.run(run())


def test_a_package_that_is_signed_while_it_is_served_is_served_so(
    tiny_copy: Path, key: SigningKey
) -> None:
    catalogue = open_catalogue(tiny_copy)
    assert catalogue.packages["tiny"].signature is None
    sign_package(tiny_copy, key)
    catalogue.look()
    signed = catalogue.packages["tiny"]
    assert signed.signature == (tiny_copy / SIGNATURE_FILE).read_text().strip()
    catalogue.look()
    assert catalogue.packages["tiny"] is signed


@pytest.mark.parametrize("version, told", [("1.0", False), ("1.1", False), ("1.2", True)])
def test_only_who_knows_of_signatures_is_sent_one(signed: Path, version: str, told: bool) -> None:
    package = open_package(signed)

    async def talk(viewer: Viewer, channel: MemoryChannel) -> None:
        hear(channel, Hello(version=version))
        head = channel.said[0]
        assert isinstance(head, ManifestHead)
        assert head.signature == (package.signature if told else None)

    converse(package, talk, Settings())
