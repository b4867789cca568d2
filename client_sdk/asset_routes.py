"""The two ways by which assets come, and which one is asked: data channel or HTTP.

    want ─► AssetRoutes ─┬─► data channel ── silent for 4 s ──┐
                         └─► HttpAssets ──── failed ──────────┴─► the other, from where it stopped

Either way the same pieces come to the same assembler, which hashes them: nothing depends on how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeAlias, get_args

from client_sdk.contract.control import MAX_WANTED, Want, Wanted
from kernels.errors import StreamError

Preference: TypeAlias = Literal["auto", "channel", "http"]
LARGE = 64 << 10
"""Bytes from which on `auto` prefers HTTP: a data channel is slow where packets are lost."""
PATIENCE = 4.0  # seconds without a piece after which the channel counts as stuck
_SWITCHES = 2  # times that an asset may change its way


def check_preference(text: str) -> Preference:
    """The preference of that name. Raises StreamError on any other."""
    for preference in get_args(Preference):
        if text == preference:
            return text  # type: ignore[return-value]
    raise StreamError(f"delivery {text!r} is none of auto, channel and http")


class Fetches(Protocol):
    """What gets an asset by HTTP."""

    def fetch(self, wanted: Wanted, size: int) -> None: ...

    def close(self) -> None: ...


class AssetRoutes:
    """Sends each wanted asset its way. Lives in the event loop.

    `where` gives what is still missing of an asset, or None where nothing is; `size` its bytes.
    """

    def __init__(
        self,
        preference: Preference,
        send: Callable[[Want], None],
        where: Callable[[str], Wanted | None],
        size: Callable[[str], int],
    ) -> None:
        self._preference = preference
        self._send = send
        self._where = where
        self._size = size
        self.http: Fetches | None = None
        self._on_channel: set[str] = set()
        self._switched: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, want: Want) -> None:
        """Get these, each by the way that is preferred for it."""
        self._over_channel([w for w in want.assets if not self._prefers_http(w.sha256)])
        self._over_http([w for w in want.assets if self._prefers_http(w.sha256)])

    def came(self, sha256: str) -> None:
        """A piece of that asset is here: what it came by works."""
        if sha256 in self._on_channel:
            self._watch()
            if self._where(sha256) is None:
                self._on_channel.discard(sha256)

    def http_failed(self, sha256: str) -> None:
        """That asset did not come by HTTP: the channel has to bring it."""
        wanted = self._where(sha256)
        if wanted is not None and self._may_switch(sha256):
            self._over_channel([wanted])

    def connected(self, http: Fetches) -> None:
        """A connection is there: what was asked for on the one before will not come on it."""
        if self.http is not None:
            self.http.close()
        self.http = http
        self._on_channel.clear()
        self._switched.clear()

    def close(self) -> None:
        """Stop watching, and fetch no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self.http is not None:
            self.http.close()

    def _prefers_http(self, sha256: str) -> bool:
        if self.http is None or self._preference == "channel":
            return False
        return self._preference == "http" or self._size(sha256) >= LARGE

    def _over_channel(self, assets: list[Wanted]) -> None:
        if not assets:
            return
        if not self._on_channel:
            self._watch()
        self._on_channel.update(wanted.sha256 for wanted in assets)
        for start in range(0, len(assets), MAX_WANTED):
            self._send(Want(assets=tuple(assets[start : start + MAX_WANTED])))

    def _over_http(self, assets: Iterable[Wanted]) -> None:
        for wanted in assets:
            if self.http is not None:
                self.http.fetch(wanted, self._size(wanted.sha256))

    def _may_switch(self, sha256: str) -> bool:
        self._switched[sha256] = self._switched.get(sha256, 0) + 1
        return self._switched[sha256] <= _SWITCHES

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._stuck)

    def _stuck(self) -> None:
        stuck, self._on_channel = sorted(self._on_channel), set()
        wanted = [w for w in map(self._where, stuck) if w is not None]
        if self.http is not None:
            self._over_http(w for w in wanted if self._may_switch(w.sha256))
