"""One engine in a process of its own: some keep their threads spinning after a run, which would
cost whoever runs next. All but the one at work are stopped.

    Contestant ──prepare(plan, frame)──► process: engine made, warmed up, output and memory told
               ──run()─────────────────► process continued, one timed frame, stopped again
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from client_sdk.upscaler import Planes
from kernels.plan import PLANES, Float, PlanIR, Uint8

OURS = "ours"
_WARM_UP = 2


@dataclass(frozen=True)
class Scene:
    """What a frame is upscaled from: LR I420 planes, the luma before, and a plate of HR size."""

    lr: Planes
    previous: Uint8
    plate: Uint8

    @classmethod
    def random(cls, width: int, height: int, scale: int) -> Scene:
        """Noise: time does not depend on what is seen."""
        random = np.random.default_rng(0)

        def plane(h: int, w: int) -> Uint8:
            return random.integers(0, 256, (h, w), dtype=np.uint8)

        half = (height + 1) // 2, (width + 1) // 2
        lr = plane(height, width), plane(*half), plane(*half)
        return cls(lr, plane(height, width), plane(scale * height, scale * width))

    def planes(self, plan: PlanIR) -> Float:
        """The planes that `plan` declares as floats [channels, h, w], as rivals take them."""
        from kernels.reference import to_values, unshuffle

        all_planes = (
            to_values(self.lr[0])[None],
            to_values(self.previous)[None],
            unshuffle(self.plate, plan.scale),
        )
        named = dict(zip(PLANES, all_planes, strict=True))
        return np.ascontiguousarray(np.concatenate([named[name] for name in plan.inputs]))


@dataclass(frozen=True)
class Prepared:
    """What an engine told of itself: its network's output f32 [h, w] (ours: u8 luma with the base),
    and its peak memory beyond what it had before, output included, which counts in a fresh process
    only; ours: bytes of its working memory alone.
    """

    output: npt.NDArray[Any]
    growth: int


class Contestant:
    """An engine at one precision and number of threads. Close it when done."""

    def __init__(self, module: str, precision: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, module, precision, threads), daemon=True
        )
        self._process.start()
        other.close()

    def prepare(self, plan: PlanIR, scene: Scene) -> Prepared:
        """Make the engine ready. Raises RuntimeError with its complaint where it cannot be."""
        self._continue()
        try:
            self._pipe.send((plan, scene))
            found = self._pipe.recv()
        except (EOFError, OSError):
            raise RuntimeError("its process ended") from None
        finally:
            self._stop()
        if isinstance(found, str):
            raise RuntimeError(found)
        assert isinstance(found, Prepared)
        return found

    def run(self) -> float:
        """Seconds of one frame."""
        self._continue()
        self._pipe.send(None)
        seconds = float(self._pipe.recv())
        self._stop()
        return seconds

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _continue(self) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid or 0, signal.SIGCONT)

    def _stop(self) -> None:
        if self._process.is_alive():
            os.kill(self._process.pid or 0, signal.SIGSTOP)


def _serve(pipe: Connection, module: str, precision: str, threads: int) -> None:
    run: Callable[[], Any] | None = None
    while True:
        message = pipe.recv()
        if message is None:
            assert run is not None
            run()  # warm again: caches, and threads that sleep
            start = time.perf_counter()
            run()
            pipe.send(time.perf_counter() - start)
            continue
        plan, scene = message
        run = None
        try:
            if module == OURS:
                run, growth = _ours(plan, scene, threads)
            else:
                rival = importlib.import_module(f"benchmarks.rivals.{module}")
                rival.version()
                planes = scene.planes(plan)
                before = _resident()
                run = rival.prepare(plan, planes, threads, precision)
                run()
                growth = _peak() - before
            for _ in range(_WARM_UP):
                output = run()
            pipe.send(Prepared(np.array(output), growth))
        except Exception as error:
            # Rivals raise anything; what they say is shown beside the table.
            lines = str(error).splitlines() or [type(error).__name__]
            pipe.send(lines[0])


def _ours(plan: PlanIR, scene: Scene, threads: int) -> tuple[Callable[[], Any], int]:
    from kernels.compiler.wire import encode_plan
    from kernels.runtime import Engine, Plan, Plate

    engine = Engine(threads)
    prepared = Plan(encode_plan(plan))
    plate = Plate(scene.plate, plan.scale) if "plate" in plan.inputs else None

    def upscale(out: Planes | None) -> Planes:
        return engine.upscale(
            scene.lr,
            plan.scale,
            previous=scene.previous,
            plans=[prepared],
            plate=plate,
            out=out,
        )

    out = upscale(None)
    return lambda: upscale(out)[0], engine.bytes


def _resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _peak() -> int:
    """The most bytes that this process ever had in memory; getrusage counts its parent's too."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
