"""Reads what `crispcast play --out x.y4m` wrote, so that it can be compared bit for bit."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from kernels.errors import VideoError


def frame_hashes(path: Path) -> Iterator[str]:
    """SHA-256 (hex) of Y, U and V of every frame of an 8-bit 4:2:0 y4m.

    The same as `frame_sha256` in report.json. Raises VideoError on another format.
    """
    with path.open("rb") as file:
        fields = file.readline(1024).split()
        if not fields or fields[0] != b"YUV4MPEG2":
            raise VideoError(f"{path} is not a y4m file")
        values = {field[:1]: field[1:] for field in fields[1:]}
        width, height = int(values[b"W"]), int(values[b"H"])
        if not values.get(b"C", b"420").startswith(b"420"):
            raise VideoError(f"{path} is not 4:2:0")
        size = width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
        while header := file.readline(1024):
            frame = file.read(size)
            if not header.startswith(b"FRAME") or len(frame) != size:
                raise VideoError(f"{path} is truncated")
            yield hashlib.sha256(frame).hexdigest()
