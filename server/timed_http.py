"""HTTP connections that nobody can hold for nothing: what stands still is ended.

    bytes of a head ─► begun: the head is whole in time, or the connection ends
    an answer ──────► nothing of it taken for as long: likewise

Between requests uvicorn's own limit counts (5 s); bodies have theirs (`offer_timeout`).
"""

from __future__ import annotations

import asyncio
import logging

from uvicorn.protocols.http.h11_impl import H11Protocol

from server.ranged import PIECE

log = logging.getLogger("crispcast.server")


def timed_http(patience: float) -> type[H11Protocol]:
    """A protocol of uvicorn's that ends connections which stand still for `patience` seconds."""

    class TimedHttp(H11Protocol):
        _late: asyncio.TimerHandle | None = None  # of the head
        _stuck: asyncio.TimerHandle | None = None  # of the answer

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            # TLS would keep half a megabyte, and tell of none of it that is taken.
            transport.set_write_buffer_limits(PIECE)
            self._late = self._end_after("did not finish a request")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._begun()
            elif self._late is None:
                # The head of another request, or a body that nobody reads any more.
                self._late = self._end_after("did not finish a request")

        def pause_writing(self) -> None:
            super().pause_writing()
            self._wait_for_taking()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._taken()

        def connection_lost(self, exc: Exception | None) -> None:
            self._begun()
            self._taken()
            super().connection_lost(exc)

        def _begun(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _taken(self) -> None:
            if self._stuck is not None:
                self._stuck.cancel()
                self._stuck = None

        def _wait_for_taking(self) -> None:
            # asyncio tells of a buffer that has emptied, and an answer is in it as a whole.
            waiting = self.transport.get_write_buffer_size()

            def look() -> None:
                if self.transport.get_write_buffer_size() < waiting:
                    self._wait_for_taking()
                else:
                    self._end("takes nothing of an answer")

            self._stuck = self.loop.call_later(patience, look)

        def _end(self, why: str) -> None:
            log.info("%s %s for %g s: its connection is ended", self.client, why, patience)
            self.transport.abort()

        def _end_after(self, why: str) -> asyncio.TimerHandle:
            return self.loop.call_later(patience, self._end, why)

    return TimedHttp
