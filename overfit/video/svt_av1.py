"""Rungs in AV1, by SVT-AV1: at equal quality about half of H.264's bytes.

Its pictures are coded out of order, as B-frames are, and yet WebRTC can carry them: what a later
picture needs early is a frame that is not shown, inside the temporal unit of one that is (AV1
specification, 7.5), so each unit shows one picture, in order.

A bit rate is met by a search for the CRF: every encode is one of constant quality. Passes of a
quick preset say where to look, so that two or three of the slow one do.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kernels.errors import VideoError
from overfit.video.frames import Planes, VideoInfo
from overfit.video.rung_config import LARGEST_CRF, Effort, RungConfig
from overfit.video.rung_file import Encoder, encode
from overfit.video.standstill import StandstillError, Watched

PROFILE = "main"
_PRESETS: dict[Effort, int] = {"fast": 8, "medium": 5, "slow": 4, "slower": 3, "veryslow": 2}
_PARAMS = {
    "tune": "1",  # to the least squared error, which is what a network is trained to
    "keyint": "-1",  # key frames where segments start, and nowhere else
    "scd": "0",
}
_SAFE_SIDE = 64
"""With a side of less than 26 and another above 64, two threads of SVT-AV1 4.1 wait for ever."""
_QUARTER = 0.25
"""Steps of CRF that SVT-AV1 tells apart."""
_FFMPEGS = 63
"""The coarsest CRF that FFmpeg knows; SVT-AV1 goes on, and its own parameter counts."""
_FIRST, _SLOPE = 46.0, -0.05
"""Where the search begins, and what a step of CRF does to the logarithm of the bytes, about."""
MOST_PASSES = 8
_ATTEMPTS = 3
"""At an encode that stands still."""
_QUICK = 10
"""The preset that finds out about where to look."""
_GUESSES = 4
"""Passes that may follow a quick curve; then the search must close in by itself."""
_CLOSE = 0.985
"""Of the bytes that a bit rate allows: near enough."""


def write(
    planes: Callable[[], Iterable[Planes]],
    path: Path,
    info: VideoInfo,
    starts: Sequence[int],
    config: RungConfig,
) -> tuple[int, tuple[int, int]]:
    """Encodes to `path`, several times where there is a bit rate; frames and (width, height)."""
    small = min(next(iter(planes()))[0].shape) < _SAFE_SIDE
    preset = _PRESETS[config.preset]

    def at(crf: float, path: Path, preset: int = preset) -> tuple[int, tuple[int, int]]:
        encoder = _encoder(config, crf, small, preset)
        for attempt in range(_ATTEMPTS):
            watched = Watched()
            pictures = watched.items(planes())
            scratch = path.with_name(f"{path.stem}-{attempt}.mp4")
            encoding = partial(encode, pictures, scratch, info, starts, encoder)
            try:
                facts = watched.run(encoding)
                scratch.replace(path)
                return facts
            except StandstillError:
                continue
            finally:
                scratch.unlink(missing_ok=True)
        raise VideoError(f"{path}: SVT-AV1 stood still {_ATTEMPTS} times: encode with --codec h264")

    if config.crf is not None:
        return at(config.crf, path)
    assert config.bitrate is not None
    most = config.bitrate / 8 * float(info.frames / info.fps)
    tried: dict[float, int] = {}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:

        def quickly(crf: float) -> int:
            at(crf, Path(folder, "quick.mp4"), _QUICK)
            return Path(folder, "quick.mp4").stat().st_size

        quick = QuickCurve(quickly)
        crf: float | None = quick.crf(_wanted(most))
        while crf is not None and len(tried) < MOST_PASSES:
            scratch = Path(folder, f"{crf:g}.mp4")
            facts = at(crf, scratch)
            tried[crf] = scratch.stat().st_size
            crf = next_crf(tried, most, quick.crf(_wanted(most) * quick.size(crf) / tried[crf]))
        shutil.move(Path(folder, f"{best_crf(tried, most):g}.mp4"), path)
    return facts


class QuickCurve:
    """Bytes over CRFs by a preset that takes a tenth of the time.

    Their ratio to those of the slow one, 0.9 to 1.15, changes little between near CRFs: with it,
    one slow pass says where the next must be.
    """

    def __init__(self, sized: Callable[[float], int]) -> None:
        """`sized` gives the bytes at a CRF."""
        self._sized = sized
        self._sizes: dict[float, int] = {}

    def size(self, crf: float) -> int:
        """Bytes at this CRF."""
        if crf not in self._sizes:
            self._sizes[crf] = self._sized(crf)
        return self._sizes[crf]

    def crf(self, wanted: float) -> float:
        """Where that many bytes are expected, to a quarter."""
        crf: float | None = _FIRST
        if self._sizes:
            crf = next_crf(self._sizes, wanted)
        passes = 0
        while crf is not None and passes < MOST_PASSES:
            self.size(crf)
            passes += 1
            crf = next_crf(self._sizes, wanted)
        ordered = sorted(self._sizes)
        logs = [-math.log(self._sizes[each]) for each in ordered]
        rising = np.maximum.accumulate(logs)
        there = float(np.interp(-math.log(wanted), rising, ordered))
        return min(max(math.ceil(there / _QUARTER) * _QUARTER, _QUARTER), LARGEST_CRF["av1"])


def _wanted(most: float) -> float:
    """What a search aims at: the middle of what is near enough."""
    return most * (1 + _CLOSE) / 2


def best_crf(tried: dict[float, int], most: float) -> float:
    """Of CRFs by the bytes that they gave: the finest within `most`, else the coarsest."""
    within = [crf for crf, size in tried.items() if size <= most]
    return min(within, default=max(tried))


def next_crf(tried: dict[float, int], most: float, guess: float | None = None) -> float | None:
    """The CRF to try next; None where the best so far is near enough, or none is left between.

    `tried` in order. A `guess` is taken where it lies between. Else false position on the logarithm
    of the bytes, by the Illinois rule: an end that stays where it is for long counts for less
    (Dowell and Jarratt, BIT 11, 1971).
    """
    largest = LARGEST_CRF["av1"]
    over = [crf for crf, size in tried.items() if size > most]
    within = [crf for crf, size in tried.items() if size <= most]
    low, high = max(over, default=0.0), min(within, default=largest + _QUARTER)
    if within and tried[high] >= _CLOSE * most:
        return None
    wanted = math.log(_wanted(most))
    if guess is not None and low < guess < high and len(tried) < _GUESSES:
        pass
    elif over and within:
        above, below = math.log(tried[low]) - wanted, wanted - math.log(tried[high])
        sides = [size > most for size in tried.values()]
        same = next((n for n, side in enumerate(reversed(sides)) if side != sides[-1]), len(sides))
        if sides[-1]:
            below /= 2 ** (same - 1)
        else:
            above /= 2 ** (same - 1)
        guess = low + (high - low) * above / (above + below)
    else:
        crf = low if over else high
        guess = crf + (wanted - math.log(tried[crf])) / _SLOPE
    least, most_crf = low + _QUARTER, high - _QUARTER
    if least > most_crf:
        return None
    return min(max(math.ceil(guess / _QUARTER) * _QUARTER, least), most_crf)


def _encoder(config: RungConfig, crf: float, small: bool, preset: int) -> Encoder:
    # It would tell the terminal what it does; errors come back as errors.
    os.environ.setdefault("SVT_LOG", "1")
    # Threads do not follow the machine.
    params = {"crf": f"{crf:g}", **_PARAMS, "lp": "1" if small else "2"}
    params["enable-tf"] = str(int(config.filtered))
    if config.still:
        # As many bits for all blocks: what much is predicted from has a plate and needs no more.
        params["aq-mode"] = "0"
    options = {
        "preset": str(preset),
        "crf": str(min(_FFMPEGS, max(1, round(crf)))),
        "svtav1-params": ":".join(f"{key}={value}" for key, value in params.items()),
    }
    return Encoder("libsvtav1", options, begun=step_back)


def step_back() -> None:
    """Takes back the highest real-time priority, which SVT-AV1 gives us where it may (root).

    Nothing else on the machine would run beside it.
    """
    if hasattr(os, "sched_setscheduler") and Path("/proc/self/task").is_dir():
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # a thread that has ended
                if os.sched_getscheduler(int(task.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                    os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))
