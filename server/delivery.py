"""Plans, plates and maps over the data channel: by deadline, with back-pressure.

Sends only what the viewer asked for, 16 KiB at a time, the asset that its video needs first at
the front. Pauses above `high_water` buffered bytes and goes on below `low_water`
(`bufferedAmountLowThreshold` of the W3C's WebRTC 1.0, section 6.2).

Pictures can wait and video cannot: where a queue stands in the network, `pace` slows them down.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from client_sdk.contract import Package
from client_sdk.contract.asset_frames import decode_frame, frames_of, sliced
from client_sdk.contract.control import Want
from kernels.errors import PackageError
from server.asset_store import AssetStore
from server.logs import ViewerLog

log = logging.getLogger("crispcast.server")

_PICTURES = ("plate", "chroma")
_Waiting: TypeAlias = tuple[tuple[int, int], str]  # a deadline, and a hash
_PIECE = 2048  # bytes of a message while the pace is set: less than a queue notices


class Channel(Protocol):
    """What delivery needs of an RTCDataChannel."""

    bufferedAmountLowThreshold: int  # noqa: N815 - the W3C's name

    @property
    def bufferedAmount(self) -> int: ...  # noqa: N802

    @property
    def readyState(self) -> str: ...  # noqa: N802

    def send(self, data: bytes) -> None: ...

    def on(self, event: str, listener: Callable[[], None]) -> object: ...


class Delivery:
    """The wanted assets of one viewer on one channel.

    `position` says which (rung index, segment index) the viewer is at, for the deadlines. What the
    store does not have at hand is read while others are served.
    """

    def __init__(
        self,
        channel: Channel,
        package: Package,
        assets: AssetStore,
        position: Callable[[], tuple[int, int]],
        *,
        high_water: int,
        low_water: int,
        log: logging.Logger | ViewerLog = log,
    ) -> None:
        self._log = log
        self._channel = channel
        self._package = package
        self._assets = assets
        self._position = position
        self._high_water = high_water
        self._uses = [_uses(package, index) for index in range(len(package.manifest.rungs))]
        self._wanted: dict[str, int] = {}
        # What is wanted with its deadlines, the soonest last: what is small, and pictures.
        self._queues: tuple[list[_Waiting], list[_Waiting]] = ([], [])
        self._queued_at: tuple[int, int] | None = None  # the position; None where wishes changed
        self._reading: asyncio.Task[None] | None = None
        self._read: tuple[str, bytes] | None = None  # the last that was read, until it goes out
        self._sending: tuple[str, Iterator[bytes]] | None = None
        self._rate: float | None = None  # bytes a second, None: as fast as it goes
        self._due = 0.0  # loop time at which the next message may go
        self._timer: asyncio.TimerHandle | None = None
        self._pieces: Iterator[bytes] = iter(())  # of the message under way
        self._reached = 0  # of the asset under way, while the pace is set
        self.sent_bytes = 0
        channel.bufferedAmountLowThreshold = low_water
        channel.on("bufferedamountlow", self.pump)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._wanted and self._sending is None

    def send_manifest(self, sha256: str) -> None:
        """Send the manifest before all else."""
        self._sending = (sha256, frames_of(sha256, self._package.manifest_bytes))
        self.pump()

    def want(self, message: Want) -> None:
        """The viewer asks for assets; those that the package lacks are passed over."""
        for wanted in message.assets:
            place = self._package.places.get(wanted.sha256)
            if place is None or wanted.offset >= place.bytes:
                self._log.info("the client asked for what is not there")
                continue
            if self._sending is not None and self._sending[0] == wanted.sha256:
                self._sending = None  # it starts again, from where the viewer says
                self._pieces = iter(())
            self._wanted[wanted.sha256] = wanted.offset
            self._queued_at = None
        self.pump()

    def pump(self) -> None:
        """Send until the channel is full, the pace is reached, or nothing is wanted."""
        channel = self._channel
        while channel.readyState == "open" and channel.bufferedAmount < self._high_water:
            if self._must_wait() and not self._start_small():
                return
            message = self._next_message()
            if message is None:
                return
            channel.send(message)
            self.sent_bytes += len(message)
            if self._rate is not None and self._sending is not None and self._paced(*self._sending):
                self._due += len(message) / self._rate

    def pace(self, rate: float | None) -> None:
        """Send no more than `rate` bytes a second of pictures from now on; None: no such bound.

        Plans and maps are small, and do not wait for pictures.
        """
        self._rate = rate
        if rate is not None:
            self._due = max(self._due, asyncio.get_running_loop().time())
        self.pump()

    def close(self) -> None:
        """Send nothing any more."""
        self._wanted.clear()
        self._queued_at = self._sending = None
        if self._reading is not None:
            self._reading.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _paced(self, sha256: str, _: object = None) -> bool:
        place = self._package.places.get(sha256)  # the manifest has none
        return place is not None and place.kind in _PICTURES

    def _must_wait(self) -> bool:
        """Whether the pace says so; `pump` is then called when it is over."""
        if self._rate is None or (self._sending is not None and not self._paced(*self._sending)):
            return False
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() - _PIECE / self._rate)
        if self._due <= loop.time():
            return False
        if self._timer is None:
            self._timer = loop.call_at(self._due, self._go_on)
        return True

    def _go_on(self) -> None:
        self._timer = None
        self.pump()

    def _start_small(self) -> bool:
        """Begin with something that need not wait, before the picture under way, if any is."""
        small, _ = self._queue()
        if not small:
            return False
        if self._sending is not None:
            self._wanted[self._sending[0]] = self._reached
            self._sending, self._pieces, self._queued_at = None, iter(()), None
        return self._start_next(small_only=True)

    def _next_message(self) -> bytes | None:
        """What goes out next; None where nothing is wanted."""
        piece = next(self._pieces, None)
        while piece is None:
            if self._sending is None and not self._start_next():
                return None
            assert self._sending is not None
            message = next(self._sending[1], None)
            if message is None:
                self._sending = None
                continue
            if self._rate is None or not self._paced(*self._sending):
                return message
            self._pieces = sliced(message, _PIECE)
            piece = next(self._pieces)
        frame = decode_frame(piece)
        self._reached = frame.offset + len(frame.data)
        return piece

    def _start_next(self, *, small_only: bool = False) -> bool:
        """Begin with what plays first; False where that is still to be read, or nothing is wanted.

        Pictures are passed over with `small_only`.
        """
        small, pictures = self._queue()
        waiting = [queue for queue in ((small,) if small_only else (small, pictures)) if queue]
        if not waiting:
            return False
        soonest = min(waiting, key=lambda queue: queue[-1])
        sha256 = soonest[-1][1]
        data = self._at_hand(sha256)
        if data is None:
            return False
        soonest.pop()
        self._sending = (sha256, frames_of(sha256, data, self._wanted.pop(sha256)))
        return True

    def _at_hand(self, sha256: str) -> bytes | None:
        """The asset's bytes; where they must be read first, `pump` is called when they are."""
        read, self._read = self._read, None
        data = read[1] if read is not None and read[0] == sha256 else self._assets.ready(sha256)
        if data is None and self._reading is None:
            self._reading = asyncio.ensure_future(self._fetch(sha256))
        return data

    async def _fetch(self, sha256: str) -> None:
        try:
            self._read = (sha256, await self._assets.get(self._package, sha256))
        except PackageError as error:
            # The viewer interpolates what does not come; the log says why.
            self._log.error("%s", error)
            self._wanted.pop(sha256, None)
            self._queued_at = None
        finally:
            self._reading = None
        self.pump()

    def _queue(self) -> tuple[list[_Waiting], list[_Waiting]]:
        """What waits, small and pictures; sorted anew only where that can have changed."""
        position = self._position()
        if self._queued_at != position:
            self._queued_at = position
            waiting = sorted(
                ((self._deadline(sha256, *position), sha256) for sha256 in self._wanted),
                reverse=True,
            )
            self._queues = (
                [one for one in waiting if not self._paced(one[1])],
                [one for one in waiting if self._paced(one[1])],
            )
        return self._queues

    def _deadline(self, sha256: str, rung: int, segment: int) -> tuple[int, int]:
        """The first segment from `segment` on that needs the asset; then map, motion,
        plan, plate.

        What only the past or another rung needs comes last.
        """
        uses = self._uses[rung].get(sha256, [])
        place = bisect_left(uses, segment)
        kind = ("map", "motion", "plan", "plate", "chroma").index(self._package.places[sha256].kind)
        return (uses[place] if place < len(uses) else len(self._package.manifest.segments), kind)


def _uses(package: Package, rung_index: int) -> dict[str, list[int]]:
    """For each asset of a rung, the segments that need it, in order."""
    uses: dict[str, list[int]] = {}
    rung = package.manifest.rungs[rung_index]
    for index in range(len(rung.segments)):
        for sha256 in rung.assets_of(index):
            uses.setdefault(sha256, []).append(index)
    return uses
