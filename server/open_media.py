"""The media of packages that are watched: opened once for all viewers, and given back.

take ─► open ─► shared by all viewers of the package ─► give_back ─► idle ─► closed
                                                            │
a package that is gone or replaced ─────────────────────────┘ at once, when nobody is left
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastapi import HTTPException

from client_sdk.contract import Package
from server.catalogue import Catalogue
from server.media import PackageMedia
from server.playhead import ChannelClock
from server.rung_video import HeldPayloads
from server.shared_work import SharedWork

MOST_IDLE = 8
"""Packages that nobody watches and that stay open: an index of each frame, and all the sound."""


@dataclass(eq=False, slots=True)
class _Open:
    media: PackageMedia
    viewers: int = 0


class OpenMedia:
    """What is open. `channel` says whether the package of a name is one.

    A channel goes on while its manifest is the same, whether or not somebody watches.
    """

    def __init__(self, catalogue: Catalogue, channel: Callable[[str], bool]) -> None:
        self._catalogue = catalogue
        self._channel = channel
        self._open: list[_Open] = []  # those that were left last come last
        self._opening: SharedWork[int, None] = SharedWork()  # by the package's id()
        self._channels: dict[str, tuple[str, ChannelClock]] = {}
        self._payloads = HeldPayloads()

    @property
    def packages(self) -> list[Package]:
        """Those that are open."""
        return [found.media.package for found in self._open]

    async def take(self, name: str) -> PackageMedia:
        """The package's media for one viewer more, until it is given back.

        Raises PackageError, and HTTPException where the package is gone.
        """
        while True:
            package = self._catalogue.packages.get(name)
            if package is None:
                raise HTTPException(404, f"package {name} is gone")
            found = next((one for one in self._open if one.media.package is package), None)
            if found is not None:
                found.viewers += 1
                return found.media
            await self._opening.do(id(package), partial(self._make, package))

    def give_back(self, media: PackageMedia) -> None:
        """One viewer fewer."""
        found = next((one for one in self._open if one.media is media), None)
        if found is not None:  # at the end all is closed
            found.viewers -= 1
            self._open.remove(found)
            self._open.append(found)
            self.tidy()

    def tidy(self) -> None:
        """Close what nobody watches, where it is gone or replaced, or many are open."""
        idle = [found for found in self._open if not found.viewers]
        for place, found in enumerate(reversed(idle)):
            package = found.media.package
            if place >= MOST_IDLE or self._catalogue.packages.get(package.name) is not package:
                self._open.remove(found)
                found.media.close()

    def close(self) -> None:
        """Close all of it."""
        for found in self._open:
            found.media.close()
        self._open.clear()

    async def _make(self, package: Package) -> None:
        channel = self._clock_of(package) if self._channel(package.name) else None
        media = await asyncio.to_thread(PackageMedia.open, package, channel, self._payloads)
        self._open.append(_Open(media))

    def _clock_of(self, package: Package) -> ChannelClock:
        sha256 = package.manifest_sha256
        known = self._channels.get(package.name)
        if known is None or known[0] != sha256:
            known = self._channels[package.name] = (
                sha256,
                ChannelClock(package.manifest, asyncio.get_running_loop().time()),
            )
        return known[1]
