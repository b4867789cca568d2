"""What a hostile other side may make SCTP keep and compute is bounded, and costs nobody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    WEBRTC_STRING,
    DataChunk,
    ForwardTsnChunk,
    RTCSctpTransport,
    SackChunk,
    tsn_plus_one,
)

from client_sdk.contract.control import CHANNEL, Hello, encode_message
from client_sdk.play_options import PlayOptions
from client_sdk.session import Session
from kernels.errors import StreamError
from server.viewer import Viewer
from tests.client_sdk.tiny import SEGMENTS
from tests.server.serving import Served, serving
from tests.server.test_http import SDP_HEADERS


def data(transport: Any, stream: int, text: bytes, flags: int) -> DataChunk:
    """The next chunk of `transport`'s, which it sends but never sends again."""
    chunk = DataChunk(flags)
    chunk.tsn, chunk.stream_id, chunk.protocol = transport._local_tsn, stream, WEBRTC_STRING
    chunk.user_data = text
    transport._local_tsn = tsn_plus_one(chunk.tsn)
    return chunk


def endless(transport: Any) -> Iterator[Any]:
    """A message that never ends, a byte at a time."""
    yield data(transport, 1, b"{", SCTP_DATA_FIRST_FRAG)
    for _ in range(10_000):
        yield data(transport, 1, b" ", 0)


def long(transport: Any) -> Iterator[Any]:
    """A message that is longer than any, in large pieces."""
    yield data(transport, 1, b"{", SCTP_DATA_FIRST_FRAG)
    for _ in range(5000):
        yield data(transport, 1, b" " * 1100, 0)


def beginnings(transport: Any) -> Iterator[Any]:
    """The beginnings of many messages, each on a stream of its own."""
    for stream in range(10_000):
        yield data(transport, stream, b"{", SCTP_DATA_FIRST_FRAG)


def holed(transport: Any) -> Iterator[Any]:
    """Whole messages behind one that never comes."""
    data(transport, 1, b"", 0)
    for _ in range(10_000):
        whole = SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG | SCTP_DATA_UNORDERED
        yield data(transport, 9, b" ", whole)


def forwarded(transport: Any) -> Iterator[Any]:
    """Streams that are only spoken of (RFC 3758, section 3.2)."""
    for first in range(0, 60_000, 250):
        chunk = ForwardTsnChunk()
        data(transport, 1, b"", 0)
        chunk.cumulative_tsn = transport._local_tsn - 1
        chunk.streams = [(stream, 0) for stream in range(first, first + 250)]
        yield chunk


def acknowledged(transport: Any) -> Iterator[Any]:
    """Acknowledgements of what was never sent: 18 million chunks in 1.2 KB."""
    for _ in range(50):
        chunk = SackChunk()
        chunk.cumulative_tsn, chunk.advertised_rwnd = transport._last_received_tsn, 1 << 20
        chunk.gaps = [(1, 65_535)] * 280
        yield chunk


ATTACKS = [endless, long, beginnings, holed, forwarded, acknowledged]


@contextlib.asynccontextmanager
async def joined(served: Served) -> AsyncIterator[RTCPeerConnection]:
    """A client that has said hello."""
    greeted = asyncio.Event()
    peer = RTCPeerConnection()
    peer.addTransceiver("video", direction="recvonly")
    channel = peer.createDataChannel(CHANNEL)
    channel.on("open", lambda: channel.send(encode_message(Hello())))
    channel.on("message", lambda _: greeted.set())
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp.encode()
    answer = await served.ask("POST", "/whep/tiny", sdp, SDP_HEADERS)
    await peer.setRemoteDescription(RTCSessionDescription(answer.body.decode(), "answer"))
    await asyncio.wait_for(greeted.wait(), 20)
    yield peer
    await peer.close()


async def most_held_up(done: Callable[[], bool]) -> float:
    """The longest that the event loop was held up until `done`, in seconds."""
    loop, most = asyncio.get_running_loop(), 0.0
    while not done():
        begun = loop.time()
        await asyncio.sleep(0.002)
        most = max(most, loop.time() - begun)
    return most


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_viewer_that_fills_our_memory_is_closed_and_others_watch_on(
    tiny_path: Path, attack: Callable[[Any], Iterator[Any]]
) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served, asyncio.timeout(60):
            watcher = Session(f"{served.url}/whep/tiny", PlayOptions(threads=1))
            watching = asyncio.create_task(watcher.run())
            await watcher.first_frame.wait()
            ended = served.viewers.metrics.ended.labels("protocol")._value
            async with joined(served) as peer:
                transport: Any = peer.sctp

                async def send() -> None:
                    with contextlib.suppress(ConnectionError):
                        for chunk in attack(transport):
                            if ended.get():
                                break
                            await transport._send_chunk(chunk)
                            await asyncio.sleep(0)

                sending = asyncio.create_task(send())
                assert await most_held_up(lambda: ended.get() == 1) < 1
                await sending
            stats = await watching
            assert (stats.frames, stats.frames_lost) == (sum(SEGMENTS), 0)

    asyncio.run(run())


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_client_leaves_a_server_that_fills_its_memory(
    tiny_path: Path, attack: Callable[[Any], Iterator[Any]]
) -> None:
    async def run() -> None:
        async with serving(tiny_path) as served, asyncio.timeout(60):
            play = Session(f"{served.url}/whep/tiny", PlayOptions(threads=1, loop=True))
            playing = asyncio.create_task(play.run())
            await play.first_frame.wait()
            viewer: Viewer = served.viewers.only()
            transport: Any = viewer._peer.sctp
            transport._receive_chunk = partial(RTCSctpTransport._receive_chunk, transport)
            for chunk in attack(transport):
                if playing.done() or viewer._closing:
                    break
                await transport._send_chunk(chunk)
                await asyncio.sleep(0)
            with pytest.raises(StreamError, match="broke the protocol"):
                await playing

    asyncio.run(run())
