"""Plans, plates and maps over the data channel: by deadline, with back-pressure.

Sends only what the viewer asked for, 16 KiB at a time, the asset that its video needs first at
the front. Pauses above `high_water` buffered bytes and goes on below `low_water`
(`bufferedAmountLowThreshold` of the W3C's WebRTC 1.0, section 6.2).

Pictures can wait and video cannot: where a queue stands in the network, `pace` slows them down.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from client_sdk.contract import Package
from client_sdk.contract.asset_frames import decode_frame, frames_of, sliced
from client_sdk.contract.control import Want
from kernels.errors import PackageError
from server.asset_store import AssetStore
from server.logs import ViewerLog
from server.rates import Bucket
from server.wanted import WantedAssets

log = logging.getLogger("crispcast.server")

AGAIN = 4
"""Times that all assets of a package may go to one viewer at once, in parts or whole; after that,
once more in the time that it plays."""
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._channel = channel
        self._package = package
        self._assets = assets
        self._high_water = high_water
        self._wanted = WantedAssets(package, position)
        source, held = package.manifest.source, package.all_asset_bytes
        a_play = float(source.frames / source.rate)
        self._allowance = Bucket(60 * held / a_play, clock, AGAIN * held)
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
            # What waits already is counted from there on.
            counted = self._wanted.offset_of(wanted.sha256)
            more = (place.bytes if counted is None else counted) - wanted.offset
            if self._allowance.wait(max(0, more)):
                self._log.info("the client asked for too much again")
                continue
            if self._sending is not None and self._sending[0] == wanted.sha256:
                self._sending = None  # it starts again, from where the viewer says
                self._pieces = iter(())
            self._wanted.add(wanted.sha256, wanted.offset)
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
            if self._rate is not None and self._paced():
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
        self._sending = None
        if self._reading is not None:
            self._reading.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _paced(self) -> bool:
        """Whether a picture is under way, for which the pace is kept."""
        return self._sending is not None and self._wanted.is_picture(self._sending[0])

    def _must_wait(self) -> bool:
        """Whether the pace says so; `pump` is then called when it is over."""
        if self._rate is None or (self._sending is not None and not self._paced()):
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
        if self._wanted.soonest(small_only=True) is None:
            return False
        if self._sending is not None:
            self._wanted.add(self._sending[0], self._reached)
            self._sending, self._pieces = None, iter(())
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
            if self._rate is None or not self._paced():
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
        sha256 = self._wanted.soonest(small_only=small_only)
        data = None if sha256 is None else self._at_hand(sha256)
        if sha256 is None or data is None:
            return False
        self._sending = (sha256, frames_of(sha256, data, self._wanted.take(sha256)))
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
            if self._wanted.offset_of(sha256) is not None:
                self._wanted.take(sha256)
        finally:
            self._reading = None
        self.pump()
