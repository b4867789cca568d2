"""The time of day for aiortc, as it was at the start and from there on by a clock that nobody sets.

aiortc 1.16 measures with the time of day: the rate of what comes, in a loop over every millisecond
that has passed, and its jitter, in 32 bits of a report. So a clock that is set while a stream is
played, even by an hour, would hold up or break what has nothing to do with it. Stamps in reports
need no true time either, only one that goes on (RFC 3550, section 4).
"""

from __future__ import annotations

import datetime
import time
from types import SimpleNamespace

from aiortc import clock, rtcrtpreceiver, rtcrtpsender

_BEGAN = time.time() - time.monotonic()


def steady_time() -> float:
    """Seconds since 1970, as if the clock had never been set since this was imported."""
    return _BEGAN + time.monotonic()


def _steady_datetime() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(steady_time(), datetime.UTC)


def install() -> None:
    """Give aiortc this clock, for all connections of the process."""
    clock.current_datetime = _steady_datetime
    for module in (rtcrtpreceiver, rtcrtpsender):
        setattr(module, "time", SimpleNamespace(time=steady_time))  # noqa: B010 - all they use
