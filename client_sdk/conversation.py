"""What a client and its server say to each other in one play, over all its connections.

    manifest, its pieces ─► Play.begin, or Play.join where the play goes on
    anchor, sought, switch, refused, pieces of assets ─► Playback
    bye ─► Play.ended, Play.lost or Play.fail

Messages and their order: docs/control.md.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from client_sdk.connection import Connection
from client_sdk.contract.asset_frames import Assembler, decode_frame
from client_sdk.contract.control import (
    Anchor,
    Bye,
    ChooseRung,
    Hello,
    ManifestHead,
    Message,
    Refused,
    Sought,
    Stats,
    Switch,
    decode_server_message,
    minor_of,
)
from client_sdk.contract.manifest import Manifest, parse_manifest
from client_sdk.contract.signing import Trust, why_untrusted
from client_sdk.play_stats import PlayMeter, PlayStats
from client_sdk.playback import Playback
from client_sdk.sfu_connection import SfuConnection
from kernels.errors import StreamError

log = logging.getLogger("crispcast.client")
_UNTIMED = 64  # anchors that may wait for the first picture
_MOST_LOGGED = 100  # bad messages of a play
_Said = TypeVar("_Said", str, bytes)


class Play(Protocol):
    """Whose conversation it is: what is talked over, and what follows from it."""

    @property
    def connection(self) -> Connection | SfuConnection | None:
        """The one there is now."""

    @property
    def playback(self) -> Playback | None:
        """What shows the video; None before `begin`."""

    def begin(self, manifest: Manifest, rung: int, live: int | None, untrusted: str | None) -> None:
        """The manifest is here, for the first time. `untrusted`: why nothing it names is used."""

    def join(self, playback: Playback, live: int | None) -> None:
        """Another connection has the same video."""

    def ended(self, frames: int | None) -> None:
        """The video is over; so many frames were sent, where that is known."""

    def lost(self, why: str) -> None:
        """The server goes, and may come again."""

    def fail(self, error: BaseException) -> None:
        """The play cannot go on."""


class Conversation:
    """Obeys what the server says, and says what `play` wants."""

    def __init__(self, url: str, meter: PlayMeter, play: Play, trust: Trust = ()) -> None:
        self._url = url
        self._trust = trust
        self._meter = meter
        self._play = play
        self._head: ManifestHead | None = None
        self._head_assembler = Assembler()
        self._chosen: int | None = None  # the rung that a person chose
        self._logged = 0
        self._announced = False  # the manifest, on this connection
        self._untimed: deque[Anchor | Sought] = deque(maxlen=_UNTIMED)

    # -- what the client says -----------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Say it, where there is somebody to hear it."""
        if self._play.connection is not None:
            self._play.connection.send(message)

    def greet(self, sr: bool) -> None:
        """Begin, over each connection; without `sr` the server keeps its assets."""
        self.send(Hello(sr=sr))

    def choose_rung(self, rung: int | None) -> None:
        """Ask for this rung; None: whichever the server sees fit. Raises StreamError."""
        if self._head is None:
            raise StreamError("the manifest is not here yet; choose a rung when it is")
        if rung is None and not self._switches:
            raise StreamError("the server does not choose rungs by itself; choose one")
        self._chosen = rung
        self.send(ChooseRung(rung=rung))

    def choose_again(self) -> None:
        """Over another connection: the rung that was chosen, where one was."""
        if self._chosen is not None:
            self.send(ChooseRung(rung=self._chosen))

    def report(self, stats: PlayStats) -> None:
        """Say how it goes."""
        playback = self._play.playback
        self.send(
            Stats(
                frames=stats.frames,
                frames_sr=stats.frames_sr,
                frames_lost=stats.frames_lost,
                late_plans=stats.late_plans,
                plan_bytes=stats.plan_bytes,
                upscale_ms=stats.upscale_ms_median if playback is None else playback.networks_ms,
                fps=stats.fps,
                interpolating=playback is not None and playback.resting and self._switches,
            )
        )

    @property
    def _switches(self) -> bool:
        """Whether the server speaks 1.1 or more of the protocol."""
        return self._head is not None and minor_of(self._head.version) >= 1

    # -- what the server says -----------------------------------------------------------------

    def renew(self) -> None:
        """Another connection begins: times that the last one told mean nothing in it."""
        self._untimed.clear()
        self._announced = False

    def said(self, text: str) -> None:
        """A control message came."""
        self._guarded(self._on_control, text)

    def brought(self, data: bytes) -> None:
        """A piece of an asset came."""
        self._guarded(self._on_asset, data)

    def tell_times(self) -> None:
        """The other way to know a frame, for a decoder that drops SEI; and where a seek lands."""
        playback, connection = self._play.playback, self._play.connection
        while self._untimed and playback is not None and connection is not None:
            message = self._untimed[0]
            pts = connection.pts_of(message.rtp_time)
            if pts is None:
                return
            self._untimed.popleft()
            tell = playback.sought if isinstance(message, Sought) else playback.anchor
            tell(pts, message.rung, message.frame)

    def _guarded(self, take: Callable[[_Said], None], what: _Said) -> None:
        try:
            take(what)
        except StreamError as error:
            # A bad message costs itself; frames go on, interpolated where it was needed.
            self._meter.wrong_assets += 1
            self._logged += 1
            if self._logged <= _MOST_LOGGED:  # a server may send them without end
                log.warning("%s: %s", self._url, error)
        except Exception as error:
            self._play.fail(error)

    def _on_control(self, text: str) -> None:
        message, playback = decode_server_message(text), self._play.playback
        if isinstance(message, ManifestHead):
            self._on_head(message)
        elif isinstance(message, Anchor | Sought):
            self._untimed.append(message)
            self.tell_times()
        elif isinstance(message, Switch):
            if playback is not None:
                playback.switch(message.rung, message.frame)
        elif isinstance(message, Refused):
            log.warning("%s: no %s: %s", self._url, message.what, message.message)
            if playback is not None:
                playback.stay()
        elif message.reason == "end":
            self._play.ended(message.frames)
        elif message.reason == "shutdown":
            self._play.lost(_goodbye(message))
        else:
            self._play.fail(StreamError(f"{self._url}: {_goodbye(message)}"))

    def _on_head(self, head: ManifestHead) -> None:
        if self._announced:
            raise StreamError("the manifest was announced twice")
        self._announced, playback = True, self._play.playback
        if playback is None:
            self._head, self._head_assembler = head, Assembler()
            self._head_assembler.expect(head.sha256, head.bytes)
        elif self._head is not None and head.sha256 == self._head.sha256:
            self._play.join(playback, head.live)
        else:
            self._play.fail(StreamError(f"{self._url} plays another video by now; start anew"))

    def _on_asset(self, data: bytes) -> None:
        frame, playback = decode_frame(data), self._play.playback
        if self._head is not None and frame.sha256 == self._head.sha256:
            body = self._head_assembler.add(frame) if playback is None else None
            if body is not None:
                self._on_manifest(self._head, body)
            return
        if playback is None:
            raise StreamError("an asset came before the manifest")
        playback.asset(frame)

    def _on_manifest(self, head: ManifestHead, body: bytes) -> None:
        manifest = parse_manifest(body, f"the manifest of {self._url}")
        if head.rung >= len(manifest.rungs):
            raise StreamError(f"{self._url} plays rung {head.rung}, which is not there")
        untrusted = why_untrusted(self._trust, head.sha256, head.signature)
        self._play.begin(manifest, head.rung, head.live, untrusted)


def _goodbye(bye: Bye) -> str:
    return f"the server ended the play{': ' + bye.message if bye.message else ''}"
