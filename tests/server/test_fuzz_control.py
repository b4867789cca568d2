"""Anything in any order on the control channel: no fault, bounded memory, and others watch on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from client_sdk.contract import Package
from client_sdk.contract.asset_frames import AssetFrame, decode_frame
from client_sdk.contract.control import (
    CHANNEL,
    Bye,
    ChooseRung,
    Hello,
    Resume,
    Seek,
    Want,
    Wanted,
    decode_server_message,
    encode_message,
)
from server.asset_store import AssetStore
from server.media import PackageMedia
from server.metrics import Metrics
from server.settings import Settings
from server.viewer import Viewer
from tests.client_sdk.test_control import byes, client_messages

EXAMPLES = int(os.environ.get("CRISPCAST_FUZZ_EXAMPLES", "25"))
LIMITS = Settings(high_water=1 << 15, low_water=1 << 13, messages_per_minute=0)
LONGEST = 1 << 15  # of one message, head and all


class MemoryChannel:
    """An RTCDataChannel that keeps what it is given; it is read when `drain` is called."""

    label = CHANNEL

    def __init__(self) -> None:
        self.bufferedAmountLowThreshold = 0
        self.bufferedAmount = 0
        self.readyState = "open"
        self.said: list[object] = []
        self._heard: dict[str, Callable] = {}

    def on(self, event: str, listener: Callable) -> None:
        self._heard[event] = listener

    def send(self, data: str | bytes) -> None:
        assert self.readyState == "open"
        self.bufferedAmount += len(data)
        # Whatever came in, what goes out is of the protocol.
        self.said.append(
            decode_server_message(data) if isinstance(data, str) else decode_frame(data)
        )

    def drain(self) -> None:
        self.bufferedAmount = 0
        self._heard["bufferedamountlow"]()

    def hear(self, data: str | bytes) -> None:
        self._heard["message"](data)

    def close(self) -> None:
        self.readyState = "closed"
        self._heard["close"]()


class ControlMachine(RuleBasedStateMachine):
    """A viewer that is told anything, beside another that only watches."""

    media: PackageMedia

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.metrics, self.assets = Metrics(), AssetStore(1 << 20)
        self.over: set[str] = set()
        self.loop.run_until_complete(self._begin())

    async def _begin(self) -> None:
        self.other, self.others_channel = self._join()
        self.others_channel.hear(encode_message(Hello()))
        self.others_channel.hear(encode_message(Resume()))
        self.viewer, self.channel = self._join()

    def _join(self) -> tuple[Viewer, MemoryChannel]:
        viewer = Viewer(
            self.media, self.assets, LIMITS, lambda gone: self.over.add(gone.id), self.metrics
        )
        viewer._add_tracks(audio=True)
        channel = MemoryChannel()
        viewer._peer.emit("datachannel", channel)
        return viewer, channel

    def _hear(self, data: str | bytes) -> None:
        """The client says something, and the loop turns until the server has seen to it."""

        async def turn() -> None:
            self.channel.hear(data)
            while self.viewer._tasks:
                await asyncio.gather(*self.viewer._tasks)
            delivery = self.viewer._conversation._delivery
            while delivery is not None and delivery._reading is not None:
                await asyncio.wait([delivery._reading])

        self.loop.run_until_complete(turn())

    @property
    def open(self) -> bool:
        return self.viewer.id not in self.over

    @precondition(lambda self: self.open)
    @rule(message=client_messages)
    def says_what_it_may(self, message: object) -> None:
        self._hear(encode_message(message))  # type: ignore[arg-type]

    @precondition(lambda self: self.open)
    @rule()
    def greets(self) -> None:
        self._hear(encode_message(Hello()))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), offset=st.integers(0, 1 << 32) | st.integers(0, 300))
    def wants_what_is_there(self, data: st.DataObject, offset: int) -> None:
        known = data.draw(st.lists(st.sampled_from(sorted(self.media.package.places)), min_size=1))
        assets = tuple(Wanted(sha256=sha256, offset=offset) for sha256 in known)
        self._hear(encode_message(Want(assets=assets[:100])))

    @precondition(lambda self: self.open)
    @rule(frame=st.integers(0, 60), rung=st.integers(0, 2))
    def goes_elsewhere(self, frame: int, rung: int) -> None:
        self._hear(encode_message(Seek(frame=frame)))
        if not rung:
            self._hear(encode_message(ChooseRung(rung=0)))

    @precondition(lambda self: self.open)
    @rule(
        data=st.text(max_size=40)
        | st.binary(max_size=40)
        | st.sampled_from(
            ["", "{}", "[" * 5000, '{"type":"seek"}', '{"type":"seek","frame":1e300}']
        )
        | st.integers(1, 70_000).map(lambda size: "x" * size)
    )
    def says_what_it_may_not(self, data: str | bytes) -> None:
        before = len(self.channel.said)
        self._hear(data)
        assert not self.open
        (bye,) = self.channel.said[before:]
        assert isinstance(bye, Bye)
        assert bye.reason == "error"
        assert bye.message

    @precondition(lambda self: self.open)
    @rule(message=byes)
    def leaves(self, message: Bye) -> None:
        greeted = any(not isinstance(said, AssetFrame) for said in self.channel.said)
        self._hear(encode_message(message))
        assert not self.open or not greeted

    @precondition(lambda self: self.open)
    @rule()
    def reads(self) -> None:
        self.channel.drain()

    @precondition(lambda self: self.open)
    @rule()
    def hangs_up(self) -> None:
        async def turn() -> None:
            self.channel.close()
            while self.viewer._tasks:
                await asyncio.gather(*self.viewer._tasks)

        self.loop.run_until_complete(turn())
        assert not self.open

    @precondition(lambda self: not self.open)
    @rule()
    def comes_again(self) -> None:
        async def turn() -> None:
            self.viewer, self.channel = self._join()

        self.loop.run_until_complete(turn())

    @invariant()
    def what_waits_is_bounded(self) -> None:
        if hasattr(self, "channel"):
            assert self.channel.bufferedAmount <= LIMITS.high_water + 2 * LONGEST

    @invariant()
    def nobody_else_is_disturbed(self) -> None:
        if hasattr(self, "other"):
            assert self.other.id not in self.over

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return

        async def finish() -> None:
            assert self.other._video is not None
            coded = await asyncio.wait_for(self.other._video.recv(), 5)
            assert coded.payloads
            for viewer in (self.viewer, self.other):
                await viewer.close()

        self.loop.run_until_complete(finish())
        self.loop.close()
        assert self.metrics.ended.labels("fault")._value.get() == 0


@pytest.fixture(scope="module")
def media(tiny: Package) -> PackageMedia:
    return PackageMedia.open(tiny)


def test_any_sequence_of_messages_is_obeyed_or_ends_the_session(media: PackageMedia) -> None:
    class Machine(ControlMachine):
        pass

    Machine.media = media
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_client_that_never_reads_is_sent_away(media: PackageMedia) -> None:
    async def run() -> None:
        over: list[Viewer] = []
        viewer = Viewer(media, AssetStore(1 << 20), LIMITS, over.append, Metrics())
        viewer._add_tracks(audio=False)
        channel = MemoryChannel()
        viewer._peer.emit("datachannel", channel)
        channel.hear(encode_message(Hello()))
        for _ in range(20_000):
            # What the server says at each IDR piles up, though it sends no more assets.
            viewer._on_idr(0, 0, 0)
            if viewer._tasks:
                break
        while viewer._tasks:
            await asyncio.gather(*viewer._tasks)
        assert over == [viewer]
        assert channel.bufferedAmount < 3 * LIMITS.high_water

    asyncio.run(run())


def test_the_machine_can_fail(media: PackageMedia, tmp_path: Path) -> None:
    """A server that answered nonsense with silence would be found."""

    class Deaf(ControlMachine):
        def _hear(self, data: str | bytes) -> None:
            if isinstance(data, str) and data.startswith('{"type"'):
                super()._hear(data)

    Deaf.media = media
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Deaf, settings=settings(max_examples=50, deadline=None, database=None)
        )
