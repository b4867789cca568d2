"""Frames on the disk that are read several times, and are too many for memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from overfit.video.frames import Planes


class Spool:
    """Planes of frames of one size, in order; each iteration reads them anew.

    They lie in a file of `folder` (None: the system's for such files) that has no name: it goes
    with this object, or with the process however that ends. Raises OSError where the disk is full.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it is closed with the object
        self._shapes: list[tuple[int, ...]] = []
        self._frames = 0

    def append(self, planes: Planes) -> None:
        """One more frame."""
        self._shapes = [plane.shape for plane in planes]
        for plane in planes:
            self._file.write(np.ascontiguousarray(plane).data)
        self._frames += 1

    def __len__(self) -> int:
        return self._frames

    def __iter__(self) -> Iterator[Planes]:
        self._file.flush()
        sizes = [rows * columns for rows, columns in self._shapes]
        ends = np.cumsum(sizes)[:-1].tolist()
        for number in range(self._frames):
            read = os.pread(self._file.fileno(), sum(sizes), number * sum(sizes))
            parts = np.split(np.frombuffer(read, np.uint8), ends)
            y, u, v = (part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True))
            yield y, u, v
