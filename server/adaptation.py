"""Which rung a viewer gets: the policy, without a socket or a clock (docs/adaptation.md).

    packets lost, round-trip time, receiver's estimate ─┐
    the client's milliseconds a frame ──────────────────┼─► Adaptation ─► a rung
    bit rates and multiply-adds of the rungs ───────────┘

Down at once, by what the receiver estimates (REMB, draft-alvestrand-rmcat-remb-03); up one rung at
a time, after a while without trouble, as a trial. A receiver cannot see more bandwidth than is
used, so climbing is the only way to learn of it: a trial that fails is paid for with a wait that
doubles each time, as in additive-increase schemes (RFC 8698, section 5.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

START = 500_000  # b/s of the rung to begin with, at most, where there is one
LOSS = 0.08  # share of packets lost that is congestion; less is a bad radio link
QUEUE, LONG = 0.15, 0.3  # seconds of round trip above the least: in two reports, or in one
SHORT = 0.75  # an estimate below this part of what is sent says that the link is too narrow
FAR, CREEP = 0.3, 0.004  # what is believed the least round trip: at most, and more each report
STEADY = 3  # reports that must say so in a row: an estimate dips when a key frame passes
BELIEF = 1.1  # what may be sent for an estimate: after trouble it is 0.85 of what came through
BESIDE = 0.25  # part of what is sent as video that plans and plates may be, or they are to blame
SETTLE = 2.5  # seconds until a queue has drained after a step down
CLEAR = 4.0  # seconds without trouble before a trial
HOLD = 6.0  # seconds between a switch and a step up
ROOM = 1.25  # an estimate above this part of what is sent speaks for a trial
PATIENCE = 24.0  # seconds between a switch and a step up for which no estimate speaks
TRIAL = 10.0  # seconds in which trouble means that the step up was wrong
WAIT, LONGEST = 24.0, 180.0  # seconds to the next trial of a rung that failed; doubled each time
FORGET = 60.0  # seconds for which a rung must hold, or it has failed
NEAR = 1.1  # rungs whose rates are nearer than this are as dear as each other
BUSY = 0.95  # part of a frame's time that upscaling may take
RELIEF = 0.8  # part of it that it shall take on a cheaper rung


@dataclass(frozen=True, slots=True)
class RungFacts:
    """What the policy must know of a rung.

    `bitrate`: b/s of video and sound, which cannot wait, as plans and plates can. `compute`:
    multiply-adds a frame. `quality`: dB, None if not known.
    """

    bitrate: float
    compute: int = 0
    quality: float | None = None


def useful(rungs: Sequence[RungFacts]) -> list[int]:
    """The indices of rungs by rising rate, but for those that cost more and show no more.

    Rungs of nearly one rate of which no quality is known are one: the first.
    """
    found: list[int] = []
    for index in sorted(range(len(rungs)), key=lambda n: (rungs[n].bitrate, n)):
        rung = rungs[index]
        last = rungs[found[-1]] if found else None
        if last is None:
            found.append(index)
        elif rung.quality is not None and last.quality is not None:
            if rung.quality <= last.quality:
                continue
            # Almost for nothing: the better of the two will do.
            if rung.bitrate <= NEAR * last.bitrate:
                found.pop()
            found.append(index)
        elif rung.bitrate > NEAR * last.bitrate:
            found.append(index)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How it goes at `now` (seconds, of any clock).

    `estimate`: b/s that the receiver thinks possible, None if it does not say. `sent`: b/s of video
    lately, `beside`: b/s of plans and plates. `lost`: share of packets, 0 to 1. `round_trip`:
    seconds, None if not known.
    `upscale_ms`: milliseconds that a frame takes the client with networks, 0 if not known.
    `interpolating`: the client has given networks up for a while.
    """

    now: float
    estimate: float | None = None
    sent: float = 0.0
    beside: float = 0.0
    lost: float = 0.0
    round_trip: float | None = None
    upscale_ms: float = 0.0
    interpolating: bool = False


@dataclass(slots=True)
class _Record:
    """What became of trials of a rung."""

    wait: float = WAIT
    not_before: float = 0.0


