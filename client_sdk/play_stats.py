"""What a play achieved: the figures of `crispcast play --stats` and of the live line."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kernels.errors import StreamError

_WINDOW = 4096  # frames that the upscaling figures look back on


@dataclass(frozen=True, slots=True)
class PlayStats:
    """Figures of one play, so far or whole.

    `frames` were put out, `frames_sr` of them through a network with nothing wanted missing, the
    others (`frames_interpolated`) by interpolation or in part; `frames_lost` never came.
    `fps` is of the output's wall clock, `first_frame_ms` and `first_sr_ms` count from the POST.
    `late_plans` counts maps, motion, plans and plates that were not there for their segment's
    first frame, `wrong_assets` those refused for their hash or content, and all messages that were.
    `plan_bytes`: all that came for super-resolution over the network, `http_bytes` of them by HTTP;
    `cached_bytes` came from the cache. `seek_ms`: from the last seek to its frame put out.
    `reconnects`: how often the connection was lost and made anew. `untrusted`: why the manifest was
    not trusted, where keys to trust were given; then all frames are interpolated.
    """

    frames: int = 0
    frames_sr: int = 0
    frames_interpolated: int = 0
    frames_lost: int = 0
    fps: float = 0.0
    upscale_ms_median: float = 0.0
    upscale_ms_max: float = 0.0
    plan_bytes: int = 0
    http_bytes: int = 0
    cached_bytes: int = 0
    late_plans: int = 0
    wrong_assets: int = 0
    first_frame_ms: float | None = None
    first_sr_ms: float | None = None
    seek_ms: float | None = None
    reconnects: int = 0
    last_interpolated_frame: int | None = None
    backlog: int = 0
    seconds: float = 0.0
    ended: str = ""
    width: int = 0
    height: int = 0
    isa: str = ""
    untrusted: str = ""

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON to `path`; raises StreamError where that fails."""
        target = Path(path)
        try:
            target.write_text(self.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            with contextlib.suppress(OSError):
                if target.is_file():
                    target.unlink()  # half of it, at best
            raise StreamError(f"{path} cannot be written: {error.strerror}") from None


def check_stats_file(path: str | os.PathLike[str]) -> None:
    """Raises StreamError where the figures could not be saved there: before the play, not after."""
    target = Path(path)
    folder = target.absolute().parent
    if target.is_dir():
        raise StreamError(f"{target} cannot be written: it is a folder")
    if not folder.is_dir():
        raise StreamError(f"{target} cannot be written: there is no folder {folder}")


@dataclass
class PlayMeter:
    """Counts while a play goes on."""

    started: float = field(default_factory=time.monotonic)
    frames: int = 0
    frames_sr: int = 0
    frames_lost: int = 0
    late_plans: int = 0
    wrong_assets: int = 0
    plan_bytes: int = 0
    http_bytes: int = 0
    cached_bytes: int = 0
    reconnects: int = 0
    backlog: int = 0
    last_interpolated_frame: int | None = None
    ended: str = ""
    size: tuple[int, int] = (0, 0)
    isa: str = ""
    untrusted: str = ""
    _first: float | None = None
    _first_sr: float | None = None
    _last: float = 0.0
    _sought: float | None = None
    _seek: float | None = None
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))

    def frame(self, position: int, upscale_ms: float, super_resolved: bool) -> None:
        """A frame was put out at `position` (frames since the first)."""
        self._last = time.monotonic()
        if self._first is None:
            self._first = self._last
        self.frames += 1
        self._times.append(upscale_ms)
        if super_resolved:
            self.frames_sr += 1
            if self._first_sr is None:
                self._first_sr = self._last
        else:
            self.last_interpolated_frame = position

    def told(self, figures: dict[str, int]) -> None:
        """What the core's session has counted so far."""
        self.late_plans = figures["late_assets"]
        self.wrong_assets = figures["refused_assets"] + figures["wrong_messages"]
        self.plan_bytes = figures["asset_bytes"]
        self.cached_bytes = figures["cached_bytes"]

    def sought(self) -> None:
        """A frame was asked for."""
        self._sought = time.monotonic()

    def landed(self) -> None:
        """It was put out."""
        if self._sought is not None:
            self._seek = round((time.monotonic() - self._sought) * 1000, 1)
            self._sought = None

    def stats(self) -> PlayStats:
        """The figures as they stand."""
        times = list(self._times)
        first = self._first
        spent = 0.0 if first is None else self._last - first
        return PlayStats(
            frames=self.frames,
            frames_sr=self.frames_sr,
            frames_interpolated=self.frames - self.frames_sr,
            frames_lost=self.frames_lost,
            fps=round((self.frames - 1) / spent, 3) if spent > 0 else 0.0,
            upscale_ms_median=round(statistics.median(times), 3) if times else 0.0,
            upscale_ms_max=round(max(times), 3) if times else 0.0,
            plan_bytes=self.plan_bytes,
            http_bytes=self.http_bytes,
            cached_bytes=self.cached_bytes,
            late_plans=self.late_plans,
            wrong_assets=self.wrong_assets,
            first_frame_ms=self._since(first),
            first_sr_ms=self._since(self._first_sr),
            seek_ms=self._seek,
            reconnects=self.reconnects,
            last_interpolated_frame=self.last_interpolated_frame,
            backlog=self.backlog,
            seconds=round(time.monotonic() - self.started, 3),
            ended=self.ended,
            width=self.size[0],
            height=self.size[1],
            isa=self.isa,
            untrusted=self.untrusted,
        )

    def _since(self, moment: float | None) -> float | None:
        return None if moment is None else round((moment - self.started) * 1000, 1)
