"""Figures for Prometheus: `GET /metrics`. No label names a viewer, so series stay few.

Events are counted where they happen; what is a state (viewers, frames sent so far) is read from
`Live` when it is asked for, which costs the streaming nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Why: TypeAlias = Literal[
    "left",
    "end",
    "lost",
    "never_connected",
    "paused",
    "protocol",
    "fault",
    "shutdown",
    "refused",
]
"""Why a session is over, for logs and metrics."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MAX_TOLD = 100_000  # a client's own figures: more than this at once is no figure


@dataclass(frozen=True, slots=True)
class Live:
    """The state that is read when it is asked for."""

    viewers: int
    places: int
    packages: int
    unavailable: int
    draining: bool
    frames: int
    asset_bytes: int
    tasks: int


class _LiveCollector(Collector):
    def __init__(self, read: Callable[[], Live]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        live = self._read()
        for name, value, what in (
            ("viewers", live.viewers, "Viewers now, those that are connecting among them."),
            ("viewers_max", live.places, "Viewers that the settings allow."),
            ("packages", live.packages, "Packages that can be watched."),
            ("packages_unavailable", live.unavailable, "Packages that are damaged."),
            ("tasks", live.tasks, "Tasks of the event loop; those of no viewer are few."),
            ("draining", int(live.draining), "1 while no new viewer is taken."),
        ):
            yield GaugeMetricFamily(f"crispcast_{name}", what, value)
        yield CounterMetricFamily("crispcast_frames_sent", "Video frames sent.", live.frames)
        yield CounterMetricFamily(
            "crispcast_asset_bytes_sent",
            "Bytes of plans, plates, maps and manifests over data channels.",
            live.asset_bytes,
        )


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.sessions = Counter(
            "crispcast_sessions", "Sessions begun (offers answered).", registry=registry
        )
        self.ended = Counter(
            "crispcast_sessions_ended", "Sessions over, by why.", ["reason"], registry=registry
        )
        self.connect_seconds = Histogram(
            "crispcast_connect_seconds",
            "From the offer to a connection that carries media.",
            buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 20),
            registry=registry,
        )
        self.late_plans = Counter(
            "crispcast_late_plans", "Plans that viewers say came late.", registry=registry
        )
        self.frames_lost = Counter(
            "crispcast_frames_lost", "Frames that viewers say they lost.", registry=registry
        )
        self.switches = Counter(
            "crispcast_rung_switches", "Changes to another rung.", registry=registry
        )
        self.requests = Counter(
            "crispcast_http_requests",
            "HTTP requests, by method, route and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "crispcast_http_request_seconds",
            "Time to answer a request, by route.",
            ["route"],
            buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
            registry=registry,
        )
        self.loop_lag = Gauge(
            "crispcast_loop_lag_seconds",
            "How late the event loop's last timer was: above 0.01, the core is full.",
            registry=registry,
        )

    def watch(self, read: Callable[[], Live]) -> None:
        """Tell the state too, as `read` says it is."""
        self.registry.register(_LiveCollector(read))

    def told(self, late_plans: int, frames_lost: int) -> None:
        """What one viewer said of itself since the last time; nonsense is left out."""
        for counter, told in ((self.late_plans, late_plans), (self.frames_lost, frames_lost)):
            if 0 < told <= _MAX_TOLD:
                counter.inc(told)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    async def measure_loop(self, every: float = 1.0) -> None:
        """Measure how late timers are, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + every
            await asyncio.sleep(every)
            self.loop_lag.set(max(0.0, loop.time() - due))


class Counted:
    """ASGI middleware: counts and times each request under its route, never under its path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 500

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counting)
        finally:
            # The method too is the client's to choose: unknown ones share a series.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.monotonic() - begun)


_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
