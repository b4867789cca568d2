"""Bytes of plans, plates and records, hash-checked once and shared by all viewers.

Reading and hashing go on in threads, so that whoever asks for assets keeps nobody waiting; what was
asked for lately stays, up to a number of bytes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from client_sdk.contract import Package
from server.shared_work import SharedWork


class AssetStore:
    """Up to `limit` bytes of assets by their hash; the longest unused go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._reading: SharedWork[tuple[Path, str], bytes] = SharedWork()

    def ready(self, sha256: str) -> bytes | None:
        """The asset, where it is at hand."""
        data = self._held.get(sha256)
        if data is not None:
            self._held.move_to_end(sha256)
        return data

    async def get(self, package: Package, sha256: str) -> bytes:
        """The asset of the package; who asks while it is read waits for the same read.

        Raises PackageError where it is not there, cannot be read, or is damaged.
        """
        data = self.ready(sha256)
        if data is not None:
            return data
        return await self._reading.do((package.path, sha256), lambda: self._read(package, sha256))

    async def _read(self, package: Package, sha256: str) -> bytes:
        data = await asyncio.to_thread(package.asset, sha256)
        if sha256 not in self._held and len(data) <= self._limit:
            self._held[sha256] = data
            self._bytes += len(data)
            while self._bytes > self._limit:
                self._bytes -= len(self._held.popitem(last=False)[1])
        return data
