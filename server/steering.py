"""Steers one viewer from rung to rung: the policy, fed with what is known, and what follows of it.

Feedback, stats ─► Adaptation ─► the video track, at the start of a segment; `switch` to the client
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from client_sdk.contract.control import Stats
from server.adaptation import Adaptation, Report, RungFacts
from server.delivery import Delivery
from server.feedback import Feedback
from server.media import PackageMedia, VideoTrack

LEAD = 1.0  # seconds before a step up, so that the client has the plans by then
SLOWEST, FREE = 2_000.0, 500_000.0  # bytes a second of assets; beyond, nothing holds them back
FASTER = 1.25  # times, with each report without trouble
WINDOW = 2.0  # seconds over which the sending rate is taken


class Steering:
    """Decides on rungs for a viewer.

    `announce` is told the rung and the frame from which on it plays. Without `adaptive`, only
    people choose.
    """

    def __init__(
        self,
        media: PackageMedia,
        video: VideoTrack,
        clock: Callable[[], float],
        announce: Callable[[int, int], None],
        *,
        adaptive: bool,
    ) -> None:
        manifest = media.package.manifest
        self._manifest = manifest
        self._video = video
        self._clock = clock
        self._announce = announce
        self._adaptive = adaptive
        # Only what was agreed on can be sent: the codec of the first rung.
        codec = media.rungs[0].mime_type
        self._usable = [n for n, rung in enumerate(media.rungs) if rung.mime_type == codec]
        facts = [
            RungFacts(
                manifest.media_bitrate(index),
                manifest.rungs[index].compute or 0,
                manifest.quality_of(index),
            )
            for index in self._usable
        ]
        self._policy = Adaptation(facts, float(1000 / manifest.source.rate))
        self._stats = Stats()
        # When, and bytes of video and of assets by then.
        self._sent: deque[tuple[float, int, int]] = deque([(clock(), 0, 0)])
        self._rate: float | None = None  # of the delivery, in bytes a second
        if adaptive:
            video.rung = video.wanted_rung = self._usable[self._policy.rung]
        else:
            self._policy.choose(0)  # as a person would: its pace is kept all the same

    def choose(self, rung: int | None) -> None:
        """A person's choice among the usable rungs, from the next segment on; None: no more."""
        if rung is None and not self._adaptive:
            rung = self._usable[0]  # what those get who never chose
        self._policy.choose(None if rung is None else self._usable.index(rung))
        self._go(self._usable[self._policy.rung], lead=0.0)

    def told(self, stats: Stats) -> None:
        """What the client says of itself."""
        self._stats = stats

    def heard(self, feedback: Feedback, delivery: Delivery | None) -> None:
        """A receiver report came; `delivery` is what sends assets beside the video."""
        now = self._clock()
        beside = 0 if delivery is None else delivery.sent_bytes
        self._sent.append((now, self._video.sent_bytes, beside))
        while len(self._sent) > 2 and now - self._sent[1][0] >= WINDOW:
            self._sent.popleft()
        begun, before, beside_before = self._sent[0]
        if self._video.sent_bytes == before:
            return  # a pause says nothing
        told = self._stats
        assets = (beside - beside_before) / (now - begun)
        wanted = self._policy.update(
            Report(
                now=now,
                estimate=feedback.estimate,
                sent=8 * (self._video.sent_bytes - before) / (now - begun),
                beside=8 * assets,
                lost=feedback.lost,
                round_trip=feedback.round_trip,
                # What it said of another rung's plans says nothing of this one's.
                upscale_ms=told.upscale_ms if self._settled else 0.0,
                interpolating=told.interpolating and self._settled,
            )
        )
        if delivery is not None:
            self._pace(delivery, assets)
        rung = self._usable[wanted]
        rates = [self._manifest.media_bitrate(n) for n in (rung, self._video.rung)]
        climbs = rates[0] > rates[1]
        self._go(rung, lead=LEAD if climbs else 0.0)

    def _pace(self, delivery: Delivery, assets: float) -> None:
        """Half as fast where there is trouble, a little faster where there is none (AIMD)."""
        if self._policy.congested:
            if assets > SLOWEST:
                self._rate = max(SLOWEST, min(assets, self._rate or assets) / 2)
                delivery.pace(self._rate)
        elif self._rate is not None:
            self._rate = self._rate * FASTER if self._rate < FREE else None
            delivery.pace(self._rate)

    @property
    def _settled(self) -> bool:
        return self._video.rung == self._video.wanted_rung

    def _go(self, rung: int, lead: float) -> None:
        if rung == self._video.wanted_rung:
            return
        # Of figures that are counted so far, none is of the rung to come.
        self._stats = Stats()
        self._announce(rung, self._video.switch(rung, lead))
