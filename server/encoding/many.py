"""Encodes several videos: one after the other, or all at once on a cluster.

One that is refused or fails keeps the others from nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kernels.errors import CrispcastError
from server.encoding.config import EncodeConfig

if TYPE_CHECKING:
    from server.encoding.progress import EncodeProgress
    from server.encoding.result import EncodeResult

log = logging.getLogger("crispcast.encode")

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".mpg", ".mpeg"),
    *(".264", ".h264", ".265", ".h265", ".hevc", ".ivf", ".y4m"),
)
"""Of the files of a folder that are taken for videos."""

OnManyProgress: TypeAlias = "Callable[[EncodeConfig, EncodeProgress], None]"


@dataclass(frozen=True)
class Outcome:
    """What became of a video: its result, or why there is none."""

    config: EncodeConfig
    result: EncodeResult | None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """As of one encode, with `source`; where there is none, `error`."""
        told = {"error": self.error} if self.result is None else self.result.to_json()
        return {"source": str(self.config.source), **told}

    def summary(self) -> str:
        """For people."""
        if self.result is None:
            return f"{self.config.source}: not encoded: {self.error}"
        return self.result.summary()


def videos_of(paths: Sequence[Path]) -> list[Path]:
    """The videos that are meant: files as they are, of a folder all that look like videos.

    Raises CrispcastError where a folder has none, or where two would get one name.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise CrispcastError(f"{path} has no videos ({', '.join(SUFFIXES)})")
            found += inside
        else:
            found.append(path)
    names: dict[str, Path] = {}
    for path in found:
        other = names.setdefault(path.stem, path)
        if other is not path:
            raise CrispcastError(
                f"{other} and {path} would both become {path.stem}.crisp; encode one of them alone"
            )
    return found


def part_of(videos: Sequence[Path], part: str | None) -> list[Path]:
    """Every N-th video from the I-th (0 is the first), of I/N; all where `part` is None.

    Raises CrispcastError where it is nothing of the kind.
    """
    if part is None:
        return list(videos)
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part)
    if match is None or int(match[1]) >= int(match[2]):
        raise CrispcastError(f"part {part}: give I/N, as 0/8 to 7/8")
    return list(videos[int(match[1]) :: int(match[2])])


def encode_many(configs: Sequence[EncodeConfig], on_progress: OnManyProgress) -> list[Outcome]:
    """Encode videos; the outcomes are in the order of `configs`, which are alike but for files.

    On a cluster all are begun at once, and it has the jobs of all of them to choose from. Raises
    CrispcastError where there is no cluster to be reached.
    """

    def one(config: EncodeConfig) -> Outcome:
        from server.encoding.pipeline import encode

        try:
            return Outcome(config, encode(config, lambda news: on_progress(config, news)))
        except CrispcastError as error:
            return Outcome(config, None, str(error))
        except Exception as error:  # a fault of ours, or of the machine, is no fault of the others
            log.exception("%s was not encoded", config.source)
            return Outcome(config, None, f"{type(error).__name__}: {str(error)[:300]}")

    if not configs or configs[0].engine != "ray":
        return [one(config) for config in configs]
    from server.encoding.ray_engine import connect, disconnect

    connect(configs[0].address)  # once, and not by several threads
    with ThreadPoolExecutor(len(configs)) as pool:
        try:
            return list(pool.map(one, configs))
        except BaseException:
            disconnect()  # ends the tasks of all, and so the threads that wait for them
            raise
