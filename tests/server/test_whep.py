"""Conformance with WHEP (draft-ietf-wish-whep-03), point by point, over real HTTP.

The sections cited are the draft's. What a client meets elsewhere (tokens, limits, ICE servers) is
in test_access.py and test_limits.py.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from pathlib import Path

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from hypothesis import given
from hypothesis import strategies as st

from kernels.errors import StreamError
from server.settings import Settings
from server.trickle import MAX_CANDIDATES, SDP_FRAGMENT, read_fragment
from tests.server.serving import Reply, Served, serving
from tests.server.test_http import SDP_HEADERS, get, offer

CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host"


async def begin(served: Served) -> Reply:
    reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
    assert reply.status == 201, reply.body
    return reply


def patching(etag: str | None, kind: str = SDP_FRAGMENT) -> dict[str, str]:
    return {"Content-Type": kind} | ({} if etag is None else {"If-Match": etag})


# -- 4.2: the offer and its answer ----------------------------------------------------------------


def test_a_post_is_answered_by_201_with_an_answer_a_session_and_an_etag(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            first, second = await begin(served), await begin(served)
            assert first.headers.get_content_type() == "application/sdp"
            assert re.fullmatch(r'"[^"]+"', first.headers["ETag"])  # strong, as 4.3.1 wants
            assert first.headers["ETag"] != second.headers["ETag"]
            assert first.headers["Location"] != second.headers["Location"]
            # RFC 9110: a 201 with a session's secret is not for caches.
            assert first.headers["Cache-Control"] == "no-store"

    asyncio.run(run())


def test_the_answer_sends_only_and_takes_the_passive_part_with_all_candidates(
    tiny_path: Path,
) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            sdp = (await begin(served)).body.decode()
            video = sdp[sdp.index("m=video") :].split("m=application")[0]
            assert "a=sendonly" in video
            assert "a=recvonly" not in sdp
            assert "a=rtcp-mux" in video
            assert re.search(r"a=setup:(passive|active)", video)
            assert "a=group:BUNDLE" in sdp
            assert "a=candidate:" in video
            assert "a=end-of-candidates" in video

    asyncio.run(run())


async def directed(video: str, audio: str) -> RTCPeerConnection:
    """A player that wants its media in these directions."""
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction=video)
    peer.addTransceiver("audio", direction=audio)
    await peer.setLocalDescription(await peer.createOffer())
    return peer


@pytest.mark.parametrize("direction", ["inactive", "sendonly"])
def test_an_offer_that_takes_no_video_is_400(tiny_path: Path, direction: str) -> None:
    async def run() -> None:
        peer = await directed(direction, "recvonly")
        async with serving(tiny_path) as served:
            sdp = peer.localDescription.sdp.encode()
            reply = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            assert (reply.status, b"no video to receive" in reply.body) == (400, True)
            assert served.viewers.count == 0
        await peer.close()

    asyncio.run(run())


@pytest.mark.parametrize("direction", ["recvonly", "inactive", "sendonly"])
def test_a_play_is_over_with_the_media_that_the_player_takes(
    tiny_path: Path, direction: str
) -> None:
    async def run() -> None:
        peer = await directed("recvonly", direction)
        async with serving(tiny_path, Settings(leave_timeout=0.1)) as served:
            sdp = peer.localDescription.sdp.encode()
            reply = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            assert (reply.status, served.viewers.count) == (201, 1)
            answer = RTCSessionDescription(reply.body.decode(), "answer")
            await peer.setRemoteDescription(answer)
            await asyncio.wait_for(served.viewers.all_gone.wait(), 20)
        await peer.close()

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["application/sdp; charset=utf-8", "Application/SDP"])
def test_the_content_type_may_have_parameters_and_any_case(tiny_path: Path, kind: str) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            reply = await served.ask("POST", "/whep/tiny", await offer(), {"Content-Type": kind})
            assert reply.status == 201

    asyncio.run(run())


def test_another_content_type_is_415_and_says_what_is_taken(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            headers = {"Content-Type": "application/json"}
            reply = await served.ask("POST", "/whep/tiny", await offer(), headers)
            assert (reply.status, reply.headers["Accept-Post"]) == (415, "application/sdp")

    asyncio.run(run())


def test_what_cannot_be_played_now_is_409_with_retry_after(
    tiny_path: Path, package_beside: Path
) -> None:
    async def run() -> None:
        async with serving(package_beside) as served:
            reply = await served.ask("POST", "/whep/bad", await offer(), SDP_HEADERS)
            assert reply.status == 409
            assert int(reply.headers["Retry-After"]) > 0
            await begin(served)

    asyncio.run(run())


def test_what_broke_this_moment_is_409_too(tiny_copy: Path) -> None:
    async def run() -> None:
        async with serving(tiny_copy, Settings(look_seconds=0)) as served:
            video = served.viewers.catalogue.packages["tiny"].video_path(0)
            data = video.read_bytes()
            video.unlink()
            reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            assert reply.status == 409
            assert int(reply.headers["Retry-After"]) > 0
            assert served.viewers.count == 0
            video.write_bytes(data)
            await begin(served)

    asyncio.run(run())


@pytest.fixture
def package_beside(tiny_path: Path, tmp_path: Path) -> Path:
    """A folder with a whole package, and one that is damaged."""
    (tmp_path / "tiny.crisp").symlink_to(tiny_path)
    (tmp_path / "bad.crisp").mkdir()
    return tmp_path


def test_overload_is_503_with_retry_after(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path, Settings(max_viewers=1)) as served:
            await begin(served)
            reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS)
            assert reply.status == 503
            assert int(reply.headers["Retry-After"]) > 0

    asyncio.run(run())


def test_who_could_not_get_media_from_here_is_503_and_takes_no_place(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        sdp = await offer()
        # Without a network, or with too many files open, there is no address to send from.
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
        async with serving(tiny_path) as served:
            reply = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            assert reply.status == 503
            assert int(reply.headers["Retry-After"]) > 0
            assert b"no socket for media" in reply.body
            assert served.viewers.count == 0

    asyncio.run(run())


# -- 4.2, 4.4: other methods, CORS ----------------------------------------------------------------


def test_get_is_empty_head_is_200_and_options_says_accept_post(tiny_path: Path) -> None:
    found = get(tiny_path, "/whep/tiny")
    assert (found.status, found.body) == (204, b"")
    assert get(tiny_path, "/whep/tiny", "HEAD").status == 200
    options = get(tiny_path, "/whep/tiny", "OPTIONS")
    assert options.status == 204
    assert options.headers["Accept-Post"] == "application/sdp"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_the_endpoint_takes_no_other_method(tiny_path: Path, method: str) -> None:
    reply = get(tiny_path, "/whep/tiny", method)
    assert reply.status == 405
    assert reply.headers["Allow"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_a_session_reserves_the_other_methods(tiny_path: Path, method: str) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            session = (await begin(served)).headers["Location"]
            reply = await served.ask(method, session)
            assert reply.status == 405
            assert reply.headers["Allow"]

    asyncio.run(run())


def test_pages_of_other_origins_may_read_what_they_need(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            page = {"Origin": "https://example.org"}
            reply = await served.ask("POST", "/whep/tiny", await offer(), SDP_HEADERS | page)
            exposed = set(reply.headers["Access-Control-Expose-Headers"].split(", "))
            assert {"Location", "Link", "ETag", "Accept-Post", "Accept-Patch"} <= exposed
            asking = {
                "Access-Control-Request-Method": "PATCH",
                "Access-Control-Request-Headers": "authorization,content-type,if-match",
            }
            preflight = await served.ask("OPTIONS", reply.headers["Location"], None, page | asking)
            assert preflight.status == 200
            assert {"PATCH", "DELETE"} <= set(
                preflight.headers["Access-Control-Allow-Methods"].split(", ")
            )
            # What is refused must be readable too.
            refused = await served.ask("POST", "/whep/none", b"", SDP_HEADERS | page)
            assert refused.headers["Access-Control-Allow-Origin"] == "*"

    asyncio.run(run())


# -- 4.3: trickled candidates ---------------------------------------------------------------------


def test_patch_wants_if_match_and_the_right_one(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            reply = await begin(served)
            session, etag = reply.headers["Location"], reply.headers["ETag"]
            body = f"m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{CANDIDATE}\r\n".encode()
            for match, status in ((None, 428), ('"other"', 412), (etag, 204)):
                answer = await served.ask("PATCH", session, body, patching(match))
                assert answer.status == status
            assert answer.body == b""
            text = await served.ask("PATCH", session, body, patching(etag, "text/plain"))
            assert (text.status, text.headers["Accept-Patch"]) == (415, SDP_FRAGMENT)
            assert (await served.ask("OPTIONS", session)).headers["Accept-Patch"] == SDP_FRAGMENT
            for bad in (b"", b"\xff", b"hello", CANDIDATE.encode()):
                answer = await served.ask("PATCH", session, bad, patching(etag))
                assert answer.status == 400
                assert len(json.loads(answer.body)["detail"]) > 10
            long = await served.ask("PATCH", session, b"a=x\r\n" * 20_000, patching(etag))
            assert long.status == 413
            gone = await served.ask("PATCH", "/whep/tiny/none", body, patching(etag))
            assert gone.status == 404

    asyncio.run(run())


def test_an_ice_restart_is_422_and_the_session_goes_on(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            reply = await begin(served)
            body = b"a=ice-ufrag:fresh\r\na=ice-pwd:0123456789abcdef012345\r\n"
            session = reply.headers["Location"]
            for match in ("*", reply.headers["ETag"]):
                assert (await served.ask("PATCH", session, body, patching(match))).status == 422
            assert served.viewers.count == 1

    asyncio.run(run())


def test_a_trickled_candidate_is_what_connects(tiny_path: Path) -> None:
    """Neither side's SDP has candidates, so the session stands on what came by PATCH."""

    async def run() -> None:
        async with serving(tiny_path) as served, asyncio.timeout(60):
            peer = RTCPeerConnection()
            peer.addTransceiver("video", direction="recvonly")
            connected = asyncio.Event()
            peer.on(
                "connectionstatechange",
                lambda: connected.set() if peer.connectionState == "connected" else None,
            )
            await peer.setLocalDescription(await peer.createOffer())
            sdp = peer.localDescription.sdp
            bare = without_candidates(sdp)
            assert "candidate" not in bare
            reply = await served.ask("POST", "/whep/tiny", bare.encode(), SDP_HEADERS)
            answer = without_candidates(reply.body.decode())
            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            kept = re.findall(r"a=(?:ice-ufrag|mid|candidate).*", sdp)
            fragment = "\r\n".join([*kept, "a=end-of-candidates", ""]).encode()
            headers = patching(reply.headers["ETag"])
            session = reply.headers["Location"]
            assert (await served.ask("PATCH", session, fragment, headers)).status == 204
            await connected.wait()
            # After the end of candidates, more are passed over (RFC 8838, section 14).
            assert (await served.ask("PATCH", session, fragment, headers)).status == 204
            await peer.close()

    asyncio.run(run())


