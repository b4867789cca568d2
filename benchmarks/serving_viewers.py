"""Many stock viewers in one process, cheap enough that a core receives hundreds of streams.

Each is a whole WebRTC peer (ICE with consent checks, DTLS, SRTP, receiver reports), by aiortc; only
its media is not decoded. Packets are read by a loop of our own with the kernel's time of arrival,
so that lateness is the server's and never this process's; every 32nd packet is decrypted and
authenticated, as a sample. A command is a JSON object a line on stdin, an answer one on stdout:

    {"add": 50, "url": URL}  →  {"first_frame_ms": [...]}
    {"measure": 10.0}        →  {"frames": ..., "late_ms": [...], "lost": ..., ...}
    {"remove": 20}           →  {}
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import socket
import struct
import sys
import threading
import time
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcrtpreceiver import StreamStatistics

from client_sdk.whep import Answer, delete_session, post_offer

_SO_TIMESTAMPNS = 35  # linux/asm-generic/socket.h; Python has no name for it
_SAMPLE = 32
_TOGETHER = 4  # viewers that join at a time
VIDEO_CLOCK = 90_000


class Viewer:
    """A peer that receives one video and keeps when each frame was whole."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._answer: Answer | None = None
        self._taken: list[tuple[socket.socket, Any]] = []
        self._unprotect: Any = None
        self._statistics: StreamStatistics | None = None
        self._asked = 0.0
        self.first_frame = asyncio.get_running_loop().create_future()
        self.keeping = False
        self.arrivals: list[tuple[int, float]] = []
        self.packets = self.bytes = self.lost = self.sampled = 0
        self._next: int | None = None

    async def connect(self) -> None:
        """Ask for the video and wait until the first frame is whole; sets `first_frame`, in ms."""
        peer = self._peer
        receiver = peer.addTransceiver("video", direction="recvonly").receiver
        await peer.setLocalDescription(await peer.createOffer())
        connected = asyncio.get_running_loop().create_future()

        def on_state() -> None:
            if peer.connectionState == "connected" and not connected.done():
                # At once: the next packet may be the first frame's.
                self._take_over(receiver)
                connected.set_result(None)

        peer.on("connectionstatechange", on_state)
        self._asked = time.time()
        sdp = peer.localDescription.sdp
        self._answer = await asyncio.to_thread(post_offer, self._url, sdp)
        await peer.setRemoteDescription(RTCSessionDescription(self._answer.sdp, "answer"))
        await asyncio.wait_for(connected, 20)
        await asyncio.wait_for(self.first_frame, 20)

    def _take_over(self, receiver: Any) -> None:
        dtls = receiver.transport
        self._unprotect = dtls._rx_srtp.unprotect
        self._streams = receiver._RTCRtpReceiver__remote_streams
        loop: Any = asyncio.get_running_loop()
        for protocol in dtls.transport._connection._protocols:
            opened = protocol.transport._sock
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            # The loop's own reader of this socket makes way for ours.
            loop._remove_reader(opened.fileno())
            loop._add_reader(opened.fileno(), self._read, protocol, opened)
            self._taken.append((opened, protocol.transport._read_ready))

    def _read(self, protocol: Any, opened: socket.socket) -> None:
        while True:
            try:
                data, notes, _, address = opened.recvmsg(2048, 64)
            except OSError:  # there is no more
                return
            if len(data) > 12 and 128 <= data[0] < 192 and not 64 <= data[1] & 0x7F < 96:
                self._on_rtp(data, _time_of(notes))
            else:
                protocol.datagram_received(data, address)

    def _on_rtp(self, data: bytes, arrived: float) -> None:
        sequence, stamp, ssrc = struct.unpack_from("!HLL", data, 2)
        if not self.packets % _SAMPLE:
            self._unprotect(data)  # raises where it is not authentic
            self.sampled += 1
        self.packets += 1
        self.bytes += len(data)
        statistics = self._statistics
        if statistics is None:
            statistics = self._statistics = StreamStatistics(VIDEO_CLOCK)
            statistics.base_seq = sequence
            self._streams[ssrc] = statistics
        elif sequence != self._next:
            self.lost += (sequence - (self._next or 0)) & 0xFFFF
        self._next = (sequence + 1) & 0xFFFF
        if sequence == 0:
            statistics.cycles += 1 << 16
        statistics.max_seq = sequence
        statistics.packets_received += 1
        if data[1] & 0x80:  # the marker: the frame is whole
            if not self.first_frame.done():
                self.first_frame.set_result((arrived - self._asked) * 1000)
            if self.keeping:
                self.arrivals.append((stamp, arrived))

    async def close(self) -> None:
        """Leave, as a stock player does."""
        loop: Any = asyncio.get_running_loop()
        for opened, reader in self._taken:
            if opened.fileno() < 0:  # the connection ended by itself, as of one that stalled
                continue
            loop._remove_reader(opened.fileno())
            loop._add_reader(opened.fileno(), reader)  # given back, so that the transport may close
        if self._answer is not None:
            await asyncio.to_thread(delete_session, self._answer.session)
        await self._peer.close()


