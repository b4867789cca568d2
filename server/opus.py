"""The Opus packets of a package's sound (RFC 7845)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from kernels.errors import PackageError
from server.rung_video import LOCAL


@dataclass(frozen=True)
class OpusAudio:
    """The Opus packets of the track: their times in samples at 48 kHz, and their bytes."""

    times: tuple[int, ...]
    packets: tuple[bytes, ...]

    @classmethod
    def open(cls, path: Path) -> OpusAudio:
        """Read an Ogg Opus file. Raises PackageError where it is none."""
        try:
            with av.open(str(path), format="ogg", options=LOCAL) as container:
                stream = container.streams.audio[0]
                # PyAV gives none for what FFmpeg has no decoder for, whatever its stubs say.
                context: Any = stream.codec_context
                if context is None or context.name not in ("opus", "libopus"):
                    raise PackageError(f"{path} holds something else than Opus")
                found = [
                    (round(packet.pts * packet.time_base * 48_000), bytes(packet))
                    for packet in container.demux(stream)
                    if packet.size and packet.pts is not None and packet.time_base is not None
                ]
        except (av.FFmpegError, OSError, IndexError) as error:
            raise PackageError(f"{path} is not Ogg Opus: {error}") from None
        if not found:
            raise PackageError(f"{path} holds no sound")
        return cls(tuple(time for time, _ in found), tuple(data for _, data in found))