def without_candidates(sdp: str) -> str:
    return re.sub(r"a=(?:end-of-candidates|candidate:.*)\r\n", "", sdp)


def test_candidates_are_bounded_in_offer_and_fragments(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            many = f"{CANDIDATE}\r\n" * (MAX_CANDIDATES + 1)
            sdp = (await offer()).decode()
            flood = sdp.replace("a=end-of-candidates\r\n", many).encode()
            assert (await served.ask("POST", "/whep/tiny", flood, SDP_HEADERS)).status == 400
            bare = without_candidates(sdp).encode()
            reply = await served.ask("POST", "/whep/tiny", bare, SDP_HEADERS)
            session, headers = reply.headers["Location"], patching(reply.headers["ETag"])
            half = ("a=mid:0\r\n" + f"{CANDIDATE}\r\n" * (MAX_CANDIDATES // 2)).encode()
            statuses = [
                (await served.ask("PATCH", session, half, headers)).status for _ in range(3)
            ]
            assert statuses == [204, 204, 400]

    asyncio.run(run())


def test_a_fragment_is_read_as_rfc_8840_writes_it() -> None:
    fragment = read_fragment(
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n"
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n"
        "a=candidate:34716238 1 tcp 1518280447 2001:db8::1 9 typ srflx raddr 192.0.2.1 rport 9\r\n"
        "a=end-of-candidates\r\n"
    )
    assert (fragment.ufrag, fragment.complete) == ("EsAw", True)
    assert [(c.ip, c.port, c.sdpMid) for c in fragment.candidates] == [
        ("192.0.2.1", 61764, "0"),
        ("2001:db8::1", 9, "0"),
    ]


@given(
    st.lists(
        st.one_of(
            st.text(max_size=40),
            st.text(max_size=60).map("a=candidate:{}".format),
            st.sampled_from(["a=mid:0", CANDIDATE, "a=end-of-candidates", "a=ice-ufrag:x"]),
        ),
        max_size=8,
    )
)
def test_any_fragment_is_read_or_refused_in_a_sentence(lines: list[str]) -> None:
    try:
        fragment = read_fragment("\r\n".join(lines))
    except StreamError as refused:
        assert "\n" not in str(refused)  # noqa: PT017
    else:
        assert all(candidate.sdpMid is not None for candidate in fragment.candidates)


# -- 4.5: the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("match", [None, '"stale"', "*"])
def test_delete_ends_the_session_and_ignores_etags(tiny_path: Path, match: str | None) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            session = (await begin(served)).headers["Location"]
            headers = {} if match is None else {"If-Match": match}
            assert (await served.ask("DELETE", session, None, headers)).status == 200
            assert served.viewers.count == 0
            assert (await served.ask("DELETE", session, None, headers)).status == 404

    asyncio.run(run())


def test_a_session_is_found_under_its_own_package_only(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            session = (await begin(served)).headers["Location"]
            secret = session.rsplit("/", 1)[1]
            for path in (f"/whep/other/{secret}", f"/whep/tiny/{secret[:-1]}", "/whep/tiny/%2e%2e"):
                assert (await served.ask("DELETE", path)).status == 404
            assert served.viewers.count == 1

    asyncio.run(run())


# -- 4.9: extensions; and HTTP that is none --------------------------------------------------------


def test_the_extension_is_announced_and_never_required(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            peer = RTCPeerConnection()  # a stock player: video only, no data channel
            peer.addTransceiver("video", direction="recvonly")
            frame: asyncio.Future[object] = asyncio.get_running_loop().create_future()

            async def watch(track) -> None:
                frame.set_result(await track.recv())

            tasks = []
            peer.on("track", lambda track: tasks.append(asyncio.ensure_future(watch(track))))
            await peer.setLocalDescription(await peer.createOffer())
            sdp = peer.localDescription.sdp.encode()
            reply = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
            assert 'rel="urn:crispcast:whep-ext:super-resolution"' in reply.headers["Link"]
            await peer.setRemoteDescription(RTCSessionDescription(reply.body.decode(), "answer"))
            assert await asyncio.wait_for(frame, 20) is not None
            await peer.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "head",
    [
        b"POST /whep/tiny HTTP/1.1\r\n\r\n",
        b"POST /whep/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /whep/tiny HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_good_http_gets_a_4xx_and_harms_nobody(tiny_path: Path, head: bytes) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            host, port = served.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 10)
            assert line.split()[1].startswith(b"4")
            writer.close()
            assert (await served.ask("GET", "/healthz")).status == 200

    asyncio.run(run())


def test_a_body_in_pieces_is_as_good_as_one_whole(tiny_path: Path) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served:
            sdp = await offer()
            status = await asyncio.to_thread(post_in_pieces, served.url, sdp)
            assert status == 201

    asyncio.run(run())


def post_in_pieces(url: str, sdp: bytes) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    pieces = (sdp[at : at + 97] for at in range(0, len(sdp), 97))
    connection.request("POST", "/whep/tiny", pieces, SDP_HEADERS, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status
