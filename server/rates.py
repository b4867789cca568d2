"""How often somebody may ask: token buckets, one for each address, in bounded memory."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from fastapi import HTTPException, Request

_MOST_ADDRESSES = 20_000
_ROUNDED = 1e-6  # of a request: who waited as long as was said may pass


class Bucket:
    """`per_minute` requests a minute, and as many at once, or `at_once`; 0 for no limit."""

    __slots__ = ("_at", "_clock", "_left", "_refill", "_size")

    def __init__(
        self, per_minute: float, clock: Callable[[], float], at_once: int | None = None
    ) -> None:
        self._size = per_minute if at_once is None else at_once
        self._refill = per_minute / 60  # a second
        self._clock = clock
        self._left, self._at = float(self._size), clock()

    def wait(self, cost: int = 1) -> float:
        """Count so many requests: 0 where they may pass, else the seconds until they would."""
        if not self._size:
            return 0
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._at) * self._refill)
        self._at = now
        if self._left < cost - _ROUNDED:
            return (cost - self._left) / self._refill
        self._left -= cost
        return 0


class Rates:
    """A bucket for each address.

    Of IPv6 a /64 counts as one address, since that is what one customer has. When too many
    addresses come, those that asked longest ago are forgotten.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait(self, address: str) -> int:
        """Count a request of the address: 0 where it may pass, else the seconds until one would."""
        key = network_of(address)
        bucket = self._buckets.pop(key, None) or Bucket(self._per_minute, self._clock)
        self._buckets[key] = bucket
        if len(self._buckets) > _MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return math.ceil(bucket.wait())


def limited(per_minute: int) -> Callable[[Request], None]:
    """A dependency of routes that share a bucket for each address: beyond it, 429."""
    rates = Rates(per_minute, time.monotonic)

    def check(request: Request) -> None:
        seconds = rates.wait(address_of(request))
        if seconds:
            raise HTTPException(429, "too many requests came", {"Retry-After": str(seconds)})

    return check


def address_of(request: Request) -> str:
    """Where a request comes from; through a proxy that is trusted, where that says."""
    return request.client.host if request.client else ""


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 6 and known.ipv4_mapped is None:
        return str(ipaddress.ip_network((known, 64), strict=False))
    return address