class Adaptation:
    """Chooses among rungs. `rung` is the index that is wanted now; `update` brings it up to date.

    `frame_ms`: milliseconds between frames. Only `useful` rungs are chosen.
    """

    def __init__(self, rungs: Sequence[RungFacts], frame_ms: float) -> None:
        self._rungs = rungs
        self._frame_ms = frame_ms
        self._ladder = useful(rungs)
        self._place = max(
            (n for n in range(len(self._ladder)) if self._rate(n) <= START), default=0
        )
        self._records = [_Record() for _ in self._ladder]
        self.congested = False  # as the last report said
        self._manual: int | None = None
        self._changed: float | None = None  # when the rung changed last
        self._dropped: float | None = None  # when it last went down
        self._clear: float | None = None  # since when there is no trouble
        self._trial_ends: float | None = None
        self._least_trip = FAR
        self._last_trip = 0.0
        self._room = 1.0  # the estimate over what is sent: the highest lately
        self._short = 0  # reports in a row of a narrow link
        self._busy = 0  # reports in a row of a busy client
        self._most_compute: float | None = None
        self._relief, self._relief_ends = WAIT, 0.0

    @property
    def rung(self) -> int:
        """Index of the rung that is wanted."""
        return self._ladder[self._place] if self._manual is None else self._manual

    def choose(self, rung: int | None) -> int:
        """A person's choice, which stands until None: then the policy goes on from there."""
        if rung is None and self._manual in self._ladder:
            self._place = self._ladder.index(self._manual)
        self._manual = rung
        self._changed = self._clear = self._trial_ends = None
        return self.rung

    def update(self, report: Report) -> int:
        """The rung that is wanted after this report; they should come about once a second."""
        if self._changed is None:
            self._changed = report.now
        if self._manual is None:
            self._heed_network(report)
            self._heed_client(report)
        else:
            self.congested = self._congested(report)
        return self.rung

    def _rate(self, place: int) -> float:
        return self._rungs[self._ladder[place]].bitrate

    def _compute(self, place: int) -> int:
        return self._rungs[self._ladder[place]].compute

    # -- the network ----------------------------------------------------------------------------

    def _heed_network(self, report: Report) -> None:
        now = report.now
        assert self._changed is not None
        self.congested = self._congested(report)
        if self.congested:
            self._clear = None
            # What goes beside the video can be slowed down, and has to be first.
            if report.beside > BESIDE * report.sent:
                self._dropped = now
                return
            if self._dropped is None or now - self._dropped >= SETTLE:
                self._step_down(report)
            return
        if self._clear is None:
            self._clear = now
        if self._trial_ends is not None and now >= self._trial_ends:
            self._trial_ends = None
        if now - max(self._clear, self._changed) >= FORGET:
            self._records[self._place].wait = WAIT
        if self._may_climb(report):
            self._trial_ends = now + TRIAL
            self._go(self._place + 1, now)

    def _congested(self, report: Report) -> bool:
        room = ROOM if report.estimate is None else report.estimate / max(report.sent, 1.0)
        self._room = max(room, 0.95 * self._room)
        narrow = room < SHORT
        self._short = self._short + 1 if narrow else 0
        queue = False
        if report.round_trip is not None:
            # A route may become longer for good: what is believed the least creeps up.
            self._least_trip = min(report.round_trip, self._least_trip + CREEP)
            # A key frame fills a queue for a moment: only one that stands counts.
            standing = min(report.round_trip, self._last_trip)
            self._last_trip = report.round_trip
            longest = report.round_trip - self._least_trip
            queue = longest > LONG or standing - self._least_trip > QUEUE
        return report.lost >= LOSS or queue or self._short >= STEADY

    def _step_down(self, report: Report) -> None:
        """To what the receiver believes in, one rung at least."""
        if self._place == 0:
            return
        assert self._changed is not None
        record = self._records[self._place]
        record.not_before = report.now + record.wait
        if report.now - self._changed < FORGET:
            record.wait = min(2 * record.wait, LONGEST)
        self._trial_ends = None
        goal = self._place - 1
        while goal > 0 and self._rate(goal) > BELIEF * (report.estimate or self._rate(goal)):
            goal -= 1
        self._short = 0
        self._dropped = report.now
        self._go(goal, report.now)

    def _may_climb(self, report: Report) -> bool:
        place = self._place + 1
        if place >= len(self._ladder) or self._short or self._trial_ends is not None:
            return False
        assert self._changed is not None
        assert self._clear is not None
        limit = self._most_compute if report.now < self._relief_ends else None
        return (
            report.now - self._changed >= (HOLD if self._room >= ROOM else PATIENCE)
            and report.now - self._clear >= CLEAR
            and report.now >= self._records[place].not_before
            and (limit is None or self._compute(place) <= limit)
        )

    # -- the client -----------------------------------------------------------------------------

    def _heed_client(self, report: Report) -> None:
        """A client that is too slow for its plans gets a rung with fewer multiply-adds."""
        slow = report.upscale_ms > BUSY * self._frame_ms
        self._busy = self._busy + 1 if slow or report.interpolating else 0
        compute = self._compute(self._place)
        if self._busy < 2 or not compute or report.upscale_ms <= 0:
            return
        self._busy = 0
        if report.now >= self._relief_ends:
            self._relief_ends = report.now + self._relief
            self._relief = min(2 * self._relief, LONGEST)
        self._most_compute = compute * min(1.0, RELIEF * self._frame_ms / report.upscale_ms)
        places = range(self._place - 1, -1, -1)
        cheaper = [n for n in places if self._compute(n) <= self._most_compute]
        if cheaper:
            self._go(cheaper[0], report.now)

    def _go(self, place: int, now: float) -> None:
        self._place, self._changed = place, now
