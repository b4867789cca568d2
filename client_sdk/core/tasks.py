"""The names of the numbers in `include/crispcast_session.h`."""

from __future__ import annotations

from enum import IntEnum


class Delivery(IntEnum):
    """The way by which assets are asked for first."""

    AUTO = 0
    CHANNEL = 1
    HTTP = 2


class TaskKind(IntEnum):
    """What an app has to do, or to know."""

    NONE = 0
    SEND = 1
    LOOK = 2
    FETCH = 3
    STORE = 4
    DECODE = 5
    BASE = 6
    VERIFY = 7
    MANIFEST = 20
    READY = 21
    LATE = 22
    REFUSED = 23
    NOT_DONE = 24
    ENDED = 25
    LOST = 26
    FAILED = 27
    UNTRUSTED = 28
    JOINED = 29