def _time_of(notes: list[tuple[int, int, bytes]]) -> float:
    for _, kind, data in notes:
        if kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def lateness(arrivals: list[tuple[int, float]]) -> tuple[list[float], int]:
    """How late each frame was whole, in ms after the most punctual one's schedule; frames missing.

    `arrivals`: RTP time and time of arrival in seconds. A frame's time on the schedule is its RTP
    time's.
    """
    if not arrivals:
        return [], 0
    first = arrivals[0][0]
    offsets = [(((stamp - first) & 0xFFFFFFFF) / VIDEO_CLOCK, at) for stamp, at in arrivals]
    punctual = min(at - due for due, at in offsets)
    steps = [b[0] - a[0] for a, b in itertools.pairwise(offsets)]
    period = min((step for step in steps if step > 0), default=1.0)
    missing = sum(max(0, round(step / period) - 1) for step in steps)
    return [(at - due - punctual) * 1000 for due, at in offsets], missing


class Crowd:
    """The viewers of this process, and the commands that move them."""

    def __init__(self) -> None:
        self._viewers: list[Viewer] = []

    async def add(self, count: int, url: str) -> dict[str, Any]:
        """Some more; the time each waited for its first frame."""
        gate = asyncio.Semaphore(_TOGETHER)

        async def join() -> Viewer:
            async with gate:
                viewer = Viewer(url)
                await viewer.connect()
                return viewer

        joined = await asyncio.gather(*(join() for _ in range(count)))
        self._viewers += joined
        return {"first_frame_ms": [viewer.first_frame.result() for viewer in joined]}

    async def measure(self, seconds: float) -> dict[str, Any]:
        """What came in so many seconds."""
        for viewer in self._viewers:
            viewer.arrivals.clear()
            viewer.packets = viewer.bytes = viewer.lost = viewer.sampled = 0
            viewer.keeping = True
        begun = time.process_time()
        await asyncio.sleep(seconds)
        spent = time.process_time() - begun
        late: list[float] = []
        missing = fewest = 0
        for viewer in self._viewers:
            viewer.keeping = False
            of_viewer, gaps = lateness(viewer.arrivals)
            late += of_viewer
            missing += gaps
        fewest = min((len(viewer.arrivals) for viewer in self._viewers), default=0)
        return {
            "viewers": len(self._viewers),
            "frames": len(late),
            "fewest_frames": fewest,
            "missing": missing,
            "lost_packets": sum(viewer.lost for viewer in self._viewers),
            "authentic_samples": sum(viewer.sampled for viewer in self._viewers),
            "kbps": sum(v.bytes for v in self._viewers) * 8 / seconds / 1000 / len(self._viewers),
            "late_ms": late,
            "cpu": spent / seconds,
        }

    async def remove(self, count: int) -> dict[str, Any]:
        """The longest here leave."""
        leaving, self._viewers = self._viewers[:count], self._viewers[count:]
        for start in range(0, len(leaving), 16):
            await asyncio.gather(*(viewer.close() for viewer in leaving[start : start + 16]))
        return {}


async def _main() -> None:
    loop = asyncio.get_running_loop()
    commands: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, line)
        loop.call_soon_threadsafe(commands.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    crowd = Crowd()
    while line := await commands.get():
        command = json.loads(line)
        if "add" in command:
            answer = await crowd.add(command["add"], command["url"])
        elif "measure" in command:
            answer = await crowd.measure(command["measure"])
        else:
            answer = await crowd.remove(command["remove"])
        print(json.dumps(answer), flush=True)
    # What is left goes with the process, as when a machine is switched off.
    os._exit(0)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_main())
