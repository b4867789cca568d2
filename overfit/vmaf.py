"""VMAF-NEG through libvmaf, in an ffmpeg that has it.

VMAF-NEG ("no enhancement gain", Netflix 2020) because plain VMAF rises when a picture is merely
sharpened, which a super-resolution network does all too easily. Neither PyAV's nor every ffmpeg has
libvmaf, so the score may be missing, and then the report says why.
"""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from overfit.metrics import Planes

MODEL = "version=vmaf_v0.6.1neg"


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg that can compute VMAF-NEG; `path` is None where there is none, and `reason` why."""

    path: str | None
    reason: str | None = None


@cache
def find_ffmpeg() -> Ffmpeg:
    """The first ffmpeg with libvmaf: the one on the path, or imageio-ffmpeg's."""
    candidates = [shutil.which("ffmpeg")]
    try:
        import imageio_ffmpeg

        candidates.append(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        pass
    found = [candidate for candidate in candidates if candidate]
    if not found:
        return Ffmpeg(None, "no ffmpeg: install ffmpeg or imageio-ffmpeg")
    for candidate in found:
        filters = subprocess.run(
            [candidate, "-hide_banner", "-filters"], capture_output=True, text=True, check=False
        )
        if " libvmaf " in filters.stdout:
            return Ffmpeg(candidate)
    return Ffmpeg(None, "this ffmpeg was built without libvmaf")


class _Feed:
    """Writes frames to one pipe from a thread of its own.

    ffmpeg reads its two inputs at its own pace, so one writer for both would wait for a pipe that
    ffmpeg reads only once the other has data.
    """

    def __init__(self, descriptor: int) -> None:
        self._frames: queue.Queue[Planes | None] = queue.Queue(maxsize=8)
        self._thread = threading.Thread(target=self._write, args=(descriptor,), daemon=True)
        self._thread.start()

    def put(self, planes: Planes) -> None:
        """Hand over one frame; waits while eight are waiting."""
        self._frames.put(planes)

    def end(self) -> None:
        """Close the pipe behind the last frame."""
        self._frames.put(None)
        self._thread.join()

    def _write(self, descriptor: int) -> None:
        alive = True
        with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
            while (planes := self._frames.get()) is not None:
                try:
                    if alive:
                        for plane in planes:
                            pipe.write(plane.tobytes())
                except BrokenPipeError:
                    alive = False  # go on taking frames, so that `put` never waits for nobody


class VmafNeg:
    """Scores one distorted video against the truth, frame by frame, through pipes to an ffmpeg.

    Use: `add` each pair of frames, then `scores()`, or `close()` to let go without them.
    """

    def __init__(self, width: int, height: int, threads: int) -> None:
        self._log = tempfile.TemporaryDirectory(prefix="crispcast-vmaf-")
        self._feeds: tuple[_Feed, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None
        ffmpeg = find_ffmpeg()
        if ffmpeg.path is None:
            return
        distorted, reference = os.pipe(), os.pipe()
        raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", "25"]
        raw += ["-probesize", "32", "-analyzeduration", "0", "-i"]
        # libvmaf parses its options itself: a relative log path keeps ':' and '\\' out of them.
        options = f"model={MODEL}:log_fmt=json:log_path=vmaf.json:n_threads={threads}"
        self._process = subprocess.Popen(
            [
                *(ffmpeg.path, "-v", "error", "-nostdin"),
                *(*raw, f"pipe:{distorted[0]}", *raw, f"pipe:{reference[0]}"),
                *("-lavfi", f"[0:v][1:v]libvmaf={options}", "-f", "null", "-"),
            ],
            cwd=self._log.name,
            pass_fds=(distorted[0], reference[0]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(distorted[0])
        os.close(reference[0])
        self._feeds = (_Feed(reference[1]), _Feed(distorted[1]))

    def add(self, reference: Planes, distorted: Planes) -> None:
        """Append one frame to both videos; I420 planes, not changed afterwards."""
        for feed, planes in zip(self._feeds, (reference, distorted), strict=False):
            feed.put(planes)

    def scores(self) -> list[float] | None:
        """VMAF-NEG (0–100) of every frame, or None if libvmaf fails or is missing."""
        self._end_feeds()
        with self._log:
            if self._process is None or self._process.wait() != 0:
                return None
            log = Path(self._log.name) / "vmaf.json"
            if not log.exists():
                return None
            frames = json.loads(log.read_text())["frames"]
            return [_vmaf_entry(frame["metrics"]) for frame in frames]

    def close(self) -> None:
        """Let go without a result; harmless after `scores`."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._end_feeds()
        self._log.cleanup()

    def _end_feeds(self) -> None:
        for feed in self._feeds:
            feed.end()
        self._feeds = ()


def _vmaf_entry(metrics: dict[str, float]) -> float:
    # The key is "vmaf" or the model's name, depending on the version of libvmaf.
    return next(value for key, value in metrics.items() if key.startswith("vmaf"))
