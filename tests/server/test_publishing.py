"""Publishing by WHIP (RFC 9725): what is offered, sent and said, and how what goes wrong ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from aiortc.sdp import SessionDescription
from fastapi import Response

from client_sdk.contract import open_package
from client_sdk.receiving import identity_of
from client_sdk.whep import IceServer
from kernels.errors import PackageError, StreamError
from server import publishing
from server.media import PackageMedia
from server.publishing import Publisher, PublishOptions, PublishStats
from tests.client_sdk.tiny import SEGMENTS
from tests.server.whip import SDP, Endpoint, whip_endpoint

FRAMES = sum(SEGMENTS)
PATIENCE = 40.0
T = TypeVar("T")


def published(
    path: Path,
    during: Callable[[Endpoint, Publisher], Awaitable[None]],
    prepared: Callable[[Endpoint], None] = lambda endpoint: None,
    **options: object,
) -> tuple[Endpoint, PublishStats]:
    """Publish a package to an endpoint of ours while `during` goes on."""

    async def run() -> tuple[Endpoint, PublishStats]:
        media = PackageMedia.open(open_package(path))
        try:
            async with asyncio.timeout(PATIENCE), whip_endpoint() as endpoint:
                prepared(endpoint)
                to = PublishOptions(f"{endpoint.url}/whip", **options)  # type: ignore[arg-type]
                publisher = Publisher(media, to)
                running = asyncio.create_task(publisher.run())
                doing = asyncio.ensure_future(during(endpoint, publisher))
                await asyncio.wait({running, doing}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    doing.cancel()
                else:
                    await doing
                publisher.stop()
                return endpoint, await running
        finally:
            media.close()

    return asyncio.run(run())


def refused(
    path: Path, prepared: Callable[[Endpoint], None], **options: object
) -> pytest.ExceptionInfo[StreamError]:
    async def for_ever(endpoint: Endpoint, publisher: Publisher) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StreamError) as caught:
        published(path, for_ever, prepared, **options)
    return caught


async def a_loop_and_more(endpoint: Endpoint, publisher: Publisher) -> None:
    await endpoint.until(lambda: endpoint.playing(0, FRAMES + 5))


def test_a_package_is_published_as_it_is_coded_in_a_loop(either_path: Path) -> None:
    endpoint, stats = published(either_path, a_loop_and_more)
    (session,) = endpoint.sessions
    package = open_package(either_path)
    named = [identity_of(frame) for frame in session.frames]
    known = [(n, i.frame) for n, i in enumerate(named) if i is not None]
    starts = {segment.start for segment in package.manifest.segments}
    # Each segment names its first frame, and the first one follows the last.
    assert [frame for _, frame in known] == [n % FRAMES for n, _ in known]
    assert {frame for n, frame in known if n < FRAMES} == starts
    assert {i.package for i in named if i is not None} == {package.manifest.id}
    assert session.sound
    assert stats.frames > FRAMES
    assert [method for method, _, _ in endpoint.requests] == ["OPTIONS", "POST", "DELETE"]


def test_the_offer_is_what_whip_wants(tiny_path: Path) -> None:
    endpoint, _ = published(tiny_path, a_loop_and_more)
    offer = endpoint.sessions[0].offer
    parsed = SessionDescription.parse(offer)
    assert [media.kind for media in parsed.media] == ["video", "audio"]
    assert {media.direction for media in parsed.media} == {"sendonly"}
    assert {codec.mimeType for codec in parsed.media[0].rtp.codecs} == {"video/H264", "video/rtx"}
    assert {codec.mimeType for codec in parsed.media[1].rtp.codecs} == {"audio/opus"}
    assert offer.count("a=setup:actpass") == 2
    assert offer.count("a=rtcp-mux-only") == 2  # section 4.4.1
    streams = set(re.findall(r"^a=msid:(\S+)", offer, re.MULTILINE))
    assert len(streams) == 1  # section 4.4.2
    assert "a=group:BUNDLE 0 1" in offer
    assert "a=candidate:" in offer


def test_who_stops_while_the_endpoint_answers_leaves_no_session_there(tiny_path: Path) -> None:
    async def stop_meanwhile(endpoint: Endpoint, publisher: Publisher) -> None:
        def stop(answer: str) -> str:
            publisher.stop()
            return answer

        endpoint.change = stop
        await asyncio.Event().wait()

    endpoint, stats = published(tiny_path, stop_meanwhile)
    assert [method for method, _, _ in endpoint.requests] == ["OPTIONS", "POST", "DELETE"]
    assert stats.frames == 0


def test_a_request_for_a_key_frame_changes_nothing(tiny_path: Path) -> None:
    async def ask(endpoint: Endpoint, publisher: Publisher) -> None:
        await endpoint.until(lambda: endpoint.playing(0, 3))
        receiver = endpoint.sessions[0].peer.getReceivers()[0]
        (source,) = receiver.getSynchronizationSources()[:1]
        await receiver._send_rtcp_pli(source.source)
        await a_loop_and_more(endpoint, publisher)

    endpoint, _ = published(tiny_path, ask)
    times = np.diff([frame.pts or 0 for frame in endpoint.sessions[0].frames])
    assert set(times.tolist()) == {3600}


def test_a_token_is_shown_to_the_endpoint_and_its_sessions(tiny_path: Path) -> None:
    endpoint, _ = published(tiny_path, a_loop_and_more, token="a-secret")
    assert {token for _, _, token in endpoint.requests} == {"Bearer a-secret"}


def moved(endpoint: Endpoint, where: str) -> None:
    endpoint.answers.append(Response(status_code=307, headers={"Location": where}))


def test_who_is_sent_on_publishes_there(tiny_path: Path) -> None:
    endpoint, _ = published(tiny_path, a_loop_and_more, lambda e: moved(e, "/whip?again"))
    assert [method for method, _, _ in endpoint.requests] == ["OPTIONS", "POST", "POST", "DELETE"]


def test_a_token_goes_nowhere_else(tiny_path: Path) -> None:
    def elsewhere(endpoint: Endpoint) -> None:
        moved(endpoint, endpoint.url.replace("127.0.0.1", "localhost") + "/whip")

    endpoint, _ = published(tiny_path, a_loop_and_more, elsewhere, token="a-secret")
    assert [token for method, _, token in endpoint.requests if method == "POST"] == [
        "Bearer a-secret",
        None,
    ]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Response('{"detail": "no such stream"}', 404), r"no such stream \(status 404\)"),
        (Response(status_code=401), r"Unauthorized \(status 401\)"),
        (Response(status_code=405), r"\(status 405\)"),
        (Response("<html>", 200, media_type="text/html"), "does not speak WHIP"),
        (Response("v=0", 201, media_type=SDP), "does not speak WHIP"),  # without Location
        (Response("v=0", 201, {"Location": "/s"}, SDP), "gave an answer that cannot be used"),
        (Response("v=0", 406, {"Location": "/s"}, SDP), r"\(status 406\)"),
        (Response("x" * (300 << 10), 201, {"Location": "/s"}, SDP), "does not speak WHIP"),
        (Response(status_code=503, headers={"Retry-After": "7"}), "try again in 7 s"),
    ],
)
def test_what_is_refused_at_first_is_told_in_a_sentence(
    tiny_path: Path, answer: Response, sentence: str
) -> None:
    caught = refused(tiny_path, lambda endpoint: endpoint.answers.append(answer))
    assert re.search(sentence, str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_takes_no_video_of_ours_is_refused(tiny_path: Path) -> None:
    def idle(sdp: str) -> str:
        return sdp.replace("a=recvonly", "a=inactive", 1)

    def prepare(endpoint: Endpoint) -> None:
        endpoint.change = idle

    assert "takes no video" in str(refused(tiny_path, prepare).value)


def test_what_is_told_of_ice_servers_is_used(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[list[IceServer]] = []
    opened = publishing.Publication.open

    async def noted(self: publishing.Publication, frame: int, servers: object) -> None:
        used.append(list(servers))  # type: ignore[call-overload]
        await opened(self, frame, ())  # nobody is there to answer them

    monkeypatch.setattr(publishing.Publication, "open", noted)

    def told(endpoint: Endpoint) -> None:
        endpoint.links = (
            '<stun:stun.example.net>; rel="ice-server"',
            '<turn:turn.example.net:3478?transport=udp>; rel="ice-server"; username="u, v"; '
            'credential="p;w"; credential-type="password", <https://x.example>; rel="next"',
            '<javascript:alert(1)>; rel="ice-server"',
        )

    published(tiny_path, a_loop_and_more, told)
    turn = IceServer("turn:turn.example.net:3478?transport=udp", "u, v", "p;w")
    assert used == [[IceServer("stun:stun.example.net"), turn]]


def test_ice_servers_of_an_answer_that_leads_nowhere_are_tried(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[list[IceServer]] = []
    opened = publishing.Publication.open

    async def noted(self: publishing.Publication, frame: int, servers: object) -> None:
        used.append(list(servers))  # type: ignore[call-overload]
        await opened(self, frame, ())
        if len(used) == 1:
            raise StreamError("no media gets to it")

    monkeypatch.setattr(publishing.Publication, "open", noted)
    monkeypatch.setattr(publishing, "ask_ice_servers", lambda url, token: [])

    def told(endpoint: Endpoint) -> None:
        endpoint.links = ('<stun:stun.example.net>; rel="ice-server"',)

    async def a_second_session(endpoint: Endpoint, publisher: Publisher) -> None:
        await endpoint.until(
            lambda: len(endpoint.sessions) > 1 and bool(endpoint.sessions[1].frames)
        )

    published(tiny_path, a_second_session, told)
    assert used == [[], [IceServer("stun:stun.example.net")]]


def test_a_lost_endpoint_is_published_to_again_from_where_it_broke_off(tiny_path: Path) -> None:
    async def hang_up(endpoint: Endpoint, publisher: Publisher) -> None:
        await endpoint.until(lambda: endpoint.playing(0, 15))
        # Once it is there again it is busy, and once somebody else is still there.
        endpoint.answers += [Response(status_code=503), Response(status_code=409)]
        await endpoint.sessions[0].peer.close()
        await endpoint.until(
            lambda: len(endpoint.sessions) > 1 and bool(endpoint.sessions[1].frames)
        )

    endpoint, stats = published(tiny_path, hang_up)
    first = identity_of(endpoint.sessions[1].frames[0])
    assert first is not None
    assert first.frame == SEGMENTS[0]  # the start of the segment
    assert stats.reconnects == 1
    assert stats.frames > 15


def test_an_endpoint_that_stays_away_ends_it(tiny_path: Path) -> None:
    async def hang_up(endpoint: Endpoint, publisher: Publisher) -> None:
        await endpoint.until(lambda: endpoint.playing(0))
        endpoint.answers += [Response(status_code=503)] * 9
        await endpoint.sessions[0].peer.close()
        await asyncio.Event().wait()

    with pytest.raises(StreamError, match=r"status 503.*not there again within 0.5 s"):
        published(tiny_path, hang_up, reconnect=0.5)


def test_a_video_that_cannot_be_read_any_more_ends_it(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(endpoint: Endpoint, publisher: Publisher) -> None:
        await endpoint.until(lambda: endpoint.playing(0))
        os.truncate(tiny_copy / "video" / "lr.mp4", 100)
        await asyncio.Event().wait()

    with pytest.raises(PackageError, match=r"lr\.mp4: frame \d+"):
        published(tiny_copy, cut)


def test_a_rung_that_is_not_there_is_refused(tiny_path: Path) -> None:
    caught = refused(tiny_path, lambda endpoint: None, rung=3)
    assert str(caught.value) == "there is no rung 3: the package has 1"


def test_the_command_publishes_until_it_is_interrupted(tiny_path: Path) -> None:
    program = "import crispcast, sys; crispcast.main(sys.argv[1:])"

    async def run() -> tuple[Endpoint, int | None, bytes]:
        async with asyncio.timeout(PATIENCE), whip_endpoint() as endpoint:
            command = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", program, "publish", str(tiny_path), "--json"),
                *("--to", f"{endpoint.url}/whip"),
                env={**os.environ, "CRISPCAST_PUBLISH_TOKEN": "a-secret"},
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
            )
            await endpoint.until(lambda: endpoint.playing(0, 5))
            command.send_signal(signal.SIGTERM)
            said, _ = await command.communicate()
            return endpoint, command.returncode, said

    endpoint, code, said = asyncio.run(run())
    assert code == 0
    assert b'"reconnects": 0' in said.splitlines()[-1]
    assert [(method, token) for method, _, token in endpoint.requests][-1] == (
        "DELETE",
        "Bearer a-secret",
    )
