"""The HTTP face: right statuses, one sentence for every refusal, assets that cache for ever."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiortc import RTCPeerConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from client_sdk.contract import Package
from client_sdk.contract.control import EXTENSION_REL
from kernels import bases
from kernels.compiler import base_id
from kernels.errors import PackageError, StreamError
from server.app import create_app
from server.catalogue import open_catalogue
from server.ranged import PIECE, InPieces
from server.serving import listen
from server.settings import Settings
from server.whep import SDP
from tests.client_sdk.tiny import sha
from tests.server.serving import Reply, Served, serving

SDP_HEADERS = {"Content-Type": SDP}


def visit(
    path: Path, call: Callable[[Served], Awaitable[Reply]], limits: Settings | None = None
) -> Reply:
    async def run() -> Reply:
        async with serving(path, limits) as served:
            return await call(served)

    return asyncio.run(run())


def get(path: Path, url: str, method: str = "GET", **headers: str) -> Reply:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return visit(path, lambda served: served.ask(method, url, headers=named))


async def offer(video: bool = True, codec: str | None = None) -> bytes:
    peer = RTCPeerConnection()
    if video:
        peer.addTransceiver("video", direction="recvonly")
    peer.createDataChannel("crispcast")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    if codec is not None:
        sdp = sdp.replace("H264/90000", f"{codec}/90000").replace("VP8/90000", f"{codec}/90000")
    return sdp.encode()


def test_a_post_makes_a_session_that_a_delete_ends(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            assert reply.status == 201
            assert reply.headers["Content-Type"].startswith(SDP)
            assert reply.headers["ETag"]
            link = reply.headers["Link"]
            assert link == f'</packages/tiny/manifest.json>; rel="{EXTENSION_REL}"'
            assert b"H264" in reply.body
            assert b"VP8" not in reply.body
            session = reply.headers["Location"]
            # Nobody guesses 24 random bytes.
            assert len(session.rsplit("/", 1)[1]) >= 32
            assert served.viewers.count == 1
            headers = {"If-Match": '"other"'}
            assert (await served.ask("DELETE", session, headers=headers)).status == 200
            assert served.viewers.count == 0
            assert (await served.ask("DELETE", session)).status == 404

    asyncio.run(run())


@pytest.mark.parametrize(
    "path, body, kind, status",
    [
        ("/whep/nothing", b"v=0", SDP, 404),
        ("/whep/..%5ctiny", b"v=0", SDP, 404),
        ("/whep/tiny", b"v=0", "text/plain", 415),
        ("/whep/tiny", b"v=0", "application/json", 415),
        ("/whep/tiny", b"not an sdp", SDP, 400),
        ("/whep/tiny", b"", SDP, 400),
        ("/whep/tiny", b"\xff\xfe", SDP, 400),
        ("/whep/tiny", b"v=0\r\n" * 50_000, SDP, 413),
    ],
)
def test_a_bad_post_is_refused_in_one_sentence(
    tiny_path: Path, path: str, body: bytes, kind: str, status: int
) -> None:
    reply = visit(tiny_path, lambda s: s.ask("POST", path, body, {"Content-Type": kind}))
    assert reply.status == status
    assert 10 < len(json.loads(reply.body)["detail"]) < 200


@pytest.mark.parametrize("video, codec", [(False, None), (True, "VP9")])
def test_an_offer_without_h264_is_refused(tiny_path: Path, video: bool, codec: str | None) -> None:
    async def post(served: Served) -> Reply:
        reply = await served.ask("POST", "/whep/tiny", await offer(video, codec), SDP_HEADERS)
        assert served.viewers.count == 0
        return reply

    assert visit(tiny_path, post).status == 400


def test_an_offer_that_would_hold_up_the_others_is_refused(tiny_path: Path) -> None:
    async def run() -> None:
        good = (await offer()).decode()
        video = good[good.index("m=video") : good.index("m=application")]
        bare = "\r\n".join(line for line in good.splitlines() if "fingerprint" not in line)
        async with serving(tiny_path) as served:
            for bad, why in ((good + video * 9, "media sections"), (bare, "fingerprint")):
                reply = await served.ask("POST", "/whep/tiny", bad.encode(), SDP_HEADERS)
                assert reply.status == 400
                assert why in json.loads(reply.body)["detail"]
            assert served.viewers.count == 0

    asyncio.run(run())


def test_an_offer_that_never_ends_is_refused_and_one_that_breaks_off_is_forgotten(
    tiny_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    head = (
        b"POST /whep/tiny HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n"
        b"Content-Length: 1000\r\n\r\nv=0"
    )

    async def run() -> None:
        async with serving(tiny_path, Settings(offer_timeout=0.2)) as served:
            port = int(served.url.rsplit(":", 1)[1])
            _, breaking = await asyncio.open_connection("127.0.0.1", port)
            reader, slow = await asyncio.open_connection("127.0.0.1", port)
            for writer in (breaking, slow):
                writer.write(head)
                await writer.drain()
            await asyncio.sleep(0.05)
            breaking.close()
            assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"408"
            slow.close()
            assert served.viewers.count == 0

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert caplog.text == ""


def test_any_sdp_is_refused_or_answered_and_leaves_nothing_behind(tiny_path: Path) -> None:
    good = asyncio.run(offer()).decode()
    lines = good.splitlines()

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        kept = data.draw(st.lists(st.sampled_from(lines), max_size=len(lines)))
        noise = data.draw(st.text(max_size=30))
        sdp = "\r\n".join([*lines[: len(kept)], noise, *kept]).encode("utf-8", "replace")
        reply = loop.run_until_complete(served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS))
        assert reply.status in (201, 400)

    loop = asyncio.new_event_loop()
    context = serving(tiny_path)
    served = loop.run_until_complete(context.__aenter__())
    try:
        fuzz()
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()


def test_one_viewer_too_many_is_asked_to_wait(tiny_path: Path) -> None:
    async def post(served: Served) -> Reply:
        assert (await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)).status == 201
        return await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)

    reply = visit(tiny_path, post, Settings(max_viewers=1))
    assert reply.status == 503
    assert int(reply.headers["Retry-After"]) > 0


def test_the_endpoint_answers_get_head_and_options(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            empty = await served.ask("GET", "/whep/tiny")
            assert (empty.status, empty.body) == (204, b"")
            assert (await served.ask("HEAD", "/whep/tiny")).status == 200
            options = await served.ask("OPTIONS", "/whep/tiny")
            assert options.status == 204
            assert options.headers["Accept-Post"] == SDP
            preflight = await served.ask(
                "OPTIONS",
                "/whep/tiny",
                headers={
                    "Origin": "https://example.org",
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "content-type",
                },
            )
            assert preflight.status == 200
            assert preflight.headers["Access-Control-Allow-Origin"] == "*"
            assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
            assert preflight.headers["Accept-Post"] == SDP
            cross = await served.ask(
                "POST", "/whep/tiny", b"", {"Origin": "https://example.org", **SDP_HEADERS}
            )
            exposed = cross.headers["Access-Control-Expose-Headers"]
            assert {"Location", "Link", "ETag"} <= set(exposed.split(", "))

    asyncio.run(run())


def test_every_asset_can_be_had_over_http(tiny: Package, tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            for sha256 in tiny.places:
                reply = await served.ask("GET", f"/assets/{sha256}")
                assert sha(reply.body) == sha256
                assert "immutable" in reply.headers["Cache-Control"]

    asyncio.run(run())


@pytest.mark.parametrize(
    "asked, part",
    [
        ("bytes=10-19", slice(10, 20)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-7", slice(-7, None)),
    ],
)
def test_an_asset_can_be_had_in_parts(
    tiny: Package, tiny_path: Path, asked: str, part: slice
) -> None:
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    data = tiny.asset(sha256)
    reply = get(tiny_path, f"/assets/{sha256}", Range=asked)
    assert reply.status == 206
    assert reply.body == data[part]
    assert reply.headers["Content-Range"].endswith(f"/{len(data)}")


def test_a_range_outside_is_refused_and_a_known_asset_not_sent_again(
    tiny: Package, tiny_path: Path
) -> None:
    sha256 = tiny.manifest.rungs[0].segments[0].experts[0]
    assert get(tiny_path, f"/assets/{sha256}", Range="bytes=999999-").status == 416
    reply = get(tiny_path, f"/assets/{sha256}", If_None_Match=f'"{sha256}"')
    assert (reply.status, reply.body) == (304, b"")
    assert get(tiny_path, f"/assets/{sha256}", If_None_Match="*").status == 304


def test_a_head_is_answered_wherever_a_get_is(tiny: Package, tiny_path: Path) -> None:
    paths = ["/", "/healthz", "/readyz", "/metrics", "/packages", "/watch/tiny"]
    paths += [
        "/packages/tiny/manifest.json",
        "/packages/tiny/poster.jpg",
        "/packages/no/poster.jpg",
    ]
    paths += [f"/assets/{next(iter(tiny.places))}", "/sdk/crispcast.js", "/bases/0"]

    async def run() -> None:
        async with serving(tiny_path) as served:
            for path in paths:
                get, head = [await served.ask(method, path) for method in ("GET", "HEAD")]
                assert (head.status, head.body) == (get.status, b""), path
                if path not in ("/metrics", "/readyz"):
                    assert head.headers["Content-Length"] == get.headers["Content-Length"], path
                part = await served.ask("HEAD", path, headers={"Range": "bytes=0-0"})
                assert part.status == get.status, path

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_long_answer_goes_out_in_pieces_as_they_are_taken(size: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(InPieces(bytes(size))({"type": "http"}, receive, send))
    head, *pieces = sent
    assert (b"content-length", str(size).encode()) in head["headers"]
    assert sum(len(piece["body"]) for piece in pieces) == size
    assert max(len(piece["body"]) for piece in pieces) <= PIECE
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_every_shipped_base_can_be_had_by_its_id(tiny_path: Path) -> None:
    paths = bases.shipped()
    assert paths
    for path in paths:
        wire = path.read_bytes()
        reply = get(tiny_path, f"/bases/{base_id(wire).hex()}")
        assert reply.body == wire
        assert "immutable" in reply.headers["Cache-Control"]
    for name in ("0" * 32, "x2.plan", "..%2fx2.plan"):
        assert get(tiny_path, f"/bases/{name}").status == 404


@pytest.mark.parametrize("name", ["0" * 64, "manifest.json", "..%2fmanifest.json", "A" * 64])
def test_what_is_no_asset_is_not_found(tiny_path: Path, name: str) -> None:
    assert get(tiny_path, f"/assets/{name}").status == 404


def test_the_manifest_is_served_as_it_is(tiny: Package, tiny_path: Path) -> None:
    reply = get(tiny_path, "/packages/tiny/manifest.json")
    assert reply.body == tiny.manifest_bytes
    assert get(tiny_path, "/packages/other/manifest.json").status == 404


def test_people_and_monitors_see_what_is_there(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            assert b"tiny" in (await served.ask("GET", "/")).body
            listed = json.loads((await served.ask("GET", "/packages")).body)
            assert [entry["whep"] for entry in listed] == ["/whep/tiny"]
            assert (await served.ask("GET", "/healthz")).status == 200
            assert (await served.ask("GET", "/readyz")).status == 200

    asyncio.run(run())


@pytest.mark.parametrize("channels", [(), ("tiny",), ("*",)])
def test_channels_are_marked_as_such(tiny_path: Path, channels: tuple[str, ...]) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(channels=channels)) as served:
            (listed,) = json.loads((await served.ask("GET", "/packages")).body)
            assert listed["channel"] == bool(channels)
            page = (await served.ask("GET", "/")).body
            assert (b"Channel: live, looped" in page) == bool(channels)

    asyncio.run(run())


def test_a_broken_package_is_left_out_and_the_others_are_served(
    tiny_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(tiny_path, tmp_path / "good.crisp")
    shutil.copytree(tiny_path, tmp_path / "bad.crisp")
    (tmp_path / "bad.crisp" / "video" / "lr.mp4").write_bytes(b"")
    with caplog.at_level(logging.ERROR, "crispcast.server"):
        catalogue = open_catalogue(tmp_path)
    assert list(catalogue.packages) == ["good"]
    assert "bad" in catalogue.broken
    assert "lr.mp4" in caplog.text
    reply = visit(tmp_path, lambda s: s.ask("POST", "/whep/bad", b"v=0", SDP_HEADERS))
    assert reply.status == 409
    assert int(reply.headers["Retry-After"]) > 0
    assert "damaged" in json.loads(reply.body)["detail"]


def test_nothing_to_serve_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no package"):
        create_app(tmp_path)
    with pytest.raises(PackageError, match="no such folder"):
        create_app(tmp_path / "nowhere")


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(StreamError, match=f"port {port}.*--port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host, port", [("192.0.2.77", 0), ("no.such.host.invalid", 0)])
def test_an_address_that_is_not_ours_is_said(host: str, port: int) -> None:
    with pytest.raises(StreamError, match="cannot listen"):
        listen(host, port)


def test_an_ipv6_address_is_listened_on() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = listen("::1", 0)
    except StreamError:
        pytest.skip("no IPv6 loopback here")
    with listener, socket.create_connection(("::1", listener.getsockname()[1]), timeout=5) as peer:
        assert peer.family == socket.AF_INET6
