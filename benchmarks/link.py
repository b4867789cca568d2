"""A simulated link for `benchmarks.adaptation`: packets, a queue, a receiver that estimates.

server ─► bottleneck (a trace's bits a second, a queue that drops) ─► delay ─► receiver
   ◄────────── reports each second, estimates (REMB) as they come ──────────────┘

The receiver's estimates are aiortc's own (`aiortc.rate`), which is what the reference client and,
by the same algorithm, browsers send. Time is in seconds; nothing here waits.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aiortc.rate import RemoteBitrateEstimator

PACKET = 1200  # bytes of payload
HEADERS = 58  # IPv4, UDP, RTP with its extension, SRTP's tag
REPORT = 1.0  # seconds between receiver reports (RFC 3550, section 6.2: about that for video)
RESENT = 2  # times that a packet is asked for again


@dataclass(frozen=True)
class Trace:
    """Bits a second from each time on; it begins anew after `seconds`."""

    name: str
    times: Sequence[float]
    rates: Sequence[float]
    seconds: float

    def at(self, now: float) -> float:
        """b/s at a time."""
        return self.rates[max(0, bisect_right(self.times, now % self.seconds) - 1)]

    @property
    def mean(self) -> float:
        """b/s, over all of it."""
        ends = [*self.times[1:], self.seconds]
        spans = (end - begin for begin, end in zip(self.times, ends, strict=True))
        return sum(s * r for s, r in zip(spans, self.rates, strict=True)) / self.seconds


@dataclass(frozen=True)
class LinkConfig:
    """`round_trip`: seconds without a queue; `queue`: seconds of data that fit in it at the rate
    of the moment, 20 packets at least; `loss`: share of packets lost at random."""

    round_trip: float = 0.05
    queue: float = 0.4
    loss: float = 0.002
    seed: int = 0


@dataclass
class _Counts:
    """Packets since the last report."""

    sent: int = 0
    lost: int = 0


@dataclass
class Link:
    """Carries frames one after the other. `send` says when a frame is whole at the receiver."""

    trace: Trace
    config: LinkConfig
    free: float = 0.0  # when the bottleneck has sent all that it holds
    estimate: float | None = None  # b/s, as the sender knows it at `now`
    lost: float = 0.0  # share, of the last report
    round_trip: float | None = None  # seconds, of the last report
    _counts: _Counts = field(default_factory=_Counts)
    _next_report: float = REPORT
    _last_delay: float = 0.0
    _pending: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.config.seed)
        self._receiver = RemoteBitrateEstimator()

    def send(self, now: float, size: int) -> float | None:
        """A frame of `size` bytes goes out at `now`: when it is whole, None if it never is."""
        whole = now
        for packet in range(-(-size // PACKET)):
            # aiortc paces nothing: the packets of a frame leave one after the other.
            arrives = self._carry(now + packet * 0.0001, min(PACKET, size - packet * PACKET))
            if arrives is None:
                return None
            whole = max(whole, arrives)
        return whole

    def reports(self, now: float) -> Iterator[float]:
        """The times of receiver reports up to `now`; the figures are then those of the report."""
        while self._next_report + self.config.round_trip / 2 <= now:
            at = self._next_report + self.config.round_trip / 2
            counts, self._counts = self._counts, _Counts()
            self.lost = counts.lost / counts.sent if counts.sent else 0.0
            self.round_trip = self.config.round_trip + self._last_delay
            while self._pending and self._pending[0][0] <= at:
                self.estimate = self._pending.pop(0)[1]
            self._next_report += REPORT
            yield at

    def _carry(self, now: float, payload: int) -> float | None:
        """When a packet arrives, sent again where it was lost; None where that failed too."""
        for _ in range(1 + RESENT):
            arrives = self._transmit(now, payload)
            if arrives is not None:
                return arrives
            now += self.config.round_trip + 0.02  # the receiver sees the gap and asks (NACK)
        return None

    def _transmit(self, now: float, payload: int) -> float | None:
        self._counts.sent += 1
        rate = max(self.trace.at(now), 1000.0)
        size = 8 * (payload + HEADERS)
        waiting = max(0.0, self.free - now)
        room = max(self.config.queue, 20 * 8 * (PACKET + HEADERS) / rate)
        if waiting + size / rate > room or self._random.random() < self.config.loss:
            self._counts.lost += 1
            return None
        self.free = self._drained(max(self.free, now), size)
        arrives = self.free + self.config.round_trip / 2
        self._last_delay = self.free - now
        self._estimate(now, arrives, payload)
        return arrives

    def _drained(self, begin: float, bits: float) -> float:
        """When `bits` are through that the bottleneck begins at `begin`; rates change under way."""
        while True:
            rate = max(self.trace.at(begin), 1000.0)
            span = self._until_change(begin)
            if rate * span >= bits:
                return begin + bits / rate
            bits -= rate * span
            begin += span

    def _until_change(self, now: float) -> float:
        place = bisect_right(self.trace.times, now % self.trace.seconds)
        ends = self.trace.times[place] if place < len(self.trace.times) else self.trace.seconds
        return max(1e-6, ends - now % self.trace.seconds)

    def _estimate(self, sent: float, arrives: float, payload: int) -> None:
        stamp = int(sent * (1 << 18)) & 0xFFFFFF  # abs-send-time: 6.18 fixed point
        told = self._receiver.add(round(1000 * arrives), stamp, payload, 1)
        if told is not None:
            self._pending.append((arrives + self.config.round_trip / 2, float(told[0])))
