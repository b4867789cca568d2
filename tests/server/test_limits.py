"""What bounds a client: rates, TLS, proxies that are believed, and ICE servers it is told of."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import re
import ssl
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client_sdk.contract import Package
from client_sdk.contract.control import (
    CHANNEL,
    Bye,
    Hello,
    Message,
    Pause,
    Want,
    Wanted,
    decode_server_message,
    encode_message,
)
from kernels.errors import CrispcastError, StreamError
from server.app import create_app
from server.ice_servers import turn_credentials
from server.rates import Bucket, Rates
from server.serving import configured
from server.settings import Settings
from server.settings_sources import load_settings
from tests.server.serving import Served, serving
from tests.server.test_http import SDP_HEADERS, offer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    assert [bucket.wait() for _ in range(60)] == [0] * 60
    assert bucket.wait() == 1
    clock.now += 1
    assert bucket.wait() == 0
    assert bucket.wait() == 1
    clock.now += 3600
    assert [bucket.wait() for _ in range(61)] == [0] * 60 + [1]


def test_addresses_have_buckets_of_their_own_and_an_ipv6_customer_has_one() -> None:
    rates = Rates(1, Clock())
    assert rates.wait("192.0.2.1") == 0
    assert rates.wait("192.0.2.1") > 0
    assert rates.wait("192.0.2.2") == 0
    assert rates.wait("2001:db8::1") == 0
    assert rates.wait("2001:db8::ffff:2") > 0
    assert rates.wait("2001:db8:0:1::1") == 0
    assert Rates(0, Clock()).wait("192.0.2.1") == 0


def test_many_addresses_take_bounded_memory() -> None:
    rates = Rates(1, Clock())
    for number in range(30_000):
        rates.wait(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(rates._buckets) == 20_000


def test_an_address_that_asks_too_often_is_told_to_wait(tiny_path: Path) -> None:
    settings = Settings.model_validate({"requests_per_minute": 2, "trusted_proxies": ["127.0.0.1"]})

    async def run() -> None:
        async with serving(tiny_path, settings) as served:
            here = {**SDP_HEADERS, "X-Forwarded-For": "192.0.2.1"}
            there = {**SDP_HEADERS, "X-Forwarded-For": "192.0.2.2"}
            for method in ("POST", "DELETE"):
                assert (await served.ask(method, "/whep/tiny", b"", here)).status in (400, 405)
            assert (await served.ask("POST", "/whep/tiny", b"", here)).status == 400
            refused = await served.ask("POST", "/whep/tiny", await offer(), here)
            assert refused.status == 429
            assert int(refused.headers["Retry-After"]) > 0
            gone = await served.ask("DELETE", "/whep/tiny/x", None, here)
            assert gone.status == 429
            assert (await served.ask("GET", "/whep/tiny", None, here)).status == 204
            assert (await served.ask("POST", "/whep/tiny", b"", there)).status == 400

    asyncio.run(run())


def test_who_is_no_proxy_of_ours_cannot_choose_its_address(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(requests_per_minute=1)) as served:
            statuses = []
            for number in range(2):
                headers = {**SDP_HEADERS, "X-Forwarded-For": f"192.0.2.{number}"}
                statuses.append((await served.ask("POST", "/whep/tiny", b"", headers)).status)
            assert statuses == [400, 429]

    asyncio.run(run())


async def last_word(served: Served, *messages: Message) -> Bye:
    """Say hello and the messages at once; what the server says at the end."""
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="recvonly")
    channel = peer.createDataChannel(CHANNEL)

    def on_open() -> None:
        for message in (Hello(), *messages):
            channel.send(encode_message(message))

    def on_message(data: str | bytes) -> None:
        if isinstance(data, str) and '"bye"' in data and not heard.done():
            heard.set_result(data)

    channel.on("open", on_open)
    channel.on("message", on_message)
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp.encode()
    answer = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
    await peer.setRemoteDescription(RTCSessionDescription(answer.body.decode(), "answer"))
    bye = decode_server_message(await asyncio.wait_for(heard, 20))
    assert isinstance(bye, Bye)
    await peer.close()
    return bye


def test_an_address_gets_so_many_assets_a_minute(tiny: Package, tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(assets_per_minute=3)) as served:
            asset = f"/assets/{tiny.manifest.rungs[0].segments[0].experts[0]}"
            one = {"Range": "bytes=0-0"}
            replies = [await served.ask("GET", asset, None, one) for _ in range(4)]
            assert [reply.status for reply in replies] == [206, 206, 206, 429]
            assert int(replies[-1].headers["Retry-After"]) > 0
            assert (await served.ask("HEAD", asset)).status == 429
            assert (await served.ask("GET", "/packages")).status == 200

    asyncio.run(run())


def test_a_first_byte_over_http_is_read_once_and_in_another_thread(
    tiny: Package, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asset = [], Package.asset
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]

    def reading(package: Package, sha256: str) -> bytes:
        read.append(threading.current_thread())
        return asset(package, sha256)

    async def run() -> None:
        async with serving(tiny_path) as served:
            monkeypatch.setattr(Package, "asset", reading)
            for _ in range(5):
                reply = await served.ask("GET", f"/assets/{sha256}", None, {"Range": "bytes=0-0"})
                assert reply.body == asset(tiny, sha256)[:1]

    asyncio.run(run())
    assert len(read) == 1
    assert read[0] is not threading.main_thread()


def test_a_message_that_wants_many_assets_counts_as_several(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(messages_per_minute=20)) as served:
            many = Want(assets=tuple(Wanted(sha256=f"{n:064x}") for n in range(128)))
            bye = await last_word(served, many, many, many)
            assert "20 messages a minute" in bye.message

    asyncio.run(run())


def test_a_viewer_that_floods_the_channel_is_closed_and_others_are_not(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(messages_per_minute=20)) as served:
            bye = await last_word(served, *([Pause()] * 40))
            assert "20 messages a minute" in bye.message
            await asyncio.wait_for(served.viewers.all_gone.wait(), 20)
            assert (await served.ask("GET", "/readyz")).status == 200

    asyncio.run(run())


def test_ice_servers_come_with_credentials_that_a_turn_server_can_check(tiny_path: Path) -> None:
    secret = "shared-with-the-turn-server"
    settings = Settings.model_validate(
        {
            "ice_servers": "stun:stun.example.org, turn:turn.example.org:3478?transport=udp",
            "turn_secret": secret,
            "turn_seconds": 600,
        }
    )

    async def run() -> None:
        async with serving(tiny_path, settings) as served:
            reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            links = reply.headers.get_all("Link") or []
            assert any("super-resolution" in link for link in links)
            assert '<stun:stun.example.org>; rel="ice-server"' in links
            turn = next(link for link in links if link.startswith("<turn:turn.example.org:3478?"))
            found = re.search(r'username="((\d+):\w+)"; credential="([^"]+)"', turn)
            assert found is not None
            username, expiry, credential = found.groups()
            assert 0 < int(expiry) - time.time() <= 600
            digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
            assert base64.b64decode(credential) == digest
            # The name is not the session's secret.
            assert username.split(":")[1] not in reply.headers["Location"]
            asked = await served.ask("OPTIONS", "/whep/tiny")
            assert sum("ice-server" in link for link in asked.headers.get_all("Link") or []) == 2

    asyncio.run(run())


def test_turn_credentials_are_the_same_as_openssl_makes() -> None:
    # printf 1700000000:a1b2c3d4 | openssl dgst -sha1 -hmac secret -binary | base64
    username, credential = turn_credentials("secret", "a1b2c3d4", 1_700_000_000)
    assert username == "1700000000:a1b2c3d4"
    assert credential == "zgxbKl0b2KNCEW13tKmIwB7V3AM="


def test_nobody_without_a_token_gets_turn_credentials(tiny_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "ice_servers": ["turn:turn.example.org"],
            "turn_secret": "x" * 20,
            "tokens": "tiny=" + "t" * 20,
        }
    )

    async def run() -> None:
        async with serving(tiny_path, settings) as served:
            for method in ("POST", "OPTIONS"):
                reply = await served.ask(method, "/whep/tiny", await offer(), SDP_HEADERS)
                assert reply.status == 401
                assert reply.headers["Link"] is None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"ice_servers": "http://stun.example.org"}, "STUN or TURN"),
        ({"ice_servers": 'turn:a">,<x'}, "STUN or TURN"),
        ({"ice_servers": "turn:turn.example.org"}, "turn_secret"),
        ({"tls_key": "key.pem"}, "belong together"),
        ({"jwt_key": "k" * 40}, "jwt_issuer"),
        ({"tokens": "tiny=short"}, "PACKAGE=TOKEN"),
        ({"tokens": "@/no/such/file"}, "No such file"),
        ({"cors_origins": "https://example.org/"}, "web origin"),
        ({"trusted_proxies": "proxy"}, "network"),
        ({"low_water": "1048577"}, "low_water is above"),
        ({"http_timeout": "0"}, "greater than or equal to 0.1"),
        ({"offer_timeout": "0"}, "greater than or equal to 0.1"),
        ({"connect_timeout": "0"}, "greater than or equal to 0.1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, str], why: str) -> None:
    with pytest.raises(CrispcastError, match=why) as refused:
        load_settings(None, None, settings)
    assert "short" not in str(refused.value)


def test_secrets_are_read_from_files_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("tiny=0123456789abcdef\n*=fedcba9876543210\n")
    (tmp_path / "turn").write_text("a-turn-secret\n")
    flags = {"tokens": f"@{tmp_path / 'tokens'}", "turn_secret": f"@{tmp_path / 'turn'}"}
    settings = load_settings(None, None, flags)
    assert [token.get_secret_value() for token in settings.tokens] == [
        "tiny=0123456789abcdef",
        "*=fedcba9876543210",
    ]
    assert settings.turn_secret is not None
    assert settings.turn_secret.get_secret_value() == "a-turn-secret"
    for secret in ("0123456789abcdef", "a-turn-secret"):
        assert secret not in repr(settings)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_it_speaks_tls(tiny_path: Path, certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    trust = ssl.create_default_context(cafile=str(chain))

    def ask(url: str) -> dict[str, str]:
        with urllib.request.urlopen(url, timeout=20, context=trust) as answer:
            said: dict[str, str] = json.load(answer)
            return said

    async def run() -> None:
        settings = Settings(tls_certificate=chain, tls_key=key)
        async with serving(tiny_path, settings) as served:
            url = served.url.replace("http://127.0.0.1", "https://localhost")
            assert (await asyncio.to_thread(ask, f"{url}/healthz"))["status"] == "ok"

    asyncio.run(run())


def test_tls_that_cannot_be_spoken_is_said_at_the_start(
    tiny_path: Path, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    chain, key = certificate
    for bad in (chain, tmp_path / "none.pem"):
        settings = Settings(tls_certificate=bad, tls_key=key if bad != chain else chain)
        with pytest.raises(StreamError, match="TLS cannot be spoken with"):
            configured(create_app(tiny_path, settings), settings)


def test_only_the_pages_of_the_origins_that_are_set_may_play(tiny_path: Path) -> None:
    async def run() -> None:
        settings = Settings.model_validate({"cors_origins": "https://a.example.org"})
        async with serving(tiny_path, settings) as served:
            for origin, allowed in (("https://a.example.org", True), ("https://b.org", False)):
                reply = await served.ask("GET", "/whep/tiny", None, {"Origin": origin})
                assert (reply.headers["Access-Control-Allow-Origin"] == origin) == allowed

    asyncio.run(run())


@pytest.mark.parametrize("more", [("sendonly",), ("sendrecv", "sendonly")])
def test_nothing_that_a_client_would_send_is_received(
    tiny_path: Path, more: tuple[str, ...]
) -> None:
    """It would be decoded, by a thread for each section, and kept for ever."""

    async def run() -> None:
        async with serving(tiny_path) as served:
            peer = RTCPeerConnection()
            for direction in ("recvonly", *more):
                peer.addTransceiver("video", direction=direction)
            await peer.setLocalDescription(await peer.createOffer())
            sdp = peer.localDescription.sdp.encode()
            reply = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            assert reply.status == 201
            answer = reply.body.decode()
            assert answer.count("m=video") == 1 + len(more)
            assert answer.count("a=inactive") == len(more)
            assert "a=recvonly" not in answer
            assert "a=sendrecv" not in answer
            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            assert peer.getTransceivers()[0].currentDirection == "recvonly"
            viewer = served.viewers.only()
            receivers = [t.receiver for t in viewer._peer.getTransceivers()]
            assert not any(getattr(r, "_RTCRtpReceiver__started") for r in receivers)  # noqa: B009
            await peer.close()

    asyncio.run(run())
